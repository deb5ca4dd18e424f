"""Tests of the job that computes statistics and leaves the card."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import mlcroissant as mlc
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import compute_statistics
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import statistics_job
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.testing import small_datasets

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(name='original', scope='module')
def fixture_original(tmp_path_factory):
  return small_datasets.convert(
      tmp_path_factory.mktemp('dataset'),
      small_datasets.episodes(),
      num_shards=3,
  )


@pytest.fixture(name='dataset_dir')
def fixture_dataset_dir(original, tmp_path):
  """A copy of a dataset to write into."""
  path = tmp_path / 'atari_replay' / 'Pong_run_1' / '1.1.0'
  shutil.copytree(original.path, path)
  return path


def _compute(path, args=(), **options):
  return compute_statistics.compute(
      compute_statistics.ComputeStatisticsConfig(str(path), **options), args
  )


def _contents(path):
  return {
      str(file.relative_to(path)): file.read_bytes()
      for file in path.rglob('*')
      if file.is_file()
  }


def test_writes_statistics_card_and_croissant(dataset_dir):
  before = set(_contents(dataset_dir))
  value = _compute(dataset_dir)
  after = _contents(dataset_dir)
  assert json.loads(after['statistics.json']) == json.loads(json.dumps(value))
  assert value['episodes'] == 5
  assert set(after) - before == {
      'statistics.json', 'croissant.json', 'card/README.md', 'card/index.html',
      *(f'card/{name}.png' for name in (
          'actions', 'frames', 'lengths', 'progress', 'returns', 'rewards')),
      *(f'card/{kind}.gif' for kind in ('best', 'median', 'worst')),
  }
  assert os.listdir(dataset_dir.parent) == ['1.1.0']  # No work folder is left.


def test_no_card(dataset_dir):
  before = set(_contents(dataset_dir))
  _compute(dataset_dir, card=False)
  assert set(_contents(dataset_dir)) - before == {'statistics.json'}


def test_tfds_ignores_what_was_added(dataset_dir):
  _compute(dataset_dir, license='CC-BY-4.0')
  for builder in (
      tfds.builder_from_directory(dataset_dir),
      tfds.builder(
          'atari_replay/Pong_run_1', data_dir=dataset_dir.parents[2]
      ),
  ):
    episodes = list(builder.as_dataset(split='train'))
    assert len(episodes) == 5
    assert builder.info.redistribution_info.license == 'CC-BY-4.0'
    assert builder.info.metadata['conversion']['totals']['episodes'] == 5
  assert [version.name for version in dataset_dir.parent.iterdir()] == ['1.1.0']


@pytest.mark.parametrize(
    'args',
    (
        ['--runner=BundleBasedDirectRunner'],
        ['--direct_num_workers=2', '--direct_running_mode=multi_processing'],
    ),
)
def test_same_bytes_on_every_runner(dataset_dir, args, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(ROOT))
  _compute(dataset_dir)
  first = _contents(dataset_dir)
  _compute(dataset_dir, args)
  assert _contents(dataset_dir) == first


def test_licence_is_kept_by_later_runs(dataset_dir):
  _compute(dataset_dir, card=False, license='CC-BY-4.0')
  _compute(dataset_dir, card=False)
  assert dataset_files.Dataset(dataset_dir).license == 'CC-BY-4.0'
  assert (dataset_dir / 'LICENSE').read_text() == 'CC-BY-4.0'


def test_croissant_is_valid_and_loads(dataset_dir):
  _compute(dataset_dir, license='CC-BY-4.0')
  croissant = mlc.Dataset(dataset_dir / 'croissant.json')
  assert not croissant.metadata.ctx.issues.errors
  # Loading compares the file's checksum, too.
  (record,) = croissant.records('checkpoints')
  assert record['checkpoints/slice'] == b'train[0:5]'
  assert record['checkpoints/episodes'] == 5
  named = {
      field.name
      for record_set in croissant.metadata.record_sets
      if record_set.id == 'train/episodes'
      for field in record_set.fields
  }
  assert {schema.UID, schema.EPISODE_RETURN, schema.STEPS} <= named


def test_damaged_file_is_named(dataset_dir):
  path = dataset_dir / 'atari_replay-train.tfrecord-00001-of-00003'
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)
  with pytest.raises(
      dataset_files.DatasetError,
      match='00001-of-00003.*checksum.*copy or build the dataset anew',
  ):
    _compute(dataset_dir)
  assert not (dataset_dir / 'statistics.json').exists()


def test_missing_file_is_named(dataset_dir):
  (dataset_dir / 'atari_replay-train.tfrecord-00000-of-00003').unlink()
  with pytest.raises(
      dataset_files.DatasetError, match='not complete: .*00000-of-00003 is miss'
  ):
    _compute(dataset_dir)


def test_failure_of_beam_is_no_result(dataset_dir, monkeypatch):
  def fail(*_):
    raise OSError('the disk is on fire')

  monkeypatch.setattr(statistics_job.statistics, 'summarise', fail)
  with pytest.raises(execution.BeamJobError, match='the disk is on fire'):
    _compute(dataset_dir)
  monkeypatch.undo()
  assert _compute(dataset_dir)['episodes'] == 5


def test_records_that_a_runner_loses_are_noticed(dataset_dir, monkeypatch):
  merge = statistics_job.statistics.merge

  def lose(parts):
    merged = merge(parts)
    del merged.rows[2:]
    return merged

  monkeypatch.setattr(statistics_job.statistics, 'merge', lose)
  with pytest.raises(dataset_files.DatasetError, match='2 of the 5 episodes'):
    _compute(dataset_dir)


def test_two_at_once_are_refused(dataset_dir):
  work = work_directory.WorkDirectory(
      str(dataset_dir.parent / '.statistics-1.1.0')
  )
  with work.locked():
    with pytest.raises(work_directory.BusyError, match='is in use by process'):
      _compute(dataset_dir)


def _start(dataset_dir):
  return subprocess.Popen(
      [
          sys.executable, str(ROOT / 'beam_jobs' / 'compute_statistics.py'),
          f'--dataset_dir={dataset_dir}',
      ],
      env={**os.environ, 'PYTHONPATH': str(ROOT)},
      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
  )


@pytest.fixture(name='large')
def fixture_large(tmp_path):
  """A dataset of several files, each of which takes a moment."""
  config = build_rlds.BuildRldsConfig(
      log_dir=str(ROOT / 'tests/testdata/dopamine/wrapped/checkpoints'),
      data_dir=str(tmp_path),
      checkpoints='all',
      num_shards=8,
  )
  return pathlib.Path(build_rlds.convert(config).path)


def _count_episodes(patch):
  """A list that grows with each episode that is summarised."""
  read = []
  summarise = statistics_job.statistics.summarise

  def count(*args):
    read.append(args)
    return summarise(*args)

  patch.setattr(statistics_job.statistics, 'summarise', count)
  return read


def test_killed_job_goes_on(large, monkeypatch):
  _compute(large, card=False)
  undisturbed = _contents(large)
  (large / 'statistics.json').unlink()
  work = work_directory.WorkDirectory(
      str(large.parent / f'.statistics-{large.name}')
  )
  manifests = pathlib.Path(work.manifest(0)).parent
  process = subprocess.Popen(
      [
          sys.executable, str(ROOT / 'beam_jobs' / 'compute_statistics.py'),
          f'--dataset_dir={large}', '--no-card',
      ],
      env={**os.environ, 'PYTHONPATH': str(ROOT)},
      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
  )
  while process.poll() is None and not list(manifests.glob('unit-*.json')):
    time.sleep(0.001)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  shards = dataset_files.Dataset(large).shards
  to_do = [
      shard for shard in shards
      if not os.path.exists(work.manifest(shard.index))
  ]
  assert 0 < len(to_do) < len(shards)
  assert not (large / 'statistics.json').exists()

  read = _count_episodes(monkeypatch)
  _compute(large, card=False)
  assert len(read) == sum(shard.num_episodes for shard in to_do)
  assert _contents(large) == undisturbed
  assert not os.path.exists(work.root)


@pytest.mark.parametrize('is_changed', [False, True])
def test_files_that_changed_are_read_anew(dataset_dir, monkeypatch, is_changed):
  def fail(*_):
    raise OSError('the disk is on fire')

  with monkeypatch.context() as patch:
    patch.setattr(statistics_job.CombineStatistics, 'extract_output', fail)
    with pytest.raises(execution.BeamJobError, match='goes on from there'):
      _compute(dataset_dir)
  if is_changed:
    os.utime(dataset_dir / 'atari_replay-train.tfrecord-00001-of-00003', (0, 0))
  read = _count_episodes(monkeypatch)
  _compute(dataset_dir, card=False)
  assert len(read) == (5 if is_changed else 0)
  resumed = (dataset_dir / 'statistics.json').read_bytes()
  _compute(dataset_dir, card=False)
  assert (dataset_dir / 'statistics.json').read_bytes() == resumed


def test_program(dataset_dir):
  command = [
      sys.executable, str(ROOT / 'beam_jobs' / 'compute_statistics.py'),
      f'--dataset_dir={dataset_dir}', '--no-card', '--license=CC-BY-4.0',
  ]
  environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
  result = subprocess.run(
      command, capture_output=True, text=True, env=environment, check=True
  )
  assert '1.1.0: 5 episodes, 33 steps, ' in result.stdout
  assert '3 of 3 files to read, with 5 of the 5 episodes' in result.stderr
  result = subprocess.run(
      [*command, '--licence=x'], capture_output=True, text=True,
      env=environment, check=False,
  )
  assert result.returncode == 2
  assert 'did you mean --license?' in result.stderr


def test_folder_without_a_dataset(dataset_dir, tmp_path, capsys):
  flags = [f'--dataset_dir={tmp_path}']
  assert compute_statistics.main(flags) == 1
  error = capsys.readouterr().err
  assert f'{tmp_path} holds no dataset' in error
  assert f'Below it there are: {dataset_dir}' in error


def test_bad_licence(dataset_dir):
  with pytest.raises(ValueError, match='expected an SPDX name such as CC-BY'):
    _compute(dataset_dir, license='two\nlines')
