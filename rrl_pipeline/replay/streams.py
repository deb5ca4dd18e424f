"""Reads steps from Reverb, in the order in which they were written."""

import reverb

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import step_items
from rrl_pipeline.replay import tables

# More rows than any run has.
_ENDLESS = 2**62


class StepStream:
  """The learner's end of the table of steps.

  It takes one step from the table ahead of those that it is asked for.
  """

  def __init__(self, client: reverb.Client):
    # One sampler for all steps: to make one takes longer than to read a step.
    self._samples = client.sample(
        tables.STEPS, num_samples=_ENDLESS, emit_timesteps=False
    )
    self.num_read = 0

  def read(self, count: int) -> frame_store.Rows:
    """The next `count` rows; waits until an actor has written them."""
    items = [
        step_items.StepItem(*next(self._samples).data) for _ in range(count)
    ]
    self.num_read += count
    return step_items.rows(items)
