"""What the figures of a report have in common: style, panels, marks, PNG.

Offline and online phase have panels of their own, because they count different
things: learner steps and environment frames.
"""

import io
from typing import Any, Sequence

from matplotlib import figure as figure_lib
from matplotlib import ticker
import numpy as np

from rrl_pipeline.reports import runs as runs_lib
from rrl_pipeline.reports import timeline

# Okabe and Ito's palette, which colour-blind readers can tell apart; line
# styles and labels say the same once more.
COLOURS = {
    runs_lib.STUDENT: '#0072B2',
    runs_lib.TABULA_RASA: '#D55E00',
}
LABELS = {
    runs_lib.STUDENT: 'student',
    runs_lib.TABULA_RASA: 'tabula rasa',
}
STYLE = {
    'font.family': 'DejaVu Sans',
    'font.size': 10.5,
    'axes.titlesize': 10.5,
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.edgecolor': '#444444',
    'axes.grid': True,
    'grid.color': '#E4E4E4',
    'legend.frameon': False,
    'lines.linewidth': 1.8,
}
WIDTH_INCHES = 7.2
_EVENT_COLOUR = '#8F4A78'
_DOTS_PER_INCH = 150
_WIDTH_RATIOS = (1.0, 2.0)


def grid(
    num_rows: int, has_offline: bool, height: float
) -> tuple[figure_lib.Figure, Sequence[Sequence[Any]]]:
  """Axes in rows: offline on the left if there is any, online on the right."""
  figure = figure_lib.Figure(
      figsize=(WIDTH_INCHES, height), layout='constrained'
  )
  axes = figure.subplots(
      num_rows,
      2 if has_offline else 1,
      sharex='col',
      sharey='row',
      squeeze=False,
      gridspec_kw={'width_ratios': _WIDTH_RATIOS[-2 if has_offline else -1 :]},
  )
  return figure, axes


def mark_events(axis: Any, runs: Sequence[runs_lib.Run]) -> None:
  """Marks the switch to online learning and where λ reached 0."""
  if any(run.offline for run in runs):
    axis.axvline(
        0, color=_EVENT_COLOUR, linewidth=2.5, label='switch to own play'
    )
  weaned = {timeline.weaning_frames(run) for run in runs} - {None}
  for frames in sorted(weaned):
    axis.axvline(
        frames,
        color=_EVENT_COLOUR,
        linewidth=1.3,
        linestyle='-.',
        label='weaned (λ = 0)',
    )


def legend(figure: figure_lib.Figure, axes: Any) -> None:
  """One legend above all panels, each label once, the agents first."""
  handles = dict.fromkeys(LABELS.values())
  for axis in np.ravel(axes):
    for handle, label in zip(*axis.get_legend_handles_labels()):
      if handles.get(label) is None:
        handles[label] = handle
  handles = {label: handle for label, handle in handles.items() if handle}
  figure.legend(
      handles.values(),
      handles.keys(),
      loc='outside upper center',
      ncols=3 if len(handles) > 4 else 4,
  )


def label_axes(
    axes: Sequence[Sequence[Any]], runs: Sequence[runs_lib.Run]
) -> None:
  """Titles, the axes below, and ranges."""
  thousands = ticker.EngFormatter(sep='\N{THIN SPACE}')
  last = max(
      evaluations[-1].frames
      for run in runs
      for evaluations in run.online.values()
  )
  axes[0][-1].set_xlim(0, last * 1.02 or None)
  axes[0][-1].set_title('online (own play)')
  axes[-1][-1].set_xlabel('environment frames')
  axes[-1][-1].xaxis.set_major_formatter(thousands)
  axes[-1][-1].xaxis.set_major_locator(few_ticks(7))
  if len(axes[0]) > 1:
    axes[0][0].set_xlim(0, None)
    axes[0][0].set_title("offline (teacher's logs)")
    axes[-1][0].set_xlabel('learner steps')
    axes[-1][0].xaxis.set_major_formatter(thousands)
    axes[-1][0].xaxis.set_major_locator(few_ticks(4))


def few_ticks(number: int) -> ticker.Locator:
  """At most about `number` ticks at round values."""
  return ticker.MaxNLocator(number, steps=[1, 2, 5, 10])


def png(figure: figure_lib.Figure) -> bytes:
  """Returns the figure as PNG."""
  file = io.BytesIO()
  # No 'Software' entry: the bytes depend on what is drawn only.
  figure.savefig(
      file, format='png', dpi=_DOTS_PER_INCH, metadata={'Software': None}
  )
  return file.getvalue()
