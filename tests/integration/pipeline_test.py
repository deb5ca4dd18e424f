"""The whole pipeline on a tiny configuration: every real part, killed at will.

Everything is real but small: ALE's Pong with episodes of 40 steps, a network of
two filters, a teacher of random weights.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import teachers

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SETTINGS = (
    'environment.max_episode_steps=40',
    'network.channels=2,2,2',
    'network.hidden_units=8',
    'collect.num_steps=400',
    'collect.num_parallel=2',
    'collect.checkpoint_period=100',
    'agent.batch_size=4',
    'agent.min_replay_steps=20',
    'agent.weaning.steps=200',
    'agent.target_update_period=10',
    'tabula_rasa.batch_size=4',
    'tabula_rasa.min_replay_steps=20',
    'offline.num_learner_steps=300',
    'offline.evaluation_period=100',
    'offline.checkpoint_period=20',
    'offline.log_period=10',
    'online.num_actor_steps=600',
    'online.evaluation_period=150',
    'online.checkpoint_period=60',
    'online.log_period=10',
    'evaluation.num_episodes=2',
    'evaluation.num_final_episodes=3',
    'evaluation.num_parallel=2',
)


@pytest.fixture(name='teacher', scope='module')
def _teacher(tmp_path_factory):
  """A bundle of untrained weights that claims a score above random."""
  return teachers.export(
      tmp_path_factory.mktemp('teacher') / 'bundle', atari.AtariConfig()
  )


def _command(run_dir, teacher, stage):
  settings = (f'teacher.bundle={teacher}', *_SETTINGS)
  return [
      sys.executable,
      'launch/launch.py',
      '--preset=pong_quick',
      f'--stage={stage}',
      f'--run_dir={run_dir}',
      *(f'--set={setting}' for setting in settings),
  ]


def _run(run_dir, teacher, stage):
  return subprocess.run(
      _command(run_dir, teacher, stage),
      cwd=_ROOT,
      capture_output=True,
      text=True,
      timeout=600,
      check=False,
  )


def _kill_when(run_dir, teacher, pattern):
  """Starts all stages; kills them as soon as a file of this pattern exists."""
  process = subprocess.Popen(
      _command(run_dir, teacher, 'all'),
      cwd=_ROOT,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      start_new_session=True,
  )
  try:
    deadline = time.monotonic() + 300
    while not any(pathlib.Path(run_dir).glob(pattern)):
      assert process.poll() is None, f'it ended before {pattern} was there'
      assert time.monotonic() < deadline, f'{pattern} never appeared'
      time.sleep(0.002)
  finally:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_state(run_dir):
  """What a run must not depend on being interrupted for."""
  run_dir = pathlib.Path(run_dir)
  state = {
      path.relative_to(run_dir).as_posix(): path.read_bytes()
      for pattern in (
          '**/evaluations.jsonl',
          '**/metrics.csv',
          'dataset/**/*.tfrecord*',
          'dataset/**/statistics.json',
      )
      for path in sorted(run_dir.glob(pattern))
  }
  frames = np.random.default_rng(0).integers(
      0, 256, (3, 84, 84, 4), dtype=np.uint8
  )
  for agent in ('student', 'tabula_rasa'):
    loaded = bundle.load(
        run_dir / 'online' / agent / 'bundle',
        environment_config.to_json(atari.AtariConfig()),
        factory.interface(atari.AtariConfig()),
    )
    state[agent] = loaded.values(frames).numpy().tobytes()
  return state


@pytest.fixture(name='undisturbed', scope='module')
def _undisturbed(tmp_path_factory, teacher):
  run_dir = tmp_path_factory.mktemp('runs') / 'undisturbed'
  result = _run(run_dir, teacher, 'all')
  assert result.returncode == 0, result.stderr
  return run_dir, result


def test_whole_chain_ends_with_a_report(undisturbed):
  run_dir, result = undisturbed
  report = json.loads((run_dir / 'report' / 'report.json').read_text())
  for agent in ('student', 'tabula_rasa'):
    assert np.isfinite(report[agent]['teacher_normalised_score'])
    assert len(report[agent]['per_seed']) == 1
  assert result.stdout.rstrip().endswith('report.html')
  assert (run_dir / 'report' / 'student.gif').stat().st_size > 0
  assert len(list(run_dir.glob('dataset/**/card/index.html'))) == 1


def test_stages_killed_and_run_again_end_in_the_same_state(
    undisturbed, teacher, tmp_path
):
  run_dir = tmp_path / 'killed'
  # The command that goes on with a stage is killed in the next one.
  for pattern in (
      'collect/logs/sentinel_checkpoint_complete.0',
      'dataset/atari_replay/Pong_run_1/.*/*',
      'offline/checkpoints/1[0-9]0',
      'online/student/checkpoints/[2-5][0-9][0-9]',
      'evaluate/*',
  ):
    _kill_when(run_dir, teacher, pattern)
  result = _run(run_dir, teacher, 'all')
  assert result.returncode == 0, result.stderr
  expected, got = _end_state(undisturbed[0]), _end_state(run_dir)
  assert got.keys() == expected.keys()
  different = [name for name in expected if got[name] != expected[name]]
  assert not different


def test_finished_run_is_left_alone_and_other_settings_are_refused(
    undisturbed, teacher
):
  run_dir, _ = undisturbed
  before = {
      path: path.stat().st_mtime_ns
      for path in run_dir.rglob('*')
      if path.is_file() and 'report' not in path.parts and path.name != 'lock'
  }
  assert _run(run_dir, teacher, 'offline,online').returncode == 0
  for path, time_ns in before.items():
    assert path.stat().st_mtime_ns == time_ns or path.name.startswith(
        ('lock', '.', 'config')
    ), path
  refused = subprocess.run(
      [*_command(run_dir, teacher, 'online'), '--set=agent.n_step=5'],
      cwd=_ROOT,
      capture_output=True,
      text=True,
      timeout=300,
      check=False,
  )
  assert refused.returncode == 2
  assert 'agent.n_step was 3, is now 5' in refused.stderr
  assert 'Traceback' not in refused.stderr
