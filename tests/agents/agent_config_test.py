"""Tests of the agents' settings: the paper's numbers, and what is refused."""

import pytest

from rrl_pipeline import config as run_config
from rrl_pipeline import overrides
from rrl_pipeline import settings
from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import config
from rrl_pipeline.agents import methods
from rrl_pipeline.agents import optimizer_config
from rrl_pipeline.networks import config as network_config


def test_qdagger_has_the_papers_settings():
  agent = methods.METHODS['qdagger'].agent
  assert agent.distillation_weight == 3.0 and agent.temperature == 0.1
  assert (agent.learning_rate, agent.weaned_learning_rate) == (1e-4, 1e-5)
  assert agent.optimizer == optimizer_config.AdamConfig(epsilon=1.5e-4)
  assert (agent.n_step, agent.discount, agent.batch_size) == (3, 0.99, 32)
  assert agent.weaning.steps == 1_500_000
  assert (agent.min_replay_steps, agent.replay_capacity) == (20_000, 1_000_000)
  # Every 8,000 agent steps, at one update in four.
  assert agent.target_update_period * agent.update_period == 8_000


def test_tabula_rasa_is_the_same_student_without_a_teacher():
  student = methods.METHODS['qdagger'].agent
  alone = methods.METHODS['tabula_rasa'].agent
  assert alone.distillation_weight == 0
  assert alone.learning_rate == alone.weaned_learning_rate == 6.25e-5
  assert (alone.epsilon_start, alone.epsilon_decay_steps) == (1.0, 50_000)
  for name in ('n_step', 'discount', 'batch_size', 'optimizer', 'algorithm',
               'update_period', 'target_update_period', 'min_replay_steps'):
    assert getattr(alone, name) == getattr(student, name)


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'n_step': 0}, 'n_step must be at least 1, got 0'),
        ({'batch_size': 0}, 'batch_size must be at least 1'),
        ({'target_update_period': 0}, 'update_period must be at least 1'),
        ({'update_period': -1}, 'update_period must be at least 1, got -1'),
        ({'min_replay_steps': 0}, 'min_replay_steps must be at least 1'),
        ({'replay_capacity': 0}, 'replay_capacity must be at least 1'),
        ({'learning_rate': 0.0}, 'learning_rate must be positive, got 0.0'),
        ({'weaned_learning_rate': -1e-5}, 'weaned_learning_rate must be posit'),
        ({'epsilon_start': 1.5}, 'epsilon_start must be a probab.* got 1.5'),
        ({'epsilon_end': -0.1}, 'epsilon_end must be a probability, got -0.1'),
        ({'discount': 0.0}, r'discount must be in \(0, 1\], got 0.0'),
        ({'discount': 1.01}, r'discount must be in \(0, 1\], got 1.01'),
        ({'temperature': 0.0}, 'temperature must be positive, got 0.0'),
        ({'distillation_weight': -1.0}, 'must not be negative, got -1.0'),
        ({'td_weight': -1.0}, 'td_weight must not be negative'),
        ({'margin': -0.1}, 'margin must not be negative, got -0.1'),
        ({'conservative_weight': -1.0}, 'must not be negative'),
        ({'initial_network': 'old'}, "initial_network must be .*'old'"),
        ({'margin_form': 'mean'}, "margin_form must be one of .*'mean'"),
        ({'precision': 'float16'}, "precision must be one of .*'float16'"),
        ({'diagnostics_period': 0}, 'diagnostics_period must be at least 1'),
        ({'replay_capacity': 19_999}, r'19999\) must hold min_replay_steps'),
    ],
)
def test_impossible_settings_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    config.AgentConfig(**settings)


@pytest.mark.parametrize(
    'override, algorithm',
    [
        ('agent.algorithm.kind=c51', algorithm_config.C51Config()),
        ('agent.algorithm.kind=quantile', algorithm_config.QuantileConfig()),
        ('agent.algorithm.kind=iqn', algorithm_config.IqnConfig()),
    ],
)
def test_the_algorithm_is_chosen_by_its_kind(override, algorithm):
  run = overrides.apply(run_config.PipelineConfig(), [override])
  assert run.agent.algorithm == algorithm
  written = settings.to_json_value(run)
  assert written['agent']['algorithm']['kind'] == algorithm.kind
  assert settings.from_json_value(run_config.PipelineConfig, written) == run


def test_the_optimizer_and_the_network_are_chosen_by_their_kind():
  run = overrides.apply(
      run_config.PipelineConfig(),
      [
          'agent.optimizer.kind=rmsprop', 'agent.optimizer.epsilon=1e-4',
          'network.kind=impala', 'network.width=2',
      ],
  )
  assert run.agent.optimizer == optimizer_config.RmspropConfig(epsilon=1e-4)
  assert run.network == network_config.ImpalaConfig(width=2)
