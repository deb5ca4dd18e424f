"""Weights that wait on disk for their evaluation."""

import os
import pathlib
from typing import NamedTuple, Optional, Sequence

import numpy as np


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
    temporary = self._directory / 'incomplete'
    with open(temporary, 'wb') as file:
      np.savez(
          file,
          *snapshot.weights,
          learner_steps=np.int64(snapshot.learner_steps),
      )
    os.replace(temporary, self._path(snapshot.actor_steps))

  def oldest(self) -> Optional[Snapshot]:
    """The one with the fewest actor steps, if there is one."""
    steps = self._steps()
    if not steps:
      return None
    with np.load(self._path(steps[0]), allow_pickle=False) as arrays:
      return Snapshot(
          steps[0],
          int(arrays['learner_steps']),
          [arrays[f'arr_{i}'] for i in range(len(arrays.files) - 1)],
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
