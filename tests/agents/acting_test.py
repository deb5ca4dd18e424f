"""Tests of acting: the schedule of ε, greedy actions and exploration."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from rrl_pipeline.agents import acting
from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import methods
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import nature


@pytest.mark.parametrize(
    'steps, expected',
    [(0, 1.0), (10_000, 0.802), (25_000, 0.505), (50_000, 0.01), (10**7, 0.01)],
)
def test_epsilon_falls_linearly_for_an_agent_from_scratch(steps, expected):
  config = methods.METHODS['tabula_rasa'].agent
  assert acting.epsilon(config, steps) == pytest.approx(expected)


def test_epsilon_of_a_pretrained_student_starts_at_its_end():
  config = methods.METHODS['qdagger'].agent
  assert {acting.epsilon(config, steps) for steps in (0, 1, 10**6)} == {0.01}


def test_no_decay_means_the_end_at_once():
  config = dataclasses.replace(
      methods.METHODS['tabula_rasa'].agent, epsilon_decay_steps=0
  )
  assert acting.epsilon(config, 0) == config.epsilon_end


def test_greedy_actions_are_those_of_the_greatest_value():
  network = nature.make(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=4),
      (12, 12, 2),
      5,
      seed=0,
  )
  policy = acting.GreedyPolicy(network)
  generator = np.random.default_rng(0)
  for batch in (1, 7):
    observations = generator.integers(0, 256, (batch, 12, 12, 2), np.uint8)
    actions = policy(observations)
    expected = network(observations).numpy().argmax(axis=1)
    np.testing.assert_array_equal(actions, expected)
  # The policy follows the network as it learns.
  bias = network.get_layer('q_values').bias
  for best in range(5):
    bias.assign(100.0 * np.eye(5)[best])
    assert (policy(observations) == best).all()


def test_a_policy_takes_vectors():
  network = builder.make_network(
      network_config.MlpConfig(hidden_sizes=(4,)),
      algorithm_config.QuantileConfig(num_quantiles=3),
      (7,), 'float32', 5, seed=0,
  )
  x = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
  np.testing.assert_array_equal(
      acting.GreedyPolicy(network)(x), network(x).numpy().argmax(axis=1)
  )


def test_exploration_is_uniform_over_all_actions():
  generator = np.random.default_rng(0)
  actions = [acting.explore(2, 0.4, 4, generator) for _ in range(20_000)]
  assert {type(action) for action in actions} == {int}
  counts = np.bincount(actions, minlength=4)
  expected = 20_000 * np.array([0.1, 0.1, 0.7, 0.1])
  assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize('epsilon, expected', [(0.0, {2}), (1.0, {0, 1, 2, 3})])
def test_extremes_of_epsilon(epsilon, expected):
  generator = np.random.default_rng(0)
  actions = {acting.explore(2, epsilon, 4, generator) for _ in range(1_000)}
  assert actions == expected


def test_the_horizon_of_the_roll_in_shrinks_to_nothing():
  config = methods.METHODS['jsrl'].agent.roll_in
  values = [acting.horizon(config, count) for count in range(29)]
  assert values[:6] == [1000, 800, 640, 512, 409, 327]
  assert values[26:] == [1, 0, 0]  # And stays there.
  assert all(a > b for a, b in zip(values[:27], values[1:28]))
  assert acting.horizon(methods.METHODS['qdagger'].agent.roll_in, 5) == 0


def test_roll_ins_are_drawn_from_one_to_the_horizon():
  generator = np.random.default_rng(0)
  lengths = [acting.roll_in_steps(5, generator) for _ in range(5_000)]
  counts = np.bincount(lengths, minlength=6)
  assert counts[0] == 0 and len(counts) == 6
  assert stats.chisquare(counts[1:]).pvalue > 1e-3
  before = generator.bit_generator.state
  assert acting.roll_in_steps(0, generator) == 0
  assert generator.bit_generator.state == before
