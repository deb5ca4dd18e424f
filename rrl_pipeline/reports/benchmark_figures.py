"""The figures of a benchmark: intervals, curves, profiles, tasks.

Every function takes report.json and returns the bytes of a PNG, or None if
there is nothing to show; the same input gives the same bytes.
"""

import math
from typing import Any, Mapping, Optional

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import ticker
import numpy as np

from rrl_pipeline.reports import panels

# Okabe and Ito's palette without its yellow, then once more in dashes.
_COLOURS = (
    '#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000'
)
_DASHES = ('-', '--', ':')
_TITLES = {
    'iqm': 'IQM',
    'mean': 'mean',
    'median': 'median',
    'optimality_gap': 'optimality gap\n(lower is better)',
}
_REFERENCE = {'color': '#767676', 'linewidth': 1.0, 'linestyle': ':'}
_COLUMNS = 2


def label(method: str) -> str:
  """A method's name for people: 'tabula_rasa' → 'tabula rasa'."""
  return method.replace('_', ' ')


def aggregates(summary: Mapping[str, Any]) -> Optional[bytes]:
  """Aggregate scores of each method with their intervals."""
  methods = [m for m in summary['methods'] if m in summary['aggregates']]
  if not methods:
    return None
  with matplotlib.rc_context(panels.STYLE):
    figure = _figure(1.1 + 0.33 * len(methods))
    axes = figure.subplots(1, len(_TITLES), sharey=True)
    for axis, (metric, title) in zip(axes, _TITLES.items(), strict=True):
      for row, method in enumerate(reversed(methods)):
        _bar(axis, row, summary['aggregates'][method][metric],
             _style(summary, method)['color'])
      axis.set_title(title)
      _finish_bars(axis)
    axes[0].set_yticks(
        range(len(methods)), [label(m) for m in reversed(methods)]
    )
    figure.supxlabel('teacher-normalised score', fontsize=10.5)
    return panels.png(figure)


def improvement(summary: Mapping[str, Any]) -> Optional[bytes]:
  """How likely each method beats the baseline."""
  probability = summary['improvement']['probability']
  methods = [m for m in summary['methods'] if m in probability]
  if not methods:
    return None
  with matplotlib.rc_context(panels.STYLE):
    figure = _figure(1.1 + 0.33 * len(methods))
    axis = figure.subplots()
    for row, method in enumerate(reversed(methods)):
      _bar(axis, row, probability[method], _style(summary, method)['color'])
    axis.set_yticks(range(len(methods)), [label(m) for m in reversed(methods)])
    axis.set_xlim(0, 1)
    axis.axvline(0.5, **_REFERENCE)
    _finish_bars(axis)
    baseline = label(summary['improvement']['baseline'])
    axis.set_xlabel(f'P(better than {baseline})')
    return panels.png(figure)


def sample_efficiency(summary: Mapping[str, Any]) -> Optional[bytes]:
  """The IQM over tasks against frames of own play."""
  methods = [m for m in summary['methods'] if m in summary['curves']]
  if not methods:
    return None
  with matplotlib.rc_context(panels.STYLE):
    figure = _figure(4.2)
    axis = figure.subplots()
    for method in methods:
      curve = summary['curves'][method]
      _line(axis, summary, method, curve['frames'], curve['iqm'])
    axis.axhline(1.0, **_REFERENCE)
    axis.set_ylabel('IQM of teacher-normalised scores')
    _finish_frames(axis)
    _legend(figure, axis)
    return panels.png(figure)


def profiles(summary: Mapping[str, Any]) -> Optional[bytes]:
  """The share of runs above each score."""
  found = summary['profiles']['methods']
  methods = [m for m in summary['methods'] if m in found]
  if not methods:
    return None
  with matplotlib.rc_context(panels.STYLE):
    figure = _figure(4.2)
    axis = figure.subplots()
    for method in methods:
      _line(
          axis, summary, method, summary['profiles']['thresholds'],
          found[method],
      )
    axis.axvline(1.0, **_REFERENCE)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel('teacher-normalised score (τ)')
    axis.set_ylabel('share of runs with score > τ')
    _legend(figure, axis)
    return panels.png(figure)


def tasks(summary: Mapping[str, Any]) -> bytes:
  """Learning curves by task: means over seeds, and every run as a thin line."""
  names = list(summary['tasks'])
  rows = math.ceil(len(names) / _COLUMNS)
  with matplotlib.rc_context(panels.STYLE):
    figure = _figure(0.8 + 2.5 * rows)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True)
    for axis, task in zip(axes.flat, names):
      for method in summary['methods']:
        _draw_task(axis, summary, method, task)
      axis.axhline(1.0, **_REFERENCE)
      axis.set_title(task)
      _finish_frames(axis)
    for axis in axes.flat[len(names) :]:
      axis.set_visible(False)
    for axis in axes[:, 0]:
      axis.set_ylabel('score')
    _legend(figure, axes.flat[0])
    return panels.png(figure)


def _draw_task(
    axis: Any, summary: Mapping[str, Any], method: str, task: str
) -> None:
  style = _style(summary, method)
  lines = []
  for run in summary['runs']:
    if (run['method'], run['task']) == (method, task):
      x, y = list(run['frames']), list(run['scores'])
      if run['offline']:
        x, y = [0, *x], [run['offline'][-1][1], *y]
      lines.append((np.array(x, np.float64), np.array(y)))
  # In the legend even if this task has none of its runs.
  if not lines:
    axis.plot([], [], label=label(method), **style)
    return
  for x, y in lines:
    axis.plot(x, y, linewidth=0.6, alpha=0.35, **style)
  grid = lines[0][0]
  mean = np.mean([np.interp(grid, x, y) for x, y in lines], axis=0)
  axis.plot(grid, mean, label=label(method), **style)


def _figure(height: float) -> figure_lib.Figure:
  return figure_lib.Figure(
      figsize=(panels.WIDTH_INCHES, height), layout='constrained'
  )


def _style(summary: Mapping[str, Any], method: str) -> dict[str, Any]:
  dash, colour = divmod(summary['methods'].index(method), len(_COLOURS))
  return {
      'color': _COLOURS[colour],
      'linestyle': _DASHES[dash % len(_DASHES)],
  }


def _bar(
    axis: Any, row: int, estimate: Mapping[str, Any], colour: str
) -> None:
  if estimate['low'] is not None:
    axis.barh(
        row,
        estimate['high'] - estimate['low'],
        left=estimate['low'],
        height=0.5,
        color=colour,
        alpha=0.45,
    )
  axis.plot(
      [estimate['value']] * 2, [row - 0.25, row + 0.25], color='black'
  )


def _line(
    axis: Any,
    summary: Mapping[str, Any],
    method: str,
    x: list[float],
    estimates: list[Mapping[str, Any]],
) -> None:
  style = _style(summary, method)
  marker = 'o' if len(x) == 1 else None
  axis.plot(
      x, [e['value'] for e in estimates], label=label(method), marker=marker,
      **style,
  )
  if estimates[0]['low'] is not None:
    axis.fill_between(
        x,
        [e['low'] for e in estimates],
        [e['high'] for e in estimates],
        color=style['color'],
        alpha=0.15,
        linewidth=0,
    )


def _finish_bars(axis: Any) -> None:
  axis.grid(axis='y', visible=False)
  axis.xaxis.set_major_locator(panels.few_ticks(4))
  axis.use_sticky_edges = False


def _finish_frames(axis: Any) -> None:
  axis.set_xlim(0, None)
  axis.set_xlabel('environment frames')
  axis.xaxis.set_major_formatter(ticker.EngFormatter(sep='\N{THIN SPACE}'))
  axis.xaxis.set_major_locator(panels.few_ticks(5))


def _legend(figure: figure_lib.Figure, axis: Any) -> None:
  figure.legend(
      *axis.get_legend_handles_labels(),
      loc='outside upper center',
      ncols=4,
      fontsize='small',
      columnspacing=1.0,
  )
