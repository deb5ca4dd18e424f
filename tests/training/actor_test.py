"""Tests of actors: alone, and several in one batch of the network."""

import numpy as np
import pytest

from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.testing import small_environments
from rrl_pipeline.training import actor
from rrl_pipeline.training import exploration
from rrl_pipeline.training import timing

_CONFIG = small_environments.SmallConfig()


class _Adder:
  """Takes note of what would be written."""

  def __init__(self):
    self.steps = []

  def add_first(self, timestep):
    self.steps.append(timestep.observation.tolist())

  def add(self, action, timestep, teacher_values):
    if teacher_values is not None:
      teacher_values = teacher_values.tolist()
    self.steps.append((
        action,
        float(timestep.reward),
        timestep.observation.tolist(),
        timestep.last(),
        teacher_values,
    ))


class _Network:
  """A policy and a teacher; takes note of the sizes of its batches."""

  def __init__(self):
    self.batches = []
    self.teacher_batches = []

  def policy(self, observations):
    self.batches.append(len(observations))
    return (observations[:, 0] > 0).astype(np.int64)

  def values(self, observations):
    self.teacher_batches.append(len(observations))
    return observations[:, : small_environments.NUM_ACTIONS]


def _actor(
    number: int, network: _Network, horizon: int = 0, epsilon: float = 0.3
) -> actor.Actor:
  made = actor.Actor(
      small_environments.SmallEnvironment(_CONFIG, number),
      _CONFIG,
      network.policy,
      agent_config.AgentConfig(epsilon_start=epsilon, epsilon_end=epsilon),
      adder=_Adder(),
      seed=number,
      teacher=network,
      stopwatch=timing.Stopwatch(),
      exploration=exploration.FollowPolicy(),
  )
  made.horizon = horizon
  return made


@pytest.mark.parametrize('ask_teacher', [False, True])
@pytest.mark.parametrize('horizon', [0, 4])
def test_an_actor_does_the_same_in_company(ask_teacher, horizon):
  together, alone = _Network(), _Network()
  group = [_actor(i, together, horizon) for i in range(3)]
  for step in range(40):
    actor.step_together(group, step, ask_teacher)
  assert set(together.batches) == {3}
  for i, member in enumerate(group):
    single = _actor(i, alone, horizon)
    for step in range(40):
      single.step(step, ask_teacher)
    assert member.adder.steps == single.adder.steps
    assert member.episode == single.episode > 1
    assert member.training_return == single.training_return
    assert member.realised_value == single.realised_value


def test_the_teacher_is_asked_when_it_is_needed_only():
  network = _Network()
  player = _actor(0, network)
  player.step(0, ask_teacher=False)
  assert not network.teacher_batches
  player.step(1, ask_teacher=True)
  assert network.teacher_batches == [1]
  *_, unasked, asked = player.adder.steps
  assert unasked[-1] is None and len(asked[-1]) == 3


def test_where_the_teacher_rolls_in_the_network_is_not_asked():
  network = _Network()
  player = _actor(0, network, horizon=1, epsilon=0.0)
  for step in range(20):
    player.step(step, ask_teacher=False)
  # One step of each episode.
  assert len(network.teacher_batches) == player.episode + player.is_playing > 1
  assert len(network.batches) == 20 - len(network.teacher_batches)
  first = player.adder.steps[0]
  assert player.adder.steps[1][0] == np.argmax(first[:3])


def test_an_action_at_random_needs_no_network():
  network = _Network()
  player = _actor(0, network, epsilon=1.0)
  for step in range(30):
    player.step(step, ask_teacher=False)
  assert not network.batches
  actions = [step[0] for step in player.adder.steps if isinstance(step, tuple)]
  assert set(actions) == {0, 1, 2}
