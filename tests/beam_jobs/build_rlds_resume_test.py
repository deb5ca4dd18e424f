"""Tests that a conversion can be killed at any time and goes on afterwards."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory

ROOT = pathlib.Path(__file__).parents[2]
LOG = ROOT / 'tests' / 'testdata' / 'dopamine' / 'wrapped' / 'checkpoints'
NUM_SHARDS = 8
VERSION = pathlib.Path('atari_replay', 'Pong_run_1', '1.1.0')


def _config(data_dir, **changes):
  return build_rlds.BuildRldsConfig(
      log_dir=str(LOG),
      data_dir=str(data_dir),
      **{
          'checkpoints': 'all',
          'num_shards': NUM_SHARDS,
          'png_compressor': 'zlib',  # The slower one: more time to be killed.
          **changes,
      },
  )


def _command(data_dir, options):
  config = _config(data_dir)
  return [
      sys.executable, str(ROOT / 'beam_jobs' / 'build_rlds.py'),
      f'--log_dir={config.log_dir}', f'--data_dir={config.data_dir}',
      '--checkpoints=all', f'--num_shards={NUM_SHARDS}',
      '--png_compressor=zlib',
      *(f'--{name}={value}' for name, value in options.items()),
  ]


def _bytes_of(directory):
  return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture(name='undisturbed', scope='module')
def fixture_undisturbed(tmp_path_factory):
  """The files of a conversion that nothing disturbed."""
  data_dir = tmp_path_factory.mktemp('undisturbed')
  build_rlds.convert(_config(data_dir))
  return _bytes_of(data_dir / VERSION)


@pytest.mark.parametrize(
    'options', [{}, {'file_format': 'array_record', 'log_format': 'dopamine'}]
)
def test_killed_job_goes_on(tmp_path, monkeypatch, options):
  build_rlds.convert(_config(tmp_path / 'undisturbed', **options))
  undisturbed = _bytes_of(tmp_path / 'undisturbed' / VERSION)
  data_dir = tmp_path / 'data'
  monkeypatch.setenv('PYTHONPATH', str(ROOT))
  process = subprocess.Popen(
      _command(data_dir, options),
      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
  )
  work = work_directory.WorkDirectory.beside(str(data_dir / VERSION))
  manifests = pathlib.Path(work.manifest(0)).parent
  while process.poll() is None and not list(manifests.glob('unit-*.json')):
    time.sleep(0.001)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  finished = sorted(manifests.glob('unit-*.json'))
  assert 1 <= len(finished) < NUM_SHARDS
  written = {path: path.stat().st_mtime_ns for path in finished}
  assert not (data_dir / VERSION).exists()

  converted = []
  convert_unit = transforms.convert_unit

  def count(job, unit):
    converted.append(unit.index)
    for path, modified in written.items():
      assert path.stat().st_mtime_ns == modified
    return convert_unit(job, unit)

  monkeypatch.setattr(transforms, 'convert_unit', count)
  build_rlds.convert(_config(data_dir, **options))
  assert len(converted) == NUM_SHARDS - len(finished)
  assert _bytes_of(data_dir / VERSION) == undisturbed
  assert os.listdir(data_dir / VERSION.parent) == ['1.1.0']


@pytest.mark.parametrize('units_before', [0, 3, NUM_SHARDS])
def test_failed_job_goes_on(tmp_path, undisturbed, monkeypatch, units_before):
  convert_unit = transforms.convert_unit

  def fail_late(job, unit):
    if len(converted) == units_before:
      raise OSError('gone')
    converted.append(unit.index)
    return convert_unit(job, unit)

  converted = []
  with monkeypatch.context() as patch:
    if units_before < NUM_SHARDS:
      patch.setattr(transforms, 'convert_unit', fail_late)
    else:  # Everything is written, but not yet a dataset.
      patch.setattr(os, 'rename', fail_late)
      converted = [None] * NUM_SHARDS
    with pytest.raises((execution.BeamJobError, OSError), match='gone'):
      build_rlds.convert(_config(tmp_path))
  assert not (tmp_path / VERSION).exists()
  build_rlds.convert(_config(tmp_path))
  assert _bytes_of(tmp_path / VERSION) == undisturbed


def test_unfinished_job_is_not_mixed_with_another(tmp_path, monkeypatch):
  def fail(*_):
    raise OSError('gone')

  with monkeypatch.context() as patch:
    patch.setattr(transforms, 'convert_unit', fail)
    with pytest.raises(execution.BeamJobError):
      build_rlds.convert(_config(tmp_path))
  with pytest.raises(
      work_directory.OtherJobError,
      match=r"checkpoints was '0,1,2' and is '2'; num_shards was 8 and is 2",
  ):
    build_rlds.convert(_config(tmp_path, checkpoints='2', num_shards=2))


def test_two_at_once_are_refused(tmp_path):
  work = work_directory.WorkDirectory.beside(str(tmp_path / VERSION))
  with work.locked():
    with pytest.raises(work_directory.BusyError, match='is in use by process'):
      build_rlds.convert(_config(tmp_path))


def test_what_remains_of_a_finished_job_is_no_obstacle(tmp_path, undisturbed):
  """As if the job had been killed between renaming and cleaning up."""
  build_rlds.convert(_config(tmp_path))
  work = work_directory.WorkDirectory.beside(str(tmp_path / VERSION))
  os.makedirs(work.dataset)
  summary = build_rlds.convert(_config(tmp_path))
  assert summary.transitions == 19196
  assert _bytes_of(tmp_path / VERSION) == undisturbed
