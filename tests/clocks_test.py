"""Nothing is decided by the clock on the wall, which may jump.

Durations are measured by a monotonic clock, and checkpoints are ordered by
their steps.
"""

import ast
import pathlib
from typing import Iterator

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_WALL_CLOCK = {
    ('time', name)
    for name in ('time', 'time_ns', 'localtime', 'gmtime', 'ctime', 'strftime')
} | {('datetime', name) for name in ('now', 'utcnow', 'today')}
# They write into a file when something happened, for people to read.
_RECORDING = {'attempts.py': ['time.time'], 'stages.py': ['datetime.now']}


def _readings(tree: ast.Module) -> Iterator[str]:
  for node in ast.walk(tree):
    if isinstance(node, ast.ImportFrom) and node.module == 'time':
      yield from (f'time.{alias.name}' for alias in node.names)
    if not isinstance(node, ast.Attribute):
      continue
    owner = ast.unparse(node.value).rpartition('.')[2]
    if (owner, node.attr) in _WALL_CLOCK:
      yield f'{owner}.{node.attr}'


def test_the_wall_clock_is_only_written_down():
  found = {}
  for top in ('rrl_pipeline', 'beam_jobs', 'datasets', 'launch'):
    for path in (_ROOT / top).rglob('*.py'):
      readings = list(_readings(ast.parse(path.read_text(encoding='utf-8'))))
      if readings:
        found[str(path.relative_to(_ROOT / top))] = readings
  assert found == _RECORDING


def test_every_way_to_read_it_is_seen():
  source = (
      'import datetime, time\nfrom time import time\n'
      'a = time.time()\nb = datetime.datetime.now()\nc = time.monotonic()\n'
  )
  assert sorted(_readings(ast.parse(source))) == [
      'datetime.now', 'time.time', 'time.time'
  ]
