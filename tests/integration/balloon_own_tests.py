"""Runs the tests that the Balloon Learning Environment (BLE) comes with.

    python tests/integration/balloon_own_tests.py

Prints a JSON object: by file, how many tests passed and were skipped, which
failed, and why a file could not be read at all. Each file has a process of its
own, as some of the tests leave things behind that others trip over. It is
forked from one that has imported what takes long but has not used it yet.
"""

import collections
import importlib
import json
import os
import pathlib
import sys

import pytest

from rrl_pipeline.environments import balloon_compatibility


class _Outcomes:
  """A plug-in that notes what became of each test."""

  def __init__(self):
    self.found = collections.defaultdict(set)

  def pytest_collectreport(self, report) -> None:
    if report.failed:
      self.found['unreadable'].add(
          report.longrepr.longrepr.splitlines()[-1].removeprefix('E').strip())

  def pytest_runtest_logreport(self, report) -> None:
    if report.when == 'call' or report.outcome != 'passed':
      # A test with parts reports each of them.
      self.found[report.outcome].add(report.nodeid.rpartition('::')[2])

  def summary(self) -> dict[str, object]:
    """What this says of one file."""
    return {'passed': len(self.found['passed']),
            'skipped': len(self.found['skipped']),
            'failed': sorted(self.found['failed']),
            'unreadable': ' '.join(sorted(self.found['unreadable']))}


def _run(path: pathlib.Path, to: int) -> None:
  """Runs a file's tests in this process; writes what became of them."""
  outcomes = _Outcomes()
  # Nothing is written where BLE is installed, our settings do not count, and
  # rewriting assertions would take longer than most of the tests.
  pytest.main(
      ['-q', '-p', 'no:cacheprovider', '--import-mode=importlib',
       '--assert=plain', f'--rootdir={path.parent}', '-c', os.devnull,
       str(path)],
      plugins=[outcomes])
  with os.fdopen(to, 'w') as stream:
    json.dump(outcomes.summary(), stream)


def _in_a_fork(path: pathlib.Path) -> dict[str, object]:
  ours, theirs = os.pipe()
  process = os.fork()
  if not process:
    os.close(ours)
    # Standard output is for the result.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
      _run(path, theirs)
    finally:
      os._exit(0)
  os.close(theirs)
  with os.fdopen(ours) as stream:
    text = stream.read()
  os.waitpid(process, 0)
  return json.loads(text) if text else {'unreadable': 'its process died'}


def main() -> None:
  sys.dont_write_bytecode = True
  # Plug-ins of other packages are loaded anew for each file.
  os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'
  balloon_compatibility.install()
  # They are written for a program that has read its flags.
  importlib.import_module('absl.flags').FLAGS.mark_as_parsed()
  for name in ('env.balloon_env', 'agents.agent', 'eval.suites'):
    importlib.import_module(f'balloon_learning_environment.{name}')
  root = pathlib.Path(
      importlib.import_module('balloon_learning_environment').__file__).parent
  print(json.dumps({
      str(path.relative_to(root)): _in_a_fork(path)
      for path in sorted(root.rglob('*_test.py'))}, indent=2))


if __name__ == '__main__':
  main()
