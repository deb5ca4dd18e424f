"""The figures of a report that show scores: learning curves and aggregates.

Every function returns the bytes of a PNG; the same input gives the same bytes.
"""

from typing import Any, Callable, Optional, Sequence

import matplotlib
from matplotlib import figure as figure_lib
import numpy as np

from rrl_pipeline import formats
from rrl_pipeline import scores
from rrl_pipeline.reports import panels
from rrl_pipeline.reports import runs as runs_lib

_MARKERS = {runs_lib.STUDENT: 'o', runs_lib.TABULA_RASA: 's'}
_TEACHER_COLOUR = '#222222'
_RANDOM_COLOUR = '#767676'


def learning_curves(
    runs: Sequence[runs_lib.Run], scales: Sequence[scores.Scale]
) -> bytes:
  """Mean return of each evaluation, of student and control.

  A single run shows every evaluation episode as a dot; several runs show each
  run as a thin line and their mean as a thick one.

  Args:
    runs: runs of one game.
    scales: of each run. If all are the same, an axis on the right shows
      teacher-normalised scores.
  """
  with matplotlib.rc_context(panels.STYLE):
    has_offline = any(run.offline for run in runs)
    figure, axes = panels.grid(1, has_offline, height=4.5)
    online = axes[0][-1]
    for agent in panels.LABELS:
      curves = [run.online[agent] for run in runs if agent in run.online]
      if curves:
        _draw_returns(online, curves, lambda e: e.frames, agent)
    switches = [run.offline[-1] for run in runs if run.offline]
    if has_offline:
      curves = [run.offline for run in runs if run.offline]
      _draw_returns(
          axes[0][0], curves, lambda e: e.learner_steps, runs_lib.STUDENT
      )
      # The student enters the online phase with the weights of its last
      # offline evaluation.
      online.plot(
          [0],
          [np.mean([e.mean_return for e in switches])],
          'o',
          markerfacecolor='white',
          color=panels.COLOURS[runs_lib.STUDENT],
          clip_on=False,
          zorder=4,
      )
    for axis in axes[0]:
      _draw_references(axis, scales)
    axes[0][0].set_ylabel('mean return')
    panels.mark_events(online, runs)
    panels.label_axes(axes, runs)
    if len(set(scales)) == 1:
      right = online.secondary_yaxis(
          'right', functions=(scales[0].normalise, scales[0].denormalise)
      )
      right.set_ylabel('teacher-normalised score')
      right.spines['right'].set_visible(True)
    panels.legend(figure, axes)
    return panels.png(figure)


def intervals(aggregates: Any) -> Optional[bytes]:
  """Aggregate scores with their intervals over runs.

  Args:
    aggregates: the value 'aggregates' of report.json.

  Returns:
    The picture; None if there are no intervals.
  """
  agents = [
      agent
      for agent in panels.LABELS
      if aggregates[agent] and aggregates[agent]['mean']['low'] is not None
  ]
  if not agents:
    return None
  titles = {
      'iqm': 'IQM',
      'mean': 'mean',
      'median': 'median',
      'optimality_gap': 'optimality gap\n(lower is better)',
  }
  with matplotlib.rc_context(panels.STYLE):
    figure = figure_lib.Figure(
        figsize=(panels.WIDTH_INCHES, 1.0 + 0.45 * len(agents)),
        layout='constrained',
    )
    axes = figure.subplots(1, len(titles), sharey=True)
    for axis, (metric, title) in zip(axes, titles.items()):
      for height, agent in enumerate(reversed(agents)):
        estimate = aggregates[agent][metric]
        axis.barh(
            height,
            estimate['high'] - estimate['low'],
            left=estimate['low'],
            height=0.5,
            color=panels.COLOURS[agent],
            alpha=0.45,
        )
        axis.plot(
            [estimate['value']] * 2,
            [height - 0.25, height + 0.25],
            color='black',
        )
      axis.set_title(title)
      axis.grid(axis='y', visible=False)
      axis.xaxis.set_major_locator(panels.few_ticks(4))
      axis.use_sticky_edges = False
      axis.margins(x=0.1)
    axes[0].set_yticks(
        range(len(agents)), [panels.LABELS[agent] for agent in reversed(agents)]
    )
    figure.supxlabel('teacher-normalised score', fontsize=10.5)
    return panels.png(figure)


def _draw_returns(
    axis: Any,
    curves: Sequence[Sequence[runs_lib.Evaluation]],
    position: Callable[[runs_lib.Evaluation], int],
    agent: str,
) -> None:
  colour = panels.COLOURS[agent]
  lines = [
      (
          np.array([position(e) for e in curve], dtype=np.float64),
          np.array([e.mean_return for e in curve]),
      )
      for curve in curves
  ]
  if len(curves) == 1:
    x, y = lines[0]
    for evaluation in curves[0]:
      axis.plot(
          [position(evaluation)] * len(evaluation.returns),
          evaluation.returns,
          '.',
          color=colour,
          alpha=0.3,
          markersize=6,
          markeredgewidth=0,
      )
  else:
    for x, y in lines:
      axis.plot(x, y, color=colour, alpha=0.35, linewidth=0.9)
    x, y = mean_line(lines)
  axis.plot(
      x,
      y,
      color=colour,
      marker=_MARKERS[agent],
      markersize=4.5,
      label=panels.LABELS[agent],
      zorder=3,
  )


def mean_line(
    lines: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
  """Averages lines over the range that all of them cover.

  Runs evaluate at ends of episodes, so their positions differ a little: each
  line is interpolated at the positions of the first.

  Args:
    lines: pairs of positions [N], ascending, and values [N].

  Returns:
    Positions and mean values.
  """
  first = max(x[0] for x, _ in lines)
  last = min(x[-1] for x, _ in lines)
  grid = lines[0][0]
  grid = np.unique(np.clip(grid, first, last)) if first <= last else grid[:0]
  return grid, np.mean([np.interp(grid, x, y) for x, y in lines], axis=0)


def _draw_references(axis: Any, scales: Sequence[scores.Scale]) -> None:
  """Horizontal lines: each teacher's mean return, and random play."""
  teachers = sorted({scale.teacher for scale in scales})
  for teacher in teachers:
    axis.axhline(
        teacher,
        color=_TEACHER_COLOUR,
        linestyle='--',
        linewidth=1.3,
        label=(
            f'teacher ({formats.points(teacher)})'
            if len(teachers) == 1
            else 'teachers'
        ),
    )
  random = scales[0].random
  axis.axhline(
      random,
      color=_RANDOM_COLOUR,
      linestyle=':',
      linewidth=1.6,
      label=f'random play ({formats.points(random)})',
  )
