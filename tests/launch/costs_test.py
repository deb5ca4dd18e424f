"""Tests of what a stage says before it runs."""

import dataclasses
import types

import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline import overrides
from rrl_pipeline import run_directory
from rrl_pipeline import stages
from rrl_pipeline.launch import costs
from rrl_pipeline.launch import stage_seconds
from rrl_pipeline.training import probe

_ENVIRONMENT, _INFERENCE, _UPDATE = 0.001, 0.002, 0.04


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch):
  for measurement in ('environment_step', 'act', 'update'):
    monkeypatch.setattr(
        stage_seconds,
        measurement,
        # What other tests measured is not seen, nor are these seen by them.
        getattr(stage_seconds, measurement).__wrapped__,
    )
  monkeypatch.setattr(
      probe, 'seconds_per_environment_step', lambda *_: _ENVIRONMENT
  )
  monkeypatch.setattr(probe, 'seconds_per_batch', lambda *_: _INFERENCE)
  monkeypatch.setattr(probe, 'seconds_per_update', lambda *_: _UPDATE)


def _context(tmp_path, *changes, inputs=None):
  small = ['network.channels=2,2,2', 'network.hidden_units=2']
  return stages.Context(
      config=overrides.apply(
          config_lib.PipelineConfig(), [*small, *changes]
      ),
      run=run_directory.RunDirectory(tmp_path),
      directory=tmp_path,
      inputs=inputs or {},
  )


def test_offline_counts_updates_and_frames(tmp_path):
  context = _context(
      tmp_path,
      'offline.num_learner_steps=90_000',
      'offline.max_memory_gib=0.7',
      inputs={'dataset': {'counts': {'steps': 100_000}}},
  )
  # 90,000 * 0.04 s = 3,600 s; 100,000 * 84 * 84 B = 705.6 MB = 0.66 GiB.
  assert costs.offline(context) == (
      '90,000 updates, 705.6 MB of frames in memory: about 60 min and'
      ' evaluations'
  )
  config = dataclasses.replace(
      context.config,
      offline=dataclasses.replace(context.config.offline, max_memory_gib=0.6),
  )
  context = dataclasses.replace(context, config=config)
  assert 'in a mapped file' in costs.offline(context)
  context = _context(
      tmp_path,
      'offline.max_memory_gib=0.7',
      'offline.max_disk_gib=1.3',
      inputs={
          'dataset': {
              'counts': {'steps': 100_000, 'mixed_001': {'steps': 100_000}}
          }
      },
  )
  assert ' 1.4 GB of frames in a rolling pool:' in costs.offline(context)


def test_online_counts_both_agents(tmp_path):
  settings = ('online.num_actor_steps=1000', 'agent.update_period=4')
  # 1000 * (0.001 + 0.002 + 0.04 / 4) s = 13 s for the student; the control has
  # an update at every step: 1000 * (0.003 + 0.04) s = 43 s.
  assert costs.online(
      _context(tmp_path, *settings, 'tabula_rasa.update_period=1')
  ) == (
      '1,000 agent steps of the student and as many of the control: about 56 s'
      ' and evaluations'
  )
  assert costs.online(_context(tmp_path, *settings, 'control=false')) == (
      '1,000 agent steps of the student: about 13 s and evaluations'
  )


def test_collect_shares_a_batch_among_environments(tmp_path, monkeypatch):
  from rrl_pipeline.training import teacher

  player = types.SimpleNamespace(
      actions=None,
      description=types.SimpleNamespace(observation_shape=(84, 84, 4)),
  )
  monkeypatch.setattr(teacher, 'load', lambda *_: player)
  # 1,000,000 * (0.001 + 0.002 / 8) s = 1,250 s.
  assert costs.collect(_context(tmp_path)) == (
      '1,000,000 agent steps, 7.1 GB of frames before compression: about 21 min'
  )


def test_what_is_there_costs_nothing(tmp_path):
  assert costs.collect(_context(tmp_path, 'logs.path=/data/1')) == (
      'nothing to collect: the logs are in /data/1'
  )
  given = _context(tmp_path, 'dataset.path=/data/2')
  assert costs.collect(given) == (
      'nothing to collect: the dataset is /data/2'
  )
  assert costs.dataset(given) == 'checks the dataset /data/2'
  assert 'checks and copies the teacher mine' in costs.teacher(
      _context(tmp_path, 'teacher.bundle=mine')
  )


def test_teacher_that_is_trained_costs_its_steps(tmp_path):
  context = _context(
      tmp_path,
      'teacher.network.channels=2,2,2',
      'teacher.network.hidden_units=2',
      'teacher.online.num_actor_steps=2_000_000',
      'teacher.agent.update_period=4',
  )
  # 2,000,000 * 0.013 s = 26,000 s.
  assert costs.teacher(context) == (
      'trains a teacher for 2,000,000 agent steps: about 7.2 h and evaluations'
  )
