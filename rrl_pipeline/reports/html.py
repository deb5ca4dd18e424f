"""Renders a report as one HTML file that needs nothing else.

Pictures are inlined, there are no scripts and no external resources, so that
the file can be mailed, archived and printed.
"""

import json
from typing import Any, Mapping, Optional, Sequence

from rrl_pipeline import formats
from rrl_pipeline.reports import pictures as pictures_lib
from rrl_pipeline.reports import summary as summary_lib
from rrl_pipeline.reports import templates

_TEMPLATE = 'report.html.jinja'
_AGENTS = {'student': 'Student', 'tabula_rasa': 'Tabula rasa (from scratch)'}
_METRICS = {
    'iqm': 'IQM (mean of the middle half)',
    'mean': 'Mean',
    'median': 'Median',
    'optimality_gap': 'Optimality gap (lower is better)',
}


def render(
    summary: Mapping[str, Any],
    pictures: Sequence[pictures_lib.Picture],
    gif: Optional[bytes] = None,
    still: Optional[bytes] = None,
    flights: Optional[Mapping[str, Sequence[str]]] = None,
) -> str:
  """Returns the document.

  Args:
    summary: the value of report.json.
    pictures: in the order in which they appear.
    gif: the student at play.
    still: PNG of one of its images, for readers who want no motion and for
      paper; needed with `gif`.
    flights: table of agents that flew the same seeds, see
      `balloon_scores.columns`.
  """
  return templates.render(
      _TEMPLATE,
      {
          'summary': summary,
          'pictures': pictures,
          'gif': gif,
          'still': still,
          'flights': flights,
          'agents': _AGENTS,
          'metrics': _METRICS,
          'bars': _bars(summary),
          'settings': summary_lib.flatten(summary['configuration']),
      },
      {
          'score': _or_dash(formats.score),
          'points': _or_dash(formats.points),
          'episode_return': formats.episode_return,
          'json': lambda value: json.dumps(value, ensure_ascii=False),
      },
  )


def _or_dash(function):
  """Extends a format to missing values."""
  return lambda value: '\N{EN DASH}' if value is None else function(value)


def _bars(summary: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
  """The rows of the table of scores, lowest line first.

  'width' is the length of a row's bar in percent of the longest one.
  """
  rows = [
      ('Random play', summary['random'], None),
      (_AGENTS['tabula_rasa'], summary['tabula_rasa'], 'tabula_rasa'),
      (_AGENTS['student'], summary['student'], 'student'),
      ('Teacher', summary['teacher'], None),
  ]
  rows = [row for row in rows if row[1] is not None]
  longest = max(entry['teacher_normalised_score'] for _, entry, _ in rows)
  bars = []
  for label, entry, agent in rows:
    score = entry['teacher_normalised_score']
    bars.append({
        'label': label,
        'score': score,
        'mean_return': entry['mean_return'],
        'episodes': entry.get('episodes', entry.get('num_episodes')),
        'agent': agent,
        'width': round(100 * max(0.0, score) / longest, 1),
        'interval': agent and _interval(summary, agent),
    })
  return bars


def _interval(
    summary: Mapping[str, Any], agent: str
) -> Optional[Mapping[str, Any]]:
  """The 95 % interval of an agent's score, and what it is over."""
  estimates = summary['aggregates'][agent]
  if estimates is not None and estimates['mean']['low'] is not None:
    mean = estimates['mean']
    return {'low': mean['low'], 'high': mean['high'], 'over': 'runs'}
  per_seed = summary[agent]['per_seed']
  if len(per_seed) == 1 and per_seed[0]['interval_over_episodes']:
    low, high = per_seed[0]['interval_over_episodes'][
        'teacher_normalised_score'
    ]
    return {'low': low, 'high': high, 'over': 'episodes'}
  return None
