"""Renders the report of a benchmark as one self-contained HTML file."""

from typing import Any, Mapping, Sequence

from rrl_pipeline import formats
from rrl_pipeline.reports import benchmark_figures
from rrl_pipeline.reports import pictures as pictures_lib
from rrl_pipeline.reports import templates

_TEMPLATE = 'benchmark.html.jinja'


def pictures(summary: Mapping[str, Any]) -> Sequence[pictures_lib.Picture]:
  """Draws what there is to draw.

  Args:
    summary: report.json of a benchmark.
  """
  candidates = (
      (
          'aggregates',
          'Aggregates',
          benchmark_figures.aggregates(summary),
          'Black: the estimate. Coloured: its 95 % interval over runs.',
      ),
      (
          'sample_efficiency',
          'Sample efficiency',
          benchmark_figures.sample_efficiency(summary),
          'IQM over runs and tasks with its 95 % interval. The curve of a'
          ' method that learns from data first begins with its last offline'
          ' score. Dotted: the teacher.',
      ),
      (
          'improvement',
          'Probability of improvement',
          benchmark_figures.improvement(summary),
          'How likely a run of the method beats one of the baseline on the'
          ' same task.',
      ),
      (
          'profiles',
          'Performance profiles',
          benchmark_figures.profiles(summary),
          'The share of runs above each score; higher is better. Dotted: the'
          " teacher's score.",
      ),
      (
          'tasks',
          'Learning curves by task',
          benchmark_figures.tasks(summary),
          'Thick lines: means over seeds. Thin lines: single runs.',
      ),
  )
  return [
      pictures_lib.Picture(name, title, png, _describe(name, summary), caption)
      for name, title, png, caption in candidates
      if png is not None
  ]


def _describe(name: str, summary: Mapping[str, Any]) -> str:
  """Says in words what a picture shows."""
  if name == 'improvement':
    parts = [
        f'{benchmark_figures.label(method)} {formats.score(estimate["value"])}'
        for method, estimate in summary['improvement']['probability'].items()
    ]
    return f'Probability of improvement: {", ".join(parts)}.'
  parts = [
      f'{benchmark_figures.label(method)}'
      f' {formats.score(estimates["iqm"]["value"])}'
      for method, estimates in summary['aggregates'].items()
  ]
  return f'IQM of the finished agents: {", ".join(parts) or "none"}.'


def render(
    summary: Mapping[str, Any], drawn: Sequence[pictures_lib.Picture]
) -> str:
  """Returns the document.

  Args:
    summary: report.json of a benchmark.
    drawn: what `pictures` returned.
  """
  return templates.render(
      _TEMPLATE,
      {'summary': summary, 'pictures': drawn},
      {'interval': _interval, 'label': benchmark_figures.label},
  )


def _interval(estimate: Any) -> str:
  """'0.81 (0.75 to 0.90)', or a dash if there is no figure."""
  if estimate is None:
    return '\N{EN DASH}'
  text = formats.score(estimate['value'])
  if estimate['low'] is None:
    return text
  return (
      f'{text} ({formats.score(estimate["low"])} to'
      f' {formats.score(estimate["high"])})'
  )
