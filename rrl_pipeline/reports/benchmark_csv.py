"""The runs of a benchmark as CSV, for spreadsheets and plots of one's own."""

import csv
import io
from typing import Any, Iterable, Iterator, Mapping, Sequence

_RUN_COLUMNS = (
    'method', 'task', 'seed', 'n_step', 'score', 'mean_return',
    'last_offline_score', 'weaned_at_frames',
)
_CURVE_COLUMNS = (
    'method', 'task', 'seed', 'phase', 'learner_steps', 'frames', 'score'
)


def runs(summary: Mapping[str, Any]) -> str:
  """One row for each run; fields that it does not have are empty.

  Args:
    summary: report.json of a benchmark.
  """
  return _table(
      _RUN_COLUMNS,
      (
          (
              run['method'],
              run['task'],
              run['seed'],
              run['n_step'],
              run['final'],
              run['mean_return'],
              run['offline'][-1][1] if run['offline'] else None,
              run['weaned_at'],
          )
          for run in summary['runs']
      ),
  )


def curves(summary: Mapping[str, Any]) -> str:
  """One row for each evaluation of each run.

  Offline evaluations are placed by learner steps, online ones by frames.

  Args:
    summary: report.json of a benchmark.
  """
  return _table(_CURVE_COLUMNS, _evaluations(summary['runs']))


def _evaluations(
    entries: Iterable[Mapping[str, Any]],
) -> Iterator[Sequence[Any]]:
  for run in entries:
    name = (run['method'], run['task'], run['seed'])
    for learner_steps, score in run['offline']:
      yield (*name, 'offline', learner_steps, None, score)
    for frames, score in zip(run['frames'], run['scores'], strict=True):
      yield (*name, 'online', None, frames, score)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(columns)
  writer.writerows(rows)
  return text.getvalue()
