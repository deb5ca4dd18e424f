"""Where the rows of a run's metrics.csv lie, in learner steps or frames."""

from typing import Mapping, Optional

import numpy as np

from rrl_pipeline.reports import runs

OFFLINE = 'offline'
_DISTILLATION_WEIGHT = 'distillation_weight'
_WEANED_AT = 'weaned_at'
_MARGIN_WEIGHT = 'margin_weight'
# Rows may hold these where no teacher was run, and there they mean nothing.
_NEEDS_TEACHER = ('distillation_loss', 'teacher_agreement')


def points(
    run: runs.Run, phase: str, column: str
) -> tuple[np.ndarray, np.ndarray]:
  """Returns a logged quantity over the course of a phase.

  Args:
    run: the run.
    phase: 'offline', or the agent of the online stage.
    column: of metrics.csv.

  Returns:
    Positions [N], in learner steps offline and in environment frames online,
    and values [N]. Rows that do not hold the quantity, or do not say where
    they are, are left out, and so is what compares with a teacher that was
    not run.
  """
  rows = [row for row in run.metrics[phase] if column in row]
  if column in _NEEDS_TEACHER:
    rows = [
        row
        for row in rows
        if row.get(_DISTILLATION_WEIGHT) != 0 or row.get(_MARGIN_WEIGHT)
    ]
  if phase == OFFLINE:
    positions = [row.get('learner_steps', row['step']) for row in rows]
  else:
    positions = [_frames(row, run.frame_skip) for row in rows]
  found = [
      (position, row[column])
      for position, row in zip(positions, rows, strict=True)
      if position is not None
  ]
  x, y = np.array(found, dtype=np.float64).reshape(-1, 2).T
  return x, y


def weaning_frames(run: runs.Run) -> Optional[int]:
  """Frames at which the teacher left; None if it did not, or was never there.

  Where the log does not say that, they are those at which it first shows no
  weight of the teacher: λ, and the weight of DQfD's margin if there is one,
  are 0.
  """
  _, marked = points(run, runs.STUDENT, _WEANED_AT)
  if len(marked):
    return int(marked[0]) * run.frame_skip
  x, weights = points(run, runs.STUDENT, _DISTILLATION_WEIGHT)
  margin = dict(zip(*points(run, runs.STUDENT, _MARGIN_WEIGHT), strict=True))
  weights = weights + np.array([margin.get(position, 0.0) for position in x])
  weaned = x[weights == 0] if weights.any() else ()
  return int(weaned[0]) if len(weaned) else None


def last_distillation_weight(run: runs.Run) -> Optional[float]:
  """λ at the end of the online stage; None if it was not logged."""
  _, weights = points(run, runs.STUDENT, _DISTILLATION_WEIGHT)
  return float(weights[-1]) if len(weights) else None


def _frames(row: Mapping[str, float], frame_skip: int) -> Optional[float]:
  if 'frames' in row:
    return row['frames']
  if 'actor_steps' in row:
    return row['actor_steps'] * frame_skip
  return None
