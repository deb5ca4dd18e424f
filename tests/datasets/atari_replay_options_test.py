"""Tests of the TFDS builder's options: Beam, file formats, configurations.

Whatever the way, the records are those that `build_rlds.py` writes.
"""

import itertools
import os
import pathlib
import shutil
import subprocess
import sys

from apache_beam.options import pipeline_options
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import log_records
from rrl_pipeline.datasets import atari_replay
from rrl_pipeline.datasets.atari_replay import atari_replay_dataset_builder
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example

ROOT = pathlib.Path(__file__).parents[2]
LOG = ROOT / 'tests' / 'testdata' / 'dopamine' / 'wrapped' / 'checkpoints'
BEAM = pipeline_options.PipelineOptions(['--runner=FnApiRunner'])


def _records(path):
  """The records of each split, in order."""
  dataset = dataset_files.Dataset(path)
  found = {}
  for shard in dataset.shards:
    found.setdefault(shard.split, []).extend(
        tf_example.parse(record) for record in dataset.records(shard)
    )
  return found


def _check_equal(built, converted):
  """Names the episodes that differ: whole records are too long to print."""
  assert {
      split: [_uid(record) for record in records]
      for split, records in built.items()
  } == {
      split: [_uid(record) for record in records]
      for split, records in converted.items()
  }
  for split, records in converted.items():
    for mine, its in zip(built[split], records, strict=True):
      assert mine == its, _uid(its)


def _uid(record):
  return record.features.feature[schema.UID].bytes_list.value[0]


def _convert(data_dir, **options):
  return _records(
      build_rlds.convert(
          build_rlds.BuildRldsConfig(str(LOG), str(data_dir), **options)
      ).path
  )


def _build(data_dir, config, manual_dir=LOG, beam_options=None, **kwargs):
  builder = atari_replay.Builder(config=config, data_dir=data_dir, **kwargs)
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          manual_dir=manual_dir,
          try_download_gcs=False,
          beam_options=beam_options,
      )
  )
  return _records(builder.data_dir)


@pytest.mark.parametrize('beam_options', (None, BEAM), ids=('plain', 'beam'))
@pytest.mark.parametrize(
    'name, file_format, options',
    (
        ('Pong_run_2', 'tfrecord', dict(checkpoints='all')),
        (
            'Pong_run_2_raw',
            'array_record',
            dict(checkpoints='0,2', split_by_checkpoint=True),
        ),
    ),
)
def test_records_are_those_of_the_job(
    tmp_path, name, file_format, options, beam_options
):
  config = atari_replay_dataset_builder.AtariReplayRun(name=name, **options)
  built = _build(
      tmp_path / 'tfds', config, beam_options=beam_options,
      file_format=file_format,
  )
  converted = _convert(
      tmp_path / 'job', run=2, file_format=file_format,
      frame_encoding='raw' if name.endswith('raw') else 'png', **options,
  )
  assert len(built) == (2 if options.get('split_by_checkpoint') else 1)
  _check_equal(built, converted)


def test_command_takes_options_of_beam_and_of_the_log(tmp_path):
  """`tfds build` itself: Beam, a file format, and a configuration in JSON."""
  subprocess.run(
      [
          sys.executable, '-m', 'tensorflow_datasets.scripts.cli.main',
          'build', str(ROOT / 'datasets' / 'atari_replay'),
          '--config={"name": "Pong_run_3_raw", "checkpoints": "all"}',
          f'--manual_dir={LOG}', f'--data_dir={tmp_path}',
          '--file_format=array_record', '--num_shards=2',
          '--beam_pipeline_options=runner=FnApiRunner',
      ],
      check=True, capture_output=True,
      env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )
  path = tmp_path / 'atari_replay' / 'Pong_run_3_raw' / '1.1.0'
  assert len(list(path.glob('*.array_record-*-of-00002'))) == 2
  _check_equal(
      _records(path),
      _convert(
          tmp_path / 'job', run=3, checkpoints='all',
          file_format='array_record', frame_encoding='raw',
      ),
  )
  # Any episode by its number, without TensorFlow's input pipeline.
  source = tfds.builder_from_directory(path).as_data_source(split='train')
  assert source[21]['episode_id'] == 7


@pytest.mark.parametrize('beam_options', (None, BEAM), ids=('plain', 'beam'))
def test_lost_episodes_are_noticed(tmp_path, beam_options, monkeypatch):
  read = log_records.LogRecords.read
  monkeypatch.setattr(
      log_records.LogRecords,
      'read',
      lambda self, part: itertools.islice(read(self, part), 11),
  )
  with pytest.raises(RuntimeError, match="12 episodes for split 'train', but 11"):
    _build(tmp_path, 'Pong_run_1_raw', beam_options=beam_options)
  assert not (tmp_path / 'atari_replay' / 'Pong_run_1_raw' / '1.1.0').exists()


@pytest.mark.parametrize('at_once', (True, False))
def test_parquet_is_refused_with_the_reason(tmp_path, at_once):
  builder = atari_replay.Builder(
      config='Pong_run_1', data_dir=tmp_path,
      **(dict(file_format='parquet') if at_once else {}),
  )
  with pytest.raises(ValueError, match='Parquet writer of TFDS loses records'):
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=LOG),
        **({} if at_once else dict(file_format='parquet')),
    )
  assert not (tmp_path / 'atari_replay').exists()


def test_folder_named_like_the_configuration_is_taken(tmp_path):
  shutil.copytree(LOG, tmp_path / 'logs' / 'Seaquest_run_4')
  built = _build(
      tmp_path / 'data', 'Seaquest_run_4_raw', manual_dir=tmp_path / 'logs'
  )
  assert len(built['train']) == 12


def test_folder_without_a_log(tmp_path):
  with pytest.raises(ValueError, match='holds no'):
    _build(tmp_path / 'data', 'Pong_run_1', manual_dir=tmp_path)


def test_name_of_no_configuration():
  with pytest.raises(ValueError, match="named 'pong'; expected <Game>_run_"):
    atari_replay_dataset_builder.AtariReplayRun(name='pong')


def test_version_has_a_release_note():
  builder = atari_replay.Builder
  assert str(builder.VERSION) in builder.RELEASE_NOTES
  assert list(builder.RELEASE_NOTES) == sorted(
      builder.RELEASE_NOTES, reverse=True
  )
