"""Tests of what is said of a student, for every method that has a name."""

import dataclasses

import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline import settings
from rrl_pipeline.agents import methods
from rrl_pipeline.reports import inheritance

_REINCARNATED = 'the reincarnated student'
_FINE_TUNED = "the student that goes on with its teacher's network"
_PRETRAINED = "the student pre-trained on its teacher's data"
_REHEARSING = "the student that learns from its teacher's data, too,"
_STUDENTS = {
    'qdagger': _REINCARNATED,
    'tabula_rasa': 'the agent trained from scratch',
    'kickstarting': _REINCARNATED,
    'jsrl': 'the student whose episodes its teacher begins',
    'rehearsal': _REHEARSING,
    'pretraining': _PRETRAINED,
    'dqfd': "the student that learns its teacher's choices by a margin",
    'fine_tuning': _FINE_TUNED,
    'qdagger_rainbow': _REINCARNATED,
    'qdagger_constant': _REINCARNATED,
    'distillation_only': 'the student that only imitates its teacher',
    'kickstarting_one_step': _REINCARNATED,
    'reload_original_lr': _FINE_TUNED,
    'fine_tuning_rmsprop': _FINE_TUNED,
    'warm_start': _PRETRAINED,
    'symmetric_sampling': _REHEARSING,
}


def _configuration(name):
  """config.json of a run of a method."""
  method = methods.METHODS[name]
  config = config_lib.PipelineConfig(agent=method.agent)
  if not method.learns_offline:
    config = dataclasses.replace(
        config, offline=dataclasses.replace(config.offline, num_learner_steps=0)
    )
  return settings.to_json_value(config)


@pytest.mark.parametrize('name', methods.METHODS)
def test_every_method(name):
  configuration = _configuration(name)
  assert inheritance.student(configuration) == _STUDENTS[name]
  assert inheritance.is_from_scratch(configuration) == (name == 'tabula_rasa')
  assert inheritance.is_guided(configuration) == (
      methods.METHODS[name].agent.learns_from_teacher
  )


def test_methods_that_never_wean():
  never = {
      name
      for name in methods.METHODS
      if inheritance.is_guided(_configuration(name))
      and not inheritance.is_weaned_by_method(_configuration(name))
  }
  assert never == {'qdagger_constant', 'distillation_only'}


def test_settings_that_are_not_recorded_are_those_of_qdagger():
  for configuration in ({}, {'agent': {'n_step': 3}}):
    assert inheritance.student(configuration) == _REINCARNATED
    assert inheritance.is_weaned_by_method(configuration)
