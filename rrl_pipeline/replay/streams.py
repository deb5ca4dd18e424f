"""Reads steps from Reverb, in the order in which they were written."""

from typing import Optional

import reverb

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import step_items
from rrl_pipeline.replay import tables

# More rows than any run has.
_ENDLESS = 2**62


class StepStream:
  """The learner's end of the table of steps.

  It takes one item from the table ahead of those that it is asked for.
  """

  def __init__(self, client: reverb.Client):
    # One sampler for all steps: to make one takes longer than to read a step.
    self._samples = client.sample(
        tables.STEPS, num_samples=_ENDLESS, emit_timesteps=False
    )
    self._rest: Optional[step_items.StepItem] = None
    self.num_read = 0

  def read(self, count: int) -> frame_store.Rows:
    """The next `count` rows, at least 1; waits until they are written."""
    items, missing = [], count
    while missing:
      item = self._rest or step_items.StepItem(*next(self._samples).data)
      items.append(step_items.StepItem(*(c[:missing] for c in item)))
      self._rest = None
      if len(item.record) > missing:
        self._rest = step_items.StepItem(*(c[missing:] for c in item))
      missing -= len(items[-1].record)
    self.num_read += count
    return step_items.rows(step_items.joined(items))
