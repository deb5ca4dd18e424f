"""Weights that wait on disk for their evaluation."""

import os
import pathlib
from typing import NamedTuple, Optional, Sequence

import numpy as np

from rrl_pipeline.training import array_file

_LEARNER_STEPS = 'learner_steps'


class Snapshot(NamedTuple):
  """The weights of an agent at a moment of its training."""

  actor_steps: int
  learner_steps: int
  weights: list[np.ndarray]


class WeightSnapshots:
  """The snapshots of one agent, each in a file until it is discarded.

  An evaluator that is slower than the learner, or dead for a while, misses none
  of them; and neither does a learner that is started anew.
  """

  def __init__(self, directory: str | os.PathLike):
    self._directory = pathlib.Path(directory)
    self._directory.mkdir(parents=True, exist_ok=True)

  def __len__(self) -> int:
    return len(self._steps())

  def save(self, snapshot: Snapshot) -> None:
    """Adds one, or replaces the one with the same number of actor steps."""
    array_file.write(
        self._path(snapshot.actor_steps),
        {
            _LEARNER_STEPS: np.int64(snapshot.learner_steps),
            **{str(i): weight for i, weight in enumerate(snapshot.weights)},
        },
    )

  def oldest(self) -> Optional[Snapshot]:
    """The one with the fewest actor steps, if there is one.

    Raises:
      ValueError: its file is damaged.
    """
    steps = self._steps()
    if not steps:
      return None
    arrays = array_file.read(self._path(steps[0]))
    learner_steps = int(arrays.pop(_LEARNER_STEPS))
    return Snapshot(
        steps[0], learner_steps, [arrays[str(i)] for i in range(len(arrays))]
    )

  def discard(self, actor_steps: int) -> None:
    """Removes the one of this number of actor steps, if it is there."""
    self._path(actor_steps).unlink(missing_ok=True)

  def truncate_after(self, actor_steps: int) -> None:
    """Drops what a resumed run is going to save again."""
    for steps in self._steps():
      if steps > actor_steps:
        self.discard(steps)

  def _path(self, actor_steps: int) -> pathlib.Path:
    return self._directory / f'{actor_steps}.npz'

  def _steps(self) -> Sequence[int]:
    return sorted(int(path.stem) for path in self._directory.glob('*.npz'))
