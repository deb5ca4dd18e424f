"""Conversions on real clusters: the same bytes as those of the local runner."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from rrl_pipeline.beam_jobs import build_rlds

ROOT = pathlib.Path(__file__).parents[2]
LOG = ROOT / 'tests' / 'testdata' / 'dopamine' / 'wrapped' / 'checkpoints'
NOT_AVAILABLE = 77
NUM_SHARDS = 6
FORMATS = (('tfrecord', 'png'), ('array_record', 'raw'))


def _bytes_of(data_dir):
  return {
      str(path.relative_to(data_dir)): path.read_bytes()
      for path in sorted(data_dir.rglob('*'))
      if path.is_file()
  }


@pytest.fixture(name='expected', scope='module')
def fixture_expected(tmp_path_factory):
  """The files that one local process makes, by format."""
  found = {}
  for file_format, frame_encoding in FORMATS:
    data_dir = tmp_path_factory.mktemp(file_format)
    build_rlds.convert(
        build_rlds.BuildRldsConfig(
            str(LOG), str(data_dir), checkpoints='all', num_shards=NUM_SHARDS,
            file_format=file_format, frame_encoding=frame_encoding,
        )
    )
    found[file_format, frame_encoding] = _bytes_of(data_dir)
  return found


def _run(engine, log, data_dir, *flags):
  """Runs the program on a cluster; returns the process and its logs."""
  logs = data_dir.parent / 'logs'
  result = subprocess.run(
      [
          sys.executable, str(ROOT / 'tests/integration/beam_cluster.py'),
          f'--logs={logs}', engine,
          sys.executable, str(ROOT / 'beam_jobs' / 'build_rlds.py'),
          f'--log_dir={log}', f'--data_dir={data_dir}', '--checkpoints=all',
          f'--num_shards={NUM_SHARDS}', *flags,
      ],
      capture_output=True, text=True, check=False, timeout=600,
  )
  if result.returncode == NOT_AVAILABLE:
    pytest.skip(result.stderr.splitlines()[-1])
  return result, logs


@pytest.fixture(name='path', autouse=True)
def fixture_path(monkeypatch):
  """Workers of clusters have to find the package."""
  monkeypatch.setenv('PYTHONPATH', str(ROOT))


@pytest.mark.parametrize('file_format,frame_encoding', FORMATS)
@pytest.mark.parametrize('engine', ['portable', 'dask'])
def test_cluster_gives_the_same_bytes(
    tmp_path, expected, engine, file_format, frame_encoding
):
  data_dir = tmp_path / 'data'
  result, _ = _run(
      engine, LOG, data_dir, f'--file_format={file_format}',
      f'--frame_encoding={frame_encoding}',
  )
  assert result.returncode == 0, result.stderr
  assert _bytes_of(data_dir) == expected[file_format, frame_encoding]


def test_flink_gives_the_same_bytes(tmp_path, expected):
  """Two task slots; each has an SDK worker of the pool for itself."""
  data_dir = tmp_path / 'data'
  result, logs = _run('flink', LOG, data_dir)
  assert result.returncode == 0, result.stderr
  assert _bytes_of(data_dir) == expected['tfrecord', 'png']
  started = (logs / 'worker_pool.log').read_text().count('Starting worker')
  assert started == 2


def test_two_processes_give_the_same_bytes(tmp_path, expected):
  for file_format, frame_encoding in FORMATS:
    data_dir = tmp_path / file_format
    build_rlds.convert(
        build_rlds.BuildRldsConfig(
            str(LOG), str(data_dir), checkpoints='all', num_shards=NUM_SHARDS,
            file_format=file_format, frame_encoding=frame_encoding,
        ),
        ['--direct_num_workers=2', '--direct_running_mode=multi_processing'],
    )
    assert _bytes_of(data_dir) == expected[file_format, frame_encoding]


def test_damage_found_on_a_cluster_is_reported_like_any_other(tmp_path):
  """One clear line, though a worker of another process found it."""
  log = tmp_path / 'log'
  shutil.copytree(LOG, log)
  path = log / '$store$_observation_ckpt.2.gz'
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 0xFF
  path.write_bytes(data)
  result, _ = _run('portable', log, tmp_path / 'data')
  assert result.returncode == 1
  (error,) = [
      line for line in result.stderr.splitlines() if line.startswith('error: ')
  ]
  assert str(path) in error and 'is not a complete gzip file' in error
