"""Tests of choosing a method by its name, at the scale of a preset."""

import dataclasses

import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline import settings
from rrl_pipeline.agents import methods
from rrl_pipeline.launch import method_choice
from rrl_pipeline.launch import presets
from rrl_pipeline.networks import config as network_config


def _choose(preset, method):
  preset = presets.PRESETS[preset]
  return method_choice.apply(preset.make(), method, preset.adapt)


@pytest.mark.parametrize('method', methods.METHODS)
@pytest.mark.parametrize('preset', presets.PRESETS)
def test_every_method_fits_every_preset(preset, method):
  before, config = presets.PRESETS[preset].make(), _choose(preset, method)
  value = settings.to_json_value(config)
  assert settings.from_json_value(config_lib.PipelineConfig, value) == config
  row = methods.METHODS[method]
  assert bool(config.offline.num_learner_steps) == row.learns_offline
  # Nothing else is touched.
  assert dataclasses.replace(
      config, agent=before.agent, network=before.network, offline=before.offline
  ) == before
  assert config.network == (row.network or before.network)


def test_the_presets_own_method_is_that_of_its_name():
  preset = presets.PRESETS['pong_quick']
  assert _choose('pong_quick', 'qdagger') == preset.make()


@pytest.mark.parametrize('method', methods.METHODS)
def test_a_preset_changes_schedules_and_not_what_makes_the_method(method):
  paper = methods.METHODS[method].agent
  config = _choose('pong_quick', method)
  agent = config.agent
  changed = {
      name.partition('.')[0]
      for name, value in settings.flatten(agent).items()
      if settings.flatten(paper)[name] != value
  }
  assert changed <= {
      'target_update_period', 'min_replay_steps', 'replay_capacity', 'weaning',
      'epsilon_decay_steps', 'learning_rate', 'optimizer',
  }
  assert dataclasses.replace(agent.weaning, steps=0) == dataclasses.replace(
      paper.weaning, steps=0
  )
  # Nothing that ends at a step ends behind the run; what never does, never
  # does, and what is over at once is.
  if paper.weaning.steps:
    assert agent.weaning.steps < config.online.num_actor_steps
  else:
    assert agent.weaning.steps == paper.weaning.steps
  assert agent.optimizer.kind == paper.optimizer.kind


def test_a_method_brings_the_network_that_it_is_made_for():
  config = _choose('pong_quick', 'qdagger_rainbow')
  assert config.network == network_config.ImpalaConfig()
  assert config.agent.algorithm.kind == 'c51'


def test_an_unknown_method_is_refused_by_name():
  with pytest.raises(
      ValueError, match="no method is called 'dqfb'; did you mean dqfd.*jsrl"
  ):
    method_choice.check('dqfb')
