"""Tests of the table of stages: complete, in order, and cheap to import."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline import overrides
from rrl_pipeline import run_directory
from rrl_pipeline import stages
from rrl_pipeline.launch import pipeline

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ORDER = (
    'teacher',
    'collect',
    'dataset',
    'offline',
    'online',
    'evaluate',
    'report',
)
_FIELDS = {
    field.name for field in dataclasses.fields(config_lib.PipelineConfig)
}


def test_all_stages_are_there_in_order():
  assert tuple(stage.name for stage in pipeline.STAGES) == _ORDER


@pytest.mark.parametrize('stage', pipeline.STAGES, ids=lambda s: s.name)
def test_stage_needs_earlier_ones_and_reads_settings_that_exist(stage):
  earlier = _ORDER[: _ORDER.index(stage.name)]
  assert set(stage.needs) <= set(earlier)
  assert set(stage.reads) <= _FIELDS
  assert stage.summary.endswith('.') and '\n' not in stage.summary


def test_every_group_of_settings_is_read_by_a_stage():
  read = {name for stage in pipeline.STAGES for name in stage.reads}
  assert read == _FIELDS


def test_settings_that_may_change_belong_to_a_stage_that_is_made_again():
  readers = [stage for stage in pipeline.STAGES if 'report' in stage.reads]
  assert [stage.name for stage in readers] == ['report']
  assert readers[0].cheap


def test_table_imports_no_stage():
  program = (
      'import sys\n'
      'from rrl_pipeline.launch import pipeline\n'
      'slow = ("tensorflow", "reverb", "apache_beam", "matplotlib")\n'
      'print([name for name in slow if name in sys.modules])\n'
  )
  result = subprocess.run(
      [sys.executable, '-c', program],
      cwd=_ROOT,
      env=os.environ | {'PYTHONPATH': str(_ROOT)},
      capture_output=True,
      text=True,
      check=True,
  )
  assert result.stdout == '[]\n'


def _context(tmp_path, *changes):
  run = run_directory.RunDirectory(tmp_path / 'run')
  directory = run.stage('any')
  directory.mkdir(parents=True)
  return stages.Context(
      config=overrides.apply(config_lib.PipelineConfig(), changes),
      run=run,
      directory=directory,
      inputs={},
  )


def _run(name, context):
  stage, = (stage for stage in pipeline.STAGES if stage.name == name)
  return stage.run(context)


def test_logs_of_the_user_are_used_where_they_are(tmp_path):
  logs = tmp_path / 'logs'
  logs.mkdir()
  result = _run('collect', _context(tmp_path, f'logs.path={logs}'))
  assert result == stages.Result(outputs={'logs': str(logs)})


def test_logs_that_are_not_there_are_refused_at_once(tmp_path):
  with pytest.raises(
      ValueError, match="logs.path is '/no/logs', which is no directory; give"
  ):
    _run('collect', _context(tmp_path, 'logs.path=/no/logs'))


def test_nothing_is_collected_for_a_dataset_that_exists(tmp_path):
  result = _run('collect', _context(tmp_path, 'dataset.path=/some/where'))
  assert result == stages.Result()


def test_dataset_that_is_not_there_is_refused_at_once(tmp_path):
  with pytest.raises(ValueError, match='/no/dataset holds no RLDS dataset'):
    _run('dataset', _context(tmp_path, 'dataset.path=/no/dataset'))


def _write_dataset(directory, num_episodes):
  """A TFDS dataset of episodes of two steps; returns its version folder."""
  import tensorflow_datasets as tfds

  steps = {
      'observation': np.zeros((2, 84, 84, 1), np.uint8),
      'action': [0, 0],
      'reward': [0.0, 0.0],
      'is_first': [True, False],
      'is_last': [False, True],
      'is_terminal': [False, True],
  }
  features = {
      'observation': tfds.features.Image(shape=(84, 84, 1)),
      'action': np.int64,
      'reward': np.float32,
      'is_first': np.bool_,
      'is_last': np.bool_,
      'is_terminal': np.bool_,
  }
  return tfds.dataset_builders.store_as_tfds_dataset(
      name='small',
      version='1.0.0',
      features=tfds.features.FeaturesDict(
          {'steps': tfds.features.Dataset(features)}
      ),
      split_datasets={
          'train': [(i, {'steps': steps}) for i in range(num_episodes)]
      },
      data_dir=directory,
  ).data_path


def test_datasets_to_mix_are_checked_and_listed(tmp_path):
  own, *mixed = (
      _write_dataset(tmp_path / name, count)
      for name, count in (('a', 1), ('b', 3), ('c', 2))
  )
  changes = [f'dataset.path={own}', f'dataset.mix={mixed[0]},{mixed[1]}']
  result = _run('dataset', _context(tmp_path, *changes))
  assert result.outputs['dataset'] == str(own)
  assert result.outputs['mixed_001'] == str(mixed[0])
  assert result.outputs['mixed_002'] == str(mixed[1])
  assert len({v for k, v in result.outputs.items() if 'sha256' in k}) == 3
  assert result.counts['episodes'] == 1
  assert result.counts['mixed_001']['steps'] == 6
  with pytest.raises(ValueError, match='/no/dataset holds no RLDS dataset'):
    _run('dataset', _context(
        tmp_path / 'other', f'dataset.path={own}', 'dataset.mix=/no/dataset'))
