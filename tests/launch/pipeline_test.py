"""Tests of the table of stages: complete, in order, and cheap to import."""

import dataclasses
import os
import pathlib
import subprocess
import sys

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
