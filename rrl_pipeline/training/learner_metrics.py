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
    """The means since the last call; empty if nothing was added."""
    columns = zip(*self._collected, strict=True)
    self._collected = []
    return {
        name: float(np.mean(column))
        for name, column in zip(learning.LearnerMetrics._fields, columns)
    }
