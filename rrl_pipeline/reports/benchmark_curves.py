"""Learning curves of many runs, put together over tasks and seeds."""

import collections
import dataclasses
from typing import Callable, Mapping, Optional, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Curve:
  """One run of a method, in teacher-normalised scores.

  Attributes:
    task: what it played.
    seed: of the run.
    frames: of own play at each online evaluation, ascending.
    scores: at those.
    final: score of the finished agent, over more episodes.
    offline: learner steps and score of each offline evaluation; empty for a
      method that does not learn from data first.
    weaned_at: frames at which the teacher's weight reached 0; None if it never
      did or if there was no teacher.
    n_step: of the method.
  """

  task: str
  seed: int
  frames: tuple[int, ...]
  scores: tuple[float, ...]
  final: float
  offline: tuple[tuple[int, float], ...] = ()
  weaned_at: Optional[int] = None
  n_step: int = 1

  def __post_init__(self):
    if not self.frames or len(self.frames) != len(self.scores):
      raise ValueError(
          f'the curve of {self.task}, seed {self.seed}, needs as many scores as'
          f' evaluations and at least one, got {len(self.scores)} and'
          f' {len(self.frames)}'
      )

  def with_start(self) -> tuple[np.ndarray, np.ndarray]:
    """Frames and scores [N], from the last offline evaluation at frame 0 on."""
    start = [(0, self.offline[-1][1])] if self.offline else []
    points = [*start, *zip(self.frames, self.scores, strict=True)]
    frames, scores = np.array(points, dtype=np.float64).T
    return frames, scores

  def mean_between(self, low: float, high: float) -> Optional[float]:
    """Mean score of the evaluations at low ≤ frames ≤ high; None if none."""
    inside = [
        score
        for frames, score in zip(*self.with_start(), strict=True)
        if low <= frames <= high
    ]
    return float(np.mean(inside)) if inside else None


def by_task(curves: Sequence[Curve]) -> Mapping[str, Sequence[Curve]]:
  """The curves of each task, tasks by name and curves by seed."""
  groups = collections.defaultdict(list)
  for curve in sorted(curves, key=lambda c: (c.task, c.seed)):
    groups[curve.task].append(curve)
  return groups


def is_complete(curves: Sequence[Curve]) -> bool:
  """Whether every task has the same number of runs, and there is one."""
  return len({len(group) for group in by_task(curves).values()}) == 1


def matrix(
    curves: Sequence[Curve], statistic: Callable[[Curve], float]
) -> np.ndarray:
  """A figure of each run as [R, T]: runs of a task below each other.

  Args:
    curves: complete, as `is_complete` says.
    statistic: of one curve.
  """
  return np.array(
      [[statistic(c) for c in group] for group in by_task(curves).values()]
  ).T


def align(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
  """Puts complete curves onto positions that all of them cover.

  Evaluations come at ends of episodes, so positions differ a little from run
  to run: each curve is interpolated at the positions of the first.

  Returns:
    Frames [F], which are none if the curves do not overlap, and scores
    [R, T, F].
  """
  lines = [curve.with_start() for curve in curves]
  low = max(frames[0] for frames, _ in lines)
  high = min(frames[-1] for frames, _ in lines)
  grid = lines[0][0]
  grid = np.unique(np.clip(grid, low, high)) if low <= high else grid[:0]

  def at_grid(curve: Curve) -> np.ndarray:
    return np.interp(grid, *curve.with_start())

  scores = np.array(
      [[at_grid(c) for c in group] for group in by_task(curves).values()]
  )
  return grid, np.swapaxes(scores, 0, 1)
