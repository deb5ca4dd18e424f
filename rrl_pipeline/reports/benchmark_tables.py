"""The tables of a benchmark in LaTeX, for the `booktabs` package."""

from typing import Any, Mapping, Optional

_ESCAPES = str.maketrans({
    '_': r'\_', '%': r'\%', '&': r'\&', '#': r'\#', '$': r'\$',
    '{': r'\{', '}': r'\}', '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}', '\\': r'\textbackslash{}',
})
_DASH = '--'


def latex(summary: Mapping[str, Any]) -> str:
  """Returns two tables: aggregates of methods, and scores by task.

  Args:
    summary: report.json of a benchmark.
  """
  return '\n'.join(
      [
          f'% {len(summary["runs"])} runs of the suite'
          f' {_escape(summary["suite"])}, 95 % intervals over runs.',
          *_aggregates(summary),
          '',
          *_tasks(summary),
          '',
      ]
  )


def _aggregates(summary: Mapping[str, Any]) -> list[str]:
  baseline = summary['improvement']['baseline']
  rows = []
  for method in summary['methods']:
    estimates = summary['aggregates'].get(method)
    if estimates is None:
      continue
    rows.append([
        _escape(method),
        _interval(estimates['iqm']),
        _interval(estimates['median']),
        _interval(estimates['optimality_gap']),
        _interval(summary['improvement']['probability'].get(method)),
    ])
  against = 'none' if baseline is None else _escape(baseline)
  heads = ['Method', 'IQM', 'Median', 'Optimality gap',
           f'P(better than {against})']
  return _tabular('lcccc', heads, rows)


def _tasks(summary: Mapping[str, Any]) -> list[str]:
  rows = []
  for task, entries in summary['per_task'].items():
    cells = []
    for method in summary['methods']:
      entry = entries.get(method)
      if entry is None:
        cells.append(_DASH)
      elif entry['std_score'] is None:
        cells.append(_number(entry['score']))
      else:
        cells.append(
            rf'{_number(entry["score"])} $\pm$ {_number(entry["std_score"])}'
        )
    rows.append([_escape(task), *cells])
  heads = ['Task', *map(_escape, summary['methods'])]
  return _tabular('l' + 'c' * len(summary['methods']), heads, rows)


def _tabular(
    columns: str, heads: list[str], rows: list[list[str]]
) -> list[str]:
  def line(cells: list[str]) -> str:
    return f'  {" & ".join(cells)} ' + r'\\'

  return [
      rf'\begin{{tabular}}{{{columns}}}',
      r'  \toprule',
      line(heads),
      r'  \midrule',
      *map(line, rows),
      r'  \bottomrule',
      r'\end{tabular}',
  ]


def _interval(estimate: Optional[Mapping[str, Any]]) -> str:
  if estimate is None:
    return _DASH
  text = _number(estimate['value'])
  if estimate['low'] is None:
    return text
  return f'{text} ({_number(estimate["low"])}, {_number(estimate["high"])})'


def _number(value: float) -> str:
  text = f'{value:.2f}'
  return text[1:] if text == '-0.00' else text.replace('-', '$-$')


def _escape(text: str) -> str:
  return text.translate(_ESCAPES)
