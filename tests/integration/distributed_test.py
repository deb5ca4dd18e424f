"""The online stage as several real processes, killed one after the other.

Everything is real but small: ALE's Pong in episodes of
45 steps, a network of two filters, a teacher of random weights.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from rrl_pipeline import run_directory
from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import builder
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.launch import launch
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import metric_log

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_STEPS, _PERIOD = 1200, 400
_SETTINGS = (
    'control=false',
    'environment.max_episode_steps=45',
    'network.channels=2,2,2',
    'network.hidden_units=8',
    'collect.num_steps=100',
    'collect.num_parallel=2',
    'dataset.card=false',
    'agent.batch_size=4',
    'agent.min_replay_steps=100',
    'agent.update_period=4',
    'agent.weaning.steps=800',
    'agent.target_update_period=10',
    'offline.num_learner_steps=20',
    'offline.evaluation_period=20',
    'offline.checkpoint_period=20',
    'offline.log_period=10',
    f'online.num_actor_steps={_STEPS}',
    f'online.evaluation_period={_PERIOD}',
    'online.checkpoint_period=100',
    'online.log_period=10',
    'evaluation.num_episodes=2',
    'evaluation.num_parallel=2',
)
_ROLES = ('replay', 'learner', 'actor_0', 'actor_1', 'evaluator')
_TIMEOUT = 400


@pytest.fixture(name='begun', scope='module')
def _begun(tmp_path_factory):
  """A run whose stages before the online one are done."""
  config = atari.AtariConfig(max_episode_steps=45)
  environment = factory.make(config, 0)
  network = builder.make_network(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      algorithm_config.DqnConfig(),
      (84, 84, 4),
      'uint8',
      environment.action_spec().num_values,
      seed=3,
  )
  directory = tmp_path_factory.mktemp('begun')
  bundle.export(
      directory / 'teacher',
      network,
      bundle.Description(
          kind='q_values',
          observation_shape=(84, 84, 4),
          action_meanings=environment.action_meanings,
          environment=environment_config.to_json(config),
          score={'mean_return': 5.0, 'std_return': 1.0, 'num_episodes': 1},
          lineage={'command': 'none', 'teacher': None},
      ),
  )
  settings = (f'teacher.bundle={directory / "teacher"}', *_SETTINGS)
  code = launch.main([
      'launch',
      '--preset=pong_quick',
      '--stage=teacher,collect,dataset,offline',
      f'--run_dir={directory / "run"}',
      *(f'--set={setting}' for setting in settings),
  ])
  assert code == 0
  return directory / 'run'


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


def _assert_complete(run: _Run, run_dir: pathlib.Path) -> None:
  counts = json.loads((run_dir / 'online' / 'DONE.json').read_text())['counts']
  counts = counts['student']
  assert counts['actor_steps'] == _STEPS and counts['frames'] == 4 * _STEPS
  rows = metric_log.read_rows(run.agent / 'metrics.csv')
  first = 20  # Updates of the offline stage.
  lag = _STEPS // 4 - counts['learner_steps']
  # Until 100 steps are drawn from, and the pieces under way may be 200 more.
  assert 100 // 4 - 1 <= lag <= (100 + 200) // 4 + 1
  # One update for each four steps, whoever took them; a learner that began anew
  # may have begun with other pieces.
  for row in rows[-10:]:
    assert row['actor_steps'] // 4 - (row['step'] - first) == lag
    assert row['distillation_weight'] == 0 or row['actor_steps'] < 800
    assert 0 <= row['staleness'] <= row['max_staleness'] < 200
  steps = [row['actor_steps'] for row in rows]
  assert steps == sorted(steps)
  records = [
      json.loads(line)
      for line in (run.agent / 'evaluations.jsonl').read_text().splitlines()
  ]
  assert [r['actor_steps'] for r in records] == list(
      np.repeat(range(_PERIOD, _STEPS + 1, _PERIOD), 2)
  )
  assert [r['episode'] for r in records] == [0, 1] * (_STEPS // _PERIOD)
  assert not list((run.agent / 'snapshots').iterdir())
  assert (run.agent / 'bundle').is_dir()


def test_a_run_of_two_actors_is_stopped_killed_and_completed(run_dir):
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

  run = _Run(run_dir)
  processes = run.descendants()
  assert run.wait() == 0, run.output()
  _assert_complete(run, run_dir)
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
  _assert_complete(run, run_dir)
  _assert_gone(processes)
