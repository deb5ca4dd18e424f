"""Tests of the supervisor, with small programs for roles."""

import itertools
import os
import signal
import sys
import threading
import time

import psutil
import pytest

from rrl_pipeline import stopping
from rrl_pipeline.launch import supervisor

_SLEEP = 'import time\ntime.sleep(60)\n'
# Notes each start of a role and its process.
_NOTE = (
    'import os, pathlib, sys, time\n'
    'folder = pathlib.Path({folder!r})\n'
    'with open(folder / "{name}.starts", "a") as file:\n'
    '  file.write(f"{{os.getpid()}}\\n")\n'
    'starts = len((folder / "{name}.starts").read_text().split())\n'
)


class _Roles:

  def __init__(self, folder):
    self.folder = folder
    self.said = []
    self._roles = []

  def add(self, name, program, **keywords):
    program = _NOTE.format(folder=str(self.folder), name=name) + program
    self._roles.append(
        supervisor.Role(
            name, [sys.executable, '-c', program],
            self.folder / f'{name}.log', **keywords,
        )
    )

  def run(self, goal, request=None):
    supervisor.Supervisor(self._roles, goal, self.said.append).run(
        request or stopping.Request()
    )

  def processes(self, name):
    path = self.folder / f'{name}.starts'
    return list(map(int, path.read_text().split())) if path.exists() else []

  def assert_none_runs(self):
    for role in self._roles:
      for process in self.processes(role.name):
        with pytest.raises(ProcessLookupError):
          os.kill(process, 0)


@pytest.fixture(name='roles')
def _roles(tmp_path):
  return _Roles(tmp_path)


def _until(name, count):
  """Waits until another role was started so often."""
  return (
      f'other = folder / "{name}.starts"\n'
      'while not other.exists() or len(other.read_text().split()) <'
      f' {count}:\n'
      '  time.sleep(0.01)\n'
  )


def test_the_end_of_the_goal_ends_the_run(roles):
  roles.add('other', _SLEEP)
  roles.add('goal', _until('other', 1))
  roles.run('goal')
  assert len(roles.processes('other')) == 1 and not roles.said
  roles.assert_none_runs()


def test_a_dead_role_is_started_again_and_its_last_lines_are_told(roles):
  roles.add('other', 'if starts < 3:\n  sys.exit(f"reason {starts}")\n' + _SLEEP)
  roles.add('goal', _until('other', 3))
  roles.run('goal')
  said = '\n'.join(roles.said)
  assert 'other ended with exit code 1' in said
  assert '  reason 1\n' in said and '  reason 2\n' in said
  assert 'other is started again (2 of 3)' in said
  assert len(roles.processes('goal')) == 1
  roles.assert_none_runs()


def test_some_take_all_others_along(roles):
  kill = 'if starts == 1:\n' + ''.join(
      f'  {line}\n' for line in _until('goal', 1).splitlines()
  ) + '  os.kill(os.getpid(), 9)\n'
  roles.add('base', kill + _SLEEP, takes_all_along=True)
  roles.add('goal', _until('base', 2) + 'if starts == 1:\n  time.sleep(60)\n')
  roles.run('goal')
  assert 'base ended with signal 9' in roles.said[0]
  assert 'all roles are started again (1 of 3)' in roles.said
  assert len(roles.processes('goal')) == len(roles.processes('base')) == 2
  roles.assert_none_runs()


def test_repeated_failure_ends_the_run(roles):
  roles.add('other', 'sys.exit(3)\n')
  roles.add('goal', _SLEEP)
  with pytest.raises(
      supervisor.RoleFailedError,
      match='other failed 4 times .* exit code 3; .*the same command goes on',
  ):
    roles.run('goal')
  assert len(roles.processes('other')) == 4
  roles.assert_none_runs()


def test_an_error_of_the_user_is_told_at_once(roles):
  roles.add('other', 'print("error: no such file")\nsys.exit(2)\n')
  roles.add('goal', _SLEEP)
  with pytest.raises(
      supervisor.RoleFailedError, match='^other: error: no such file .log: '
  ):
    roles.run('goal')
  assert len(roles.processes('other')) == 1
  roles.assert_none_runs()


def test_a_request_lets_the_goal_end_while_the_others_live(roles):
  roles.add('other', _SLEEP)
  roles.add('goal', (
      'import signal\n'
      'def end(*_):\n'
      '  os.kill(int((folder / "other.starts").read_text()), 0)\n'
      '  (folder / "saved").touch()\n'
      '  sys.exit(0)\n'
      'signal.signal(signal.SIGTERM, end)\n'
      '(folder / "ready").touch()\n'
  ) + _SLEEP)
  request = stopping.Request()

  def ask():
    while not (roles.folder / 'ready').exists():
      time.sleep(0.01)
    request.handle(signal.SIGTERM, None)

  threading.Thread(target=ask).start()
  with pytest.raises(stopping.Stopped):
    roles.run('goal', request)
  assert (roles.folder / 'saved').exists()
  roles.assert_none_runs()


def test_nothing_is_left_of_a_role_that_died(roles):
  roles.add('other', (
      'import subprocess\n'
      'if starts == 1:\n'
      '  child = subprocess.Popen([sys.executable, "-c", "import time;'
      ' time.sleep(60)"])\n'
      '  (folder / "child").write_text(str(child.pid))\n'
      '  os.kill(os.getpid(), 9)\n'
  ) + _SLEEP)
  roles.add('goal', _until('other', 2))
  roles.run('goal')
  child = int((roles.folder / 'child').read_text())
  with pytest.raises(psutil.NoSuchProcess):
    # Whoever adopted it may not have asked for its end yet.
    if psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
      raise psutil.NoSuchProcess(child)


def test_the_wall_clock_decides_nothing(roles, monkeypatch):
  """Failures are as far apart as they are, whatever the clock is set to."""
  jumps = itertools.count()
  monkeypatch.setattr(time, 'time', lambda: 1e9 + 86400.0 * next(jumps))
  monkeypatch.setattr(time, 'time_ns', lambda: -86400 * 10**9 * next(jumps))
  roles.add('other', 'sys.exit(3)\n')
  roles.add('goal', _SLEEP)
  with pytest.raises(supervisor.RoleFailedError, match='other failed 4 times'):
    roles.run('goal')
  roles.assert_none_runs()
