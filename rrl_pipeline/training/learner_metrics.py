"""Means of a learner's metrics between two rows of a log."""

import numpy as np

from rrl_pipeline.agents import learning


class MeanMetrics:
  """Collects metrics and gives their means."""

  def __init__(self):
    self._collected: list[learning.LearnerMetrics] = []

  def add(self, metrics: learning.LearnerMetrics) -> None:
    self._collected.append(metrics)

  def take(self) -> dict[str, float]:
    """The means since the last call; empty if nothing was added.

    A metric that only some steps had is the mean of those, and one that none
    had is left out.
    """
    columns = zip(*self._collected, strict=True)
    self._collected = []
    means = {}
    for name, column in zip(learning.LearnerMetrics._fields, columns):
      present = [value for value in column if value is not None]
      if present:
        means[name] = float(np.mean(present))
    return means
