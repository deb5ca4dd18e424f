"""Tests of the table of methods: each row against the numbers of its source."""

import dataclasses

import pytest

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import config
from rrl_pipeline.agents import methods
from rrl_pipeline.agents import optimizer_config
from rrl_pipeline.networks import config as network_config

# What the comparison table of the paper's code has for each: λ₀, margin's
# weight, CQL's weight, learning rates before and after weaning, n, whether
# there is an offline stage, and the first exploration rate.
_TABLE = {
    'tabula_rasa': (0, 0, 0, 6.25e-5, 6.25e-5, 3, False, 1.0),
    'kickstarting': (3, 0, 0, 1e-4, 1e-5, 3, False, 1.0),
    'jsrl': (0, 0, 0, 6.25e-5, 6.25e-5, 3, False, 1.0),
    'rehearsal': (0, 0, 0, 6.25e-5, 6.25e-5, 3, False, 1.0),
    'pretraining': (0, 0, 1, 1e-4, 1e-5, 3, True, 0.01),
    'dqfd': (0, 1, 0, 1e-4, 1e-4, 3, True, 0.01),
    'qdagger': (3, 0, 0, 1e-4, 1e-5, 3, True, 0.01),
    'fine_tuning': (0, 0, 0, 1e-5, 1e-5, 1, False, 0.01),
    'qdagger_rainbow': (1, 0, 0, 1e-4, 1e-5, 3, True, 0.01),
    'qdagger_constant': (3, 0, 0, 1e-4, 1e-5, 3, True, 0.01),
    'distillation_only': (3, 0, 0, 1e-4, 1e-5, 3, True, 0.01),
    'kickstarting_one_step': (3, 0, 0, 1e-4, 1e-5, 1, False, 1.0),
    'reload_original_lr': (0, 0, 0, 6.25e-5, 6.25e-5, 1, False, 0.01),
    'fine_tuning_rmsprop': (0, 0, 0, 5e-5, 5e-5, 1, False, 0.01),
    'warm_start': (0, 0, 1, 1e-4, 1e-4, 3, True, 0.01),
    'symmetric_sampling': (0, 0, 0, 6.25e-5, 6.25e-5, 3, False, 1.0),
}


def test_all_methods_are_in_the_table():
  assert set(_TABLE) == set(methods.METHODS)


@pytest.mark.parametrize('name', methods.METHODS)
def test_method_has_the_numbers_of_its_source(name):
  method = methods.METHODS[name]
  agent = method.agent
  assert _TABLE[name] == pytest.approx((
      agent.distillation_weight, agent.margin_weight,
      agent.conservative_weight, agent.learning_rate,
      agent.weaned_learning_rate, agent.n_step, method.learns_offline,
      agent.epsilon_start,
  ))
  # What all have in common.
  assert (agent.discount, agent.batch_size, agent.update_period) == (.99, 32, 4)
  assert (agent.temperature, agent.epsilon_end) == (0.1, 0.01)
  assert agent.target_update_period == 2_000
  assert agent.replay_capacity == 1_000_000
  assert agent.switch.target == 'copied'
  decays = agent.epsilon_start == 1
  assert agent.epsilon_decay_steps == (50_000 if decays else 0)
  assert method.summary.endswith('.') and len(method.summary) < 80


def test_weaning_is_by_score_where_there_is_something_to_wean_from():
  by_score = {
      name for name, method in methods.METHODS.items()
      if method.agent.weaning.schedule == 'score'
  }
  assert by_score == {
      'qdagger', 'kickstarting', 'kickstarting_one_step', 'dqfd',
      'qdagger_rainbow',
  }
  steps = {methods.METHODS[name].agent.weaning.steps for name in by_score}
  assert steps == {1_500_000, 2_500_000}


def test_controls_are_never_weaned():
  for name in ('qdagger_constant', 'distillation_only'):
    assert methods.METHODS[name].agent.weaning.steps is None
  assert methods.METHODS['distillation_only'].agent.td_weight == 0


def test_rows_say_what_is_their_own():
  table = {name: method.agent for name, method in methods.METHODS.items()}
  assert table['jsrl'].roll_in.horizon == 1_000
  assert table['jsrl'].roll_in.shrinkage == 0.8
  assert table['rehearsal'].rehearsal.ratio == 1 / 16
  assert not table['rehearsal'].rehearsal.exact
  assert table['symmetric_sampling'].rehearsal.ratio == 0.5
  assert table['symmetric_sampling'].rehearsal.exact
  assert table['dqfd'].margin == 1
  assert table['dqfd'].margin_form == 'elementwise'
  # A fresh Adam at a tenth of the rate from the first online step on.
  assert table['pretraining'].switch.optimizer == 'fresh'
  assert table['pretraining'].weaning.steps == 0
  assert table['warm_start'].switch.optimizer == 'kept'
  assert table['warm_start'].min_replay_steps == 5_000
  for name in ('fine_tuning', 'reload_original_lr', 'fine_tuning_rmsprop'):
    assert table[name].initial_network == 'teacher'
    assert table[name].switch.replay == 'logs'
  assert table['fine_tuning_rmsprop'].optimizer == (
      optimizer_config.RmspropConfig(decay=0.95, epsilon=1e-5)
  )


def test_rainbow_is_another_network_algorithm_and_replay():
  method = methods.METHODS['qdagger_rainbow']
  assert method.network == network_config.ImpalaConfig()
  assert method.agent.algorithm == algorithm_config.C51Config()
  assert method.agent.prioritized_replay
  others = [m for m in methods.METHODS.values() if m is not method]
  assert not any(m.network or m.agent.prioritized_replay for m in others)


def test_controls_differ_from_their_method_as_said():
  table = {name: method.agent for name, method in methods.METHODS.items()}
  assert dataclasses.replace(
      table['kickstarting_one_step'], n_step=3
  ) == table['kickstarting']
  assert dataclasses.replace(
      table['kickstarting'], epsilon_start=0.01, epsilon_decay_steps=0
  ) == table['qdagger'] == config.AgentConfig()
  assert dataclasses.replace(
      table['distillation_only'], td_weight=1.0
  ) == table['qdagger_constant']
  assert dataclasses.replace(
      table['reload_original_lr'], learning_rate=1e-5,
      weaned_learning_rate=1e-5,
  ) == table['fine_tuning']
