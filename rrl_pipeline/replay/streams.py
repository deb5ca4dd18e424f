"""Reads steps from Reverb, in the order in which they were written."""

import numpy as np
import reverb

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import tables


class StepStream:
  """The learner's end of the table of steps."""

  def __init__(self, client: reverb.Client):
    self._client = client
    self.num_read = 0

  def read(self, count: int) -> frame_store.Rows:
    """The next `count` rows; waits until an actor has written them."""
    samples = self._client.sample(
        tables.STEPS, num_samples=count, emit_timesteps=False
    )
    columns = zip(*(sample.data for sample in samples), strict=True)
    self.num_read += count
    return frame_store.Rows(*(np.stack(column) for column in columns))
