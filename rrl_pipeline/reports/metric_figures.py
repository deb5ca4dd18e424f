"""The figures of a report that show what the learners logged.

Every function returns the bytes of a PNG; the same input gives the same bytes.
"""

from typing import Any, NamedTuple, Optional, Sequence

import matplotlib
from matplotlib import ticker
import numpy as np

from rrl_pipeline.reports import panels
from rrl_pipeline.reports import runs as runs_lib
from rrl_pipeline.reports import timeline

# More points than this are averaged in groups: lines shall not become bands.
_MAX_POINTS = 300


class Series(NamedTuple):
  """A quantity of metrics.csv to draw.

  Attributes:
    column: its name in metrics.csv.
    label: of its axis.
    logarithmic: whether its axis is.
    lower: least value that the axis shows; None to fit the data.
    upper: greatest such value.
  """

  column: str
  label: str
  logarithmic: bool = False
  lower: Optional[float] = None
  upper: Optional[float] = None


SCHEDULE = (
    Series('distillation_weight', "weight of the\nteacher, λ", lower=0),
    Series('learning_rate', 'learning rate', lower=0),
)
AGREEMENT = (
    Series(
        'teacher_agreement',
        "student's greedy action\nis the teacher's",
        lower=0,
        upper=1,
    ),
)
DIAGNOSTICS = (
    Series('action_gap', 'action gap', lower=0),
    Series(
        'gradient_cosine',
        'cosine of TD and\ndistillation gradient',
        lower=-1,
        upper=1,
    ),
)
LOSSES = (
    Series('td_loss', 'TD loss', logarithmic=True),
    Series('distillation_loss', 'distillation\nloss (KL)', logarithmic=True),
)


def curves(
    runs: Sequence[runs_lib.Run], series: Sequence[Series]
) -> Optional[bytes]:
  """Quantities that the learners logged, one row of panels for each.

  Args:
    runs: runs of one game.
    series: what to draw; what no run logged is left out.

  Returns:
    The picture; None if no run logged any of it.
  """
  series = [entry for entry in series if _phases_with(runs, entry.column)]
  if not series:
    return None
  phases = set().union(*(_phases_with(runs, s.column) for s in series))
  with matplotlib.rc_context(panels.STYLE):
    has_offline = timeline.OFFLINE in phases
    height = 0.9 + 1.9 * len(series)
    figure, axes = panels.grid(len(series), has_offline, height)
    for row, entry in zip(axes, series, strict=True):
      for run in runs:
        if has_offline:
          _draw_metric(row[0], run, timeline.OFFLINE, entry, len(runs))
        for agent in panels.LABELS:
          _draw_metric(row[-1], run, agent, entry, len(runs))
      row[0].set_ylabel(entry.label)
      _set_value_axis(row[0], entry)
      panels.mark_events(row[-1], runs)
    panels.label_axes(axes, runs)
    panels.legend(figure, axes)
    return panels.png(figure)


def _set_value_axis(axis: Any, series: Series) -> None:
  if series.logarithmic:
    axis.set_yscale('log', nonpositive='mask')
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(ticker.NullLocator())
    axis.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  else:
    axis.ticklabel_format(
        axis='y', style='sci', scilimits=(-3, 4), useMathText=True
    )
  axis.set_ylim(series.lower, series.upper)


def _phases_with(runs: Sequence[runs_lib.Run], column: str) -> set[str]:
  return {
      phase
      for run in runs
      for phase in run.metrics
      if len(timeline.points(run, phase, column)[0])
  }


def _draw_metric(
    axis: Any, run: runs_lib.Run, phase: str, series: Series, num_runs: int
) -> None:
  x, y = timeline.points(run, phase, series.column)
  # The control logs a λ too, which is 0 throughout.
  if not np.any(y):
    return
  x, y = _thinned(x), _thinned(y)
  agent = runs_lib.STUDENT if phase == timeline.OFFLINE else phase
  axis.plot(
      x,
      y,
      color=panels.COLOURS[agent],
      linewidth=1.4 if num_runs == 1 else 1.0,
      linestyle='-' if agent == runs_lib.STUDENT else (0, (4, 1.5)),
      alpha=1.0 if num_runs == 1 else 0.6,
      label=panels.LABELS[agent],
  )


def _thinned(values: np.ndarray) -> np.ndarray:
  """Means of groups of neighbours: [N] to at most [_MAX_POINTS]."""
  group = -(-len(values) // _MAX_POINTS)
  starts = np.arange(0, len(values), group)
  sizes = np.diff(np.append(starts, len(values)))
  return np.add.reduceat(values, starts) / sizes
