"""A whole benchmark on a tiny configuration: every real part, killed once.

Two methods play one Atari game with one seed: a teacher of random weights, a
network of two filters, episodes of 40 steps.
"""

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import minatar
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.testing import teachers

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ATARI = (
    'network.channels=2,2,2',
    'network.hidden_units=8',
    'teacher.network.channels=2,2,2',
    'teacher.network.hidden_units=8',
)
_SETTINGS = (
    'environment.max_episode_steps=40',
    'collect.num_steps=200',
    'collect.num_parallel=2',
    'agent.batch_size=4',
    'agent.min_replay_steps=20',
    'agent.weaning.steps=150',
    'agent.target_update_period=10',
    'offline.num_learner_steps=60',
    'offline.evaluation_period=20',
    'offline.checkpoint_period=20',
    'offline.log_period=5',
    'online.num_actor_steps=300',
    'online.evaluation_period=100',
    'online.checkpoint_period=60',
    'online.log_period=5',
    'evaluation.num_episodes=2',
    'evaluation.num_final_episodes=3',
    'evaluation.num_parallel=2',
)


@pytest.fixture(name='teacher', scope='module')
def fixture_teacher(tmp_path_factory):
  directory = tmp_path_factory.mktemp('teachers')
  teachers.export(
      directory / 'Breakout', atari.AtariConfig(game='Breakout')
  )
  return directory / '{game}'


def _command(directory, teacher, *more):
  return [
      sys.executable,
      'launch/benchmark.py',
      '--suite=atari10_100k',
      '--methods=qdagger,tabula_rasa',
      '--games=Breakout',
      '--seeds=1',
      '--resamples=50',
      f'--directory={directory}',
      f'--set=teacher.bundle={teacher}',
      *(f'--set={setting}' for setting in (*_ATARI, *_SETTINGS)),
      *more,
  ]


def _run(directory, teacher, *more):
  return subprocess.run(
      _command(directory, teacher, *more),
      cwd=_ROOT,
      capture_output=True,
      text=True,
      timeout=900,
      check=False,
  )


def _kill_when(command, file):
  """Starts a benchmark and kills it, and only it, once the file is there."""
  process = subprocess.Popen(
      command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )
  try:
    deadline = time.monotonic() + 600
    while not file.exists():
      assert process.poll() is None, f'it ended before {file} was there'
      assert time.monotonic() < deadline, f'{file} never appeared'
      time.sleep(0.01)
  finally:
    process.send_signal(signal.SIGKILL)
    process.wait()


def _times(directory):
  """When each finished stage was finished."""
  return {
      path: path.stat().st_mtime_ns for path in directory.rglob('DONE.json')
  }


def test_killed_benchmark_goes_on_past_a_failing_run_to_the_report(
    teacher, tmp_path
):
  qdagger = tmp_path / 'cells/qdagger/Breakout/seed0'
  tabula_rasa = tmp_path / 'cells/tabula_rasa/Breakout/seed0'
  # Settings of a cell that cannot be read.
  tabula_rasa.mkdir(parents=True)
  (tabula_rasa / 'config.json').write_text('{}')
  _kill_when(_command(tmp_path, teacher), qdagger / 'offline' / 'DONE.json')
  before = _times(tmp_path)
  assert tmp_path / 'tasks/Breakout/dataset/DONE.json' in before
  assert qdagger / 'evaluate' / 'DONE.json' not in before

  result = _run(tmp_path, teacher)
  assert result.returncode == 1
  assert 'tabula_rasa/Breakout/seed0 failed: ValueError' in result.stdout
  assert 'config.json cannot be used' in result.stdout
  assert '1 of 3 runs are not done' in result.stderr
  assert 'Traceback' not in result.stderr
  report = json.loads((tmp_path / 'report' / 'report.json').read_text())
  assert list(report['aggregates']) == ['qdagger']
  assert report['unfinished'][0]['method'] == 'tabula_rasa'
  assert qdagger / 'evaluate' / 'DONE.json' in _times(tmp_path)

  (tabula_rasa / 'config.json').unlink()
  result = _run(tmp_path, teacher)
  assert result.returncode == 0, result.stdout + result.stderr
  after = _times(tmp_path)
  assert {path: after[path] for path in before} == before
  assert '3 done' in result.stdout
  report = json.loads((tmp_path / 'report' / 'report.json').read_text())
  assert not report['unfinished']
  assert sorted(report['aggregates']) == ['qdagger', 'tabula_rasa']
  # Teacher and data are those of the task; what learns alone has neither.
  for cell in (qdagger, tabula_rasa):
    config = json.loads((cell / 'config.json').read_text())
    assert config['dataset']['path'].startswith(str(tmp_path / 'tasks'))
  frames = {m: c['student']['frames'] for m, c in report['compute'].items()}
  assert frames['qdagger'] - frames['tabula_rasa'] == pytest.approx(
      4 * 200, abs=4 * 40
  )
  assert report['compute']['tabula_rasa']['student']['learner_steps'] < 300
  assert not (tabula_rasa / 'offline' / 'evaluations.jsonl').exists()

  again = _run(tmp_path, teacher)
  assert again.returncode == 0, again.stderr
  assert '3 of 3 runs are done' in again.stdout
  assert _times(tmp_path) == after
  assert json.loads((tmp_path / 'report' / 'report.json').read_text()) == report


def test_dry_run_writes_nothing(teacher, tmp_path):
  directory = tmp_path / 'benchmark'
  result = _run(directory, teacher, '--dry_run', '--jobs=2')
  assert result.returncode == 0, result.stderr
  assert '2 methods x 1 tasks x 1 seeds = 2 students' in result.stdout
  assert 'with --jobs=2' in result.stdout
  assert not directory.exists()


def test_minatar_runs_from_a_teacher_to_the_report(tmp_path):
  pytest.importorskip('minatar', reason='needs the extra minatar')
  teachers.export(
      tmp_path / 'teacher',
      minatar.MinAtarConfig(game='Breakout'),
      network_config.MinatarConfig(),
  )
  result = subprocess.run(
      [
          sys.executable,
          'launch/benchmark.py',
          '--suite=minatar',
          '--methods=qdagger',
          '--games=Breakout',
          '--seeds=1',
          '--resamples=50',
          f'--directory={tmp_path / "benchmark"}',
          f'--set=teacher.bundle={tmp_path / "teacher"}',
          *(f'--set={setting}' for setting in _SETTINGS),
      ],
      cwd=_ROOT,
      capture_output=True,
      text=True,
      timeout=900,
      check=False,
  )
  assert result.returncode == 0, result.stdout + result.stderr
  report = json.loads(
      (tmp_path / 'benchmark/report/report.json').read_text()
  )
  run, = report['runs']
  assert run['task'] == 'MinAtar-Breakout'
  assert len(run['offline']) == 3 and len(run['scores']) >= 3
  assert report['compute']['qdagger']['lineage']['frames'] is None
  assert report['compute']['qdagger']['student']['learner_steps'] > 60
