"""Tests of the program that converts logs: flags, errors, memory."""

import gzip
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.logs import dopamine_files
from rrl_pipeline.testing import replay_logs

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(name='log')
def fixture_log(tmp_path):
  """A log of one episode."""
  log = tmp_path / 'log'
  rng = np.random.default_rng(0)
  replay_logs.write_log(str(log), [replay_logs.random_episode(rng, 15)], 30)
  return log


def _flags(log, tmp_path, *more):
  return [f'--log_dir={log}', f'--data_dir={tmp_path / "data"}', *more]


def test_converts(log, tmp_path, capsys):
  flags = _flags(log, tmp_path, '--game=SpaceInvaders', '--run=3')
  assert build_rlds.main(flags) == 0
  output = capsys.readouterr()
  assert 'SpaceInvaders_run_3/1.1.0: 1 episodes, 15 trans' in output.out
  assert '1 of 1 shards to write: 15 transitions from 0.0 MB' in output.err


def test_idle_workers_are_pointed_out(log, tmp_path, capsys):
  flags = _flags(log, tmp_path, '--direct_num_workers=3')
  assert build_rlds.main(flags) == 0
  assert '3 workers are asked for, but a shard is the work of one: ' in (
      capsys.readouterr().err
  )


def test_error_is_one_line(tmp_path, capsys):
  flags = _flags(tmp_path / 'nowhere', tmp_path)
  assert build_rlds.main(flags) == 1
  output = capsys.readouterr()
  assert output.err == (
      f'error: the log directory {tmp_path / "nowhere"} does not exist\n'
  )


def test_slip_of_the_pen_is_pointed_out(log, tmp_path, capsys):
  with pytest.raises(SystemExit):
    build_rlds.main(_flags(log, tmp_path, '--num_shard=2'))
  assert 'did you mean --num_shards?' in capsys.readouterr().err


def test_flags_of_beam_are_passed_on(log, tmp_path, monkeypatch):
  seen = []
  monkeypatch.setattr(
      build_rlds, 'convert', lambda config, args: seen.append((config, args))
  )
  build_rlds.main(
      _flags(
          log, tmp_path, '--runner=FlinkRunner', '--checkpoints=0,2',
          '--parallelism=4', '--time_limit_steps=10', '--time_limit_steps=20',
          '--file_format=array_record', '--frame_encoding=raw',
          '--split_by_checkpoint', '--log_format=dopamine',
      )
  )
  ((config, args),) = seen
  assert config == build_rlds.BuildRldsConfig(
      str(log), str(tmp_path / 'data'), checkpoints='0,2',
      time_limit_steps=(10, 20), file_format='array_record',
      frame_encoding='raw', split_by_checkpoint=True, log_format='dopamine',
  )
  assert args == ['--runner=FlinkRunner', '--parallelism=4']


def _write_long_log(directory, length, episode_length):
  """A log of one checkpoint, written as a stream."""
  arrays = {
      dopamine_files.ACTION: np.ones(length, np.int32),
      dopamine_files.REWARD: np.zeros(length, np.float32),
      dopamine_files.TERMINAL: np.zeros(length, np.uint8),
      dopamine_files.ADD_COUNT: np.array(length),
  }
  starts = np.arange(0, length, episode_length)
  arrays[dopamine_files.TERMINAL][starts[1:] - 1] = 1
  is_padding = np.zeros(length, bool)
  for i, start in enumerate(starts):
    arrays[dopamine_files.REWARD][start + 3 + i] = 1  # No two are the same.
    is_padding[start : start + 3] = True
    for element in (dopamine_files.ACTION, dopamine_files.REWARD):
      arrays[element][start : start + 3] = 0
  for element, array in arrays.items():
    with gzip.open(
        dopamine_files.path_of(directory, element, 0), 'wb', 1
    ) as file:
      np.save(file, array)
  header = {
      'descr': '|u1', 'fortran_order': False, 'shape': (length, 84, 84)
  }
  path = dopamine_files.path_of(directory, dopamine_files.OBSERVATION, 0)
  with gzip.open(path, 'wb', 1) as file:
    np.lib.format.write_array_header_1_0(file, header)
    for block in np.split(~is_padding, length // 1000):
      file.write(np.repeat(block.astype(np.uint8) * 87, 84 * 84).tobytes())
  pathlib.Path(dopamine_files.sentinel_path(directory, 0)).write_bytes(b'done')


def test_memory_stays_bounded(tmp_path):
  """100,000 frames are 706 MB; the process and its imports take far less."""
  log = tmp_path / 'log'
  log.mkdir()
  _write_long_log(str(log), 100_000, 25_000)
  program = (
      'import re\n'
      'from rrl_pipeline.beam_jobs import build_rlds\n'
      'summary = build_rlds.convert(build_rlds.BuildRldsConfig('
      f'{str(log)!r}, {str(tmp_path / "data")!r}))\n'
      'print(summary.transitions)\n'
      # Other than getrusage, this leaves out the process that started it.
      'status = open("/proc/self/status").read()\n'
      'print(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1])\n'
  )
  result = subprocess.run(
      [sys.executable, '-c', program],
      capture_output=True, text=True, check=True, cwd=ROOT,
  )
  transitions, peak_kilobytes = map(int, result.stdout.split())
  assert transitions == 100_000 - 4 * 3
  # 185 MB of it are the imports.
  assert peak_kilobytes < 300_000
