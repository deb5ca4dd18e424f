"""Tests of exploration where it is used: when collecting, and online."""

import dm_env
from dm_env import specs
import numpy as np
import pytest

from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import balloon_policies
from rrl_pipeline.environments import environment
from rrl_pipeline.environments import factory
from rrl_pipeline.training import actor
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import exploration
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import timing

_CONFIG = balloon_config.BalloonConfig()
_STEPS = 200


class _Balloon(environment.Environment):
  """Its pressure depends on the episode and the step alone."""

  def __init__(self, config, seed):
    del config, seed

  def observation_spec(self):
    return specs.Array((1099,), np.float32)

  def action_spec(self):
    return specs.DiscreteArray(3)

  @property
  def action_meanings(self):
    return balloon_policies.ACTION_MEANINGS

  def start_at_episode(self, episode):
    self._episode = episode

  def reset(self):
    self._step = 0
    return dm_env.restart(_observation(self._episode, 0))

  def step(self, action):
    del action
    self._step += 1
    make = dm_env.transition if self._step < _STEPS else dm_env.truncation
    return make(
        np.float32(0),
        _observation(self._episode, self._step),
        np.float32(1),
    )


def _observation(episode, step):
  observation = np.zeros(1099, np.float32)
  observation[0] = 0.4 + 0.2 * np.sin(episode + step / 7)
  return observation


@pytest.fixture(name='balloons')
def fixture_balloons(monkeypatch):
  monkeypatch.setattr(factory, 'make', _Balloon)


def _stay(observations):
  return np.ones(len(observations), np.int64)


def _expected(number, seed, share):
  """What MarcoPolo does around a policy that always stays."""
  generator = np.random.Generator(np.random.Philox(key=[seed, number]))
  marco_polo = balloon_policies.MarcoPolo(share)
  marco_polo.start(generator)
  actions = []
  for step in range(_STEPS):
    generator.random()  # Whether to explore by ε.
    actions.append(marco_polo.action(_observation(number, step), 1))
  return actions


def _play(numbers, num_parallel, share):
  return list(rollouts.play(
      _CONFIG, _stay, numbers, 5, lambda _: 0.0, num_parallel,
      marco_polo_share=share))


def test_collected_flights_explore(balloons):
  played = _play(range(12), 4, 0.5)
  for episode in played:
    np.testing.assert_array_equal(
        episode.actions, _expected(episode.number, 5, 0.5)
    )
  explored = [bool(np.any(episode.actions != 1)) for episode in played]
  assert any(explored) and not all(explored)
  for episode in played:
    # Four hours of the policy come first.
    assert np.all(episode.actions[:80] == 1)


def test_a_flight_does_not_depend_on_its_company(balloons):
  together = _play(range(6), 3, 1.0)
  for number, episode in enumerate(together):
    (alone,) = _play([number], 1, 1.0)
    np.testing.assert_array_equal(episode.actions, alone.actions)


def test_online_flights_explore():
  actions = []

  class Adder:
    """Takes note of the actions."""

    def add_first(self, timestep):
      del timestep
      actions.append([])

    def add(self, action, timestep, teacher_values):
      del timestep, teacher_values
      actions[-1].append(action)

  config = agent_config.AgentConfig(
      epsilon_start=0.0, epsilon_end=0.0, marco_polo_share=1.0
  )
  player = actor.Actor(
      _Balloon(_CONFIG, 0),
      _CONFIG,
      _stay,
      config,
      adder=Adder(),
      seed=9,
      teacher=None,
      stopwatch=timing.Stopwatch(),
      exploration=exploration.make(_CONFIG, config.marco_polo_share),
  )
  for step in range(3 * _STEPS):
    player.step(step, ask_teacher=False)
  assert actions == [_expected(number, 9, 1.0) for number in range(3)]


def test_no_share_draws_nothing():
  generator = np.random.default_rng(0)
  state = generator.bit_generator.state
  none = exploration.make(atari.AtariConfig(), 0.0)
  none.start(generator)
  assert none.action(np.zeros(3), 2) == 2
  assert generator.bit_generator.state == state


def test_marco_polo_flies_balloons_only():
  with pytest.raises(ValueError, match='not in Pong; set it to 0'):
    exploration.make(atari.AtariConfig(), 0.8)


def test_a_share_is_within_0_and_1():
  with pytest.raises(ValueError, match='marco_polo_share must be within'):
    config_lib.CollectConfig(marco_polo_share=1.2)
  with pytest.raises(ValueError, match='marco_polo_share must be a prob'):
    agent_config.AgentConfig(marco_polo_share=-0.1)
