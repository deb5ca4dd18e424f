"""The figures of a dataset's card, drawn from its statistics.

Every function returns the bytes of a PNG; the same input gives the same bytes.
"""

from typing import Any, Mapping, Sequence

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import ticker
import numpy as np

from rrl_pipeline.reports import gif
from rrl_pipeline.reports import panels

_COLOUR = '#0072B2'
_HEIGHT_INCHES = 2.8
_GAP = 2
_SAMPLES_IN_ROW = 6


def histogram(bars: Mapping[str, Any], x_label: str, y_label: str) -> bytes:
  """How often values occur.

  Args:
    bars: 'counts' of either 'values' or intervals between 'edges', as in
      `statistics.json`.
    x_label: what the values are.
    y_label: what is counted.
  """
  with matplotlib.rc_context(panels.STYLE):
    figure, axis = _axes()
    axis.set_axisbelow(True)
    counts = bars['counts']
    if 'values' in bars:
      axis.bar(range(len(counts)), counts, color=_COLOUR)
      labels = [f'{value:g}' for value in bars['values']]
      axis.set_xticks(
          range(len(counts)), labels, rotation=90 if len(labels) > 20 else 0
      )
      axis.grid(axis='x', visible=False)
    else:
      edges = np.array(bars['edges'])
      axis.bar(
          edges[:-1], counts, np.diff(edges), align='edge', color=_COLOUR
      )
      axis.xaxis.set_major_locator(panels.few_ticks(8))
    # A reward that is rare is what one looks for.
    if min(filter(None, counts), default=1) * 100 < max(counts):
      axis.set_yscale('log')
    else:
      axis.yaxis.set_major_formatter(ticker.EngFormatter())
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    return panels.png(figure)


def return_by_position(points: Sequence[Mapping[str, Any]]) -> bytes:
  """How the returns of episodes change along the log.

  Args:
    points: as in `statistics.json`, at least one.
  """
  with matplotlib.rc_context(panels.STYLE):
    figure, axis = _axes()
    axis.set_axisbelow(True)
    x = [point['position'] for point in points]
    axis.fill_between(
        x,
        [point['min'] for point in points],
        [point['max'] for point in points],
        color=_COLOUR,
        alpha=0.2,
        linewidth=0,
        label='lowest to highest',
    )
    axis.plot(
        x,
        [point['mean'] for point in points],
        color=_COLOUR,
        marker='.',
        label='mean',
    )
    axis.xaxis.set_major_formatter(ticker.EngFormatter())
    axis.set_xlabel('position in the log (entries)')
    axis.set_ylabel('episode return')
    axis.legend()
    return panels.png(figure)


def _axes() -> tuple[figure_lib.Figure, Any]:
  figure = figure_lib.Figure(
      figsize=(panels.WIDTH_INCHES, _HEIGHT_INCHES), layout='constrained'
  )
  return figure, figure.subplots()


def contact_sheet(frames: Sequence[np.ndarray]) -> bytes:
  """Frames side by side, in rows of six.

  Args:
    frames: at least one, all [H, W] or [H, W, 3] uint8.
  """
  height, width, *channels = frames[0].shape
  columns = min(_SAMPLES_IN_ROW, len(frames))
  rows = -(-len(frames) // columns)
  sheet = np.full(
      (
          rows * (height + _GAP) - _GAP,
          columns * (width + _GAP) - _GAP,
          *channels,
      ),
      255,
      np.uint8,
  )
  for index, frame in enumerate(frames):
    top = index // columns * (height + _GAP)
    left = index % columns * (width + _GAP)
    sheet[top : top + height, left : left + width] = frame
  return gif.encode_still(sheet)
