"""The online stage as several real processes, which suffer in several ways.

The run is that of `small_online_run`.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from rrl_pipeline import run_directory
from rrl_pipeline.launch import launch
from rrl_pipeline.testing import faulty_run
from rrl_pipeline.testing import small_online_run

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_STEPS, _PERIOD = 1200, 400
_ROLES = ('replay', 'learner', 'actor_0', 'actor_1', 'evaluator')
_TIMEOUT = 400


@pytest.fixture(name='begun', scope='module')
def _begun(tmp_path_factory):
  """A run whose stages before the online one are done."""
  return small_online_run.prepare(
      tmp_path_factory.mktemp('begun'), _STEPS, _PERIOD, 100
  )


@pytest.fixture(name='run_dir')
def _run_dir(begun, tmp_path):
  return pathlib.Path(shutil.copytree(begun, tmp_path / 'run'))


class _Run:
  """The online stage with two actors, as a program of its own."""

  def __init__(self, run_dir, *flags):
    self.agent = run_dir / 'online' / 'student'
    self.log = run_dir.parent / 'output'
    with open(self.log, 'ab') as log:
      self.program = subprocess.Popen(
          [
              sys.executable,
              '-m',
              'rrl_pipeline.launch.launch',
              f'--run_dir={run_dir}',
              *(flags or ('--stage=online', '--num_actors=2')),
          ],
          cwd=_ROOT,
          stdout=log,
          stderr=subprocess.STDOUT,
          start_new_session=True,
      )

  def output(self) -> str:
    return self.log.read_text(errors='replace')

  def wait(self) -> int:
    try:
      return self.program.wait(_TIMEOUT)
    except subprocess.TimeoutExpired:
      self.program.kill()
      raise AssertionError(self.output()) from None

  def wait_until(self, condition) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
      assert self.program.poll() is None, self.output()
      assert time.monotonic() < deadline, self.output()
      time.sleep(0.05)

  def descendants(self) -> list[psutil.Process]:
    return psutil.Process(self.program.pid).children(recursive=True)

  def role(self, name: str) -> psutil.Process:
    """The process of a role, once it runs."""
    role, _, index = name.partition('_')
    wanted = {f'--role={role}', f'--actor_index={index or 0}'}
    found = []

    def is_running():
      found[:] = [
          p for p in self.descendants() if wanted <= set(_command_line(p))
      ]
      return found

    self.wait_until(is_running)
    return found[0]

  def checkpoints(self) -> list[int]:
    folder = self.agent / 'checkpoints'
    return sorted(
        int(path.name) for path in folder.glob('*') if path.name.isdigit()
    )


def _command_line(process: psutil.Process) -> list[str]:
  try:
    return process.cmdline()
  except psutil.Error:
    return []


def _assert_gone(processes) -> None:
  """None of them is left, and so neither is any port of theirs."""
  _, alive = psutil.wait_procs(processes, timeout=10)
  assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def _assert_complete(run_dir: pathlib.Path) -> None:
  assert not small_online_run.problems(run_dir, _STEPS, _PERIOD, 2)


def test_a_run_is_stopped_killed_damaged_and_completed(run_dir):
  run = _Run(run_dir)
  run.wait_until(run.checkpoints)
  reached = run.checkpoints()[-1]
  processes = run.descendants()
  run.program.terminate()
  assert run.wait() == 0, run.output()
  assert 'stopped; the same command goes on' in run.output()
  _assert_gone(processes)
  assert not (run_dir / 'online' / 'DONE.json').exists()
  stopped_at = run.checkpoints()[-1]
  # It is that of the moment: regular ones are just over 100 steps apart.
  assert reached <= stopped_at < _STEPS

  run = _Run(run_dir)
  run.wait_until(lambda: run.checkpoints()[-1] > stopped_at)
  processes = run.descendants()
  run.program.kill()
  run.wait()
  _assert_gone(processes)
  before, newest = run.checkpoints()
  variables = run.agent / 'checkpoints' / str(newest) / 'variables.npz'
  variables.write_bytes(variables.read_bytes()[:-1])

  run = _Run(run_dir)
  processes = run.descendants()
  assert run.wait() == 0, run.output()
  learner_log = (run.agent / 'logs' / 'learner.log').read_text()
  assert f'warning: damaged checkpoint {variables.parent}: ' in learner_log
  assert f'Going on from the one before it, of step {before}.' in learner_log
  _assert_complete(run_dir)
  _assert_gone(processes)
  assert f'{_STEPS}/{_STEPS}' in run.output()
  for role in _ROLES:
    assert (run.agent / 'logs' / f'{role}.log').exists()


def test_a_second_learner_is_refused(run_dir):
  with run_directory.RunDirectory(run_dir / 'online' / 'student').lock():
    learner = _Run(run_dir, '--role=learner', '--replay_address=localhost:1')
    assert learner.wait() == 2
  assert 'error: another process works in' in learner.output()
  assert f'pid {os.getpid()}' in learner.output()


def test_each_role_may_be_killed(run_dir):
  generator = np.random.default_rng(7)
  run = _Run(run_dir)
  run.wait_until(run.checkpoints)
  for name in generator.permutation(_ROLES):
    process = run.role(name)
    time.sleep(generator.uniform(0, 1))
    if run.program.poll() is not None:
      break
    process.kill()
    run.wait_until(lambda: f'{name} ended with signal 9' in run.output())
  processes = run.descendants()
  assert run.wait() == 0, run.output()
  for name in _ROLES:
    assert f'{name} ended with signal 9' in run.output()
  _assert_complete(run_dir)
  _assert_gone(processes)


def test_a_network_that_is_cut_and_roles_that_stand_still(run_dir, tmp_path):
  """Nobody dies of it, though the wall clock jumps about all the while.

  The replay server is at one loopback address, and the actors reach it through
  a network at another.
  """
  run = faulty_run.FaultyRun(run_dir, tmp_path)

  def hurt():
    checkpoints = run_dir / 'online' / 'student' / 'checkpoints'
    deadline = time.monotonic() + _TIMEOUT
    while not list(checkpoints.glob('[0-9]*')):
      assert time.monotonic() < deadline and not run.said, run.said
      time.sleep(0.1)
    before = run.proxy.num_connections
    with run.proxy.refused():
      time.sleep(1)
    # The actors are back, and what they send arrives.
    learns = run.learns()
    while not learns():
      assert time.monotonic() < deadline and not run.said, run.said
      time.sleep(0.1)
    assert run.proxy.num_connections > before
    with run.proxy.stalled():
      time.sleep(1)
    for name in ('replay', 'learner', 'actor_0', 'evaluator'):
      with run.stopped(name):
        time.sleep(0.5)

  run.run(hurt)
  assert not run.said
  assert not run.processes()
  host, _, port = run.address.rpartition(':')
  with pytest.raises(ConnectionRefusedError):
    socket.create_connection((host, int(port)), 5)
  arguments = ['launch', f'--run_dir={run_dir}', '--stage=online']
  assert launch.main(arguments) == 0
  _assert_complete(run_dir)
