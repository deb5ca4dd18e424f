"""Tests of the balloon environment: seeds, ends of episodes and flight facts.

That its numbers are BLE's is tested over whole episodes elsewhere, in
tests/integration/balloon_equality_test.py.
"""

import dm_env
import numpy as np
import pytest

pytest.importorskip('balloon_learning_environment',
                    reason="needs pip install '.[balloon]'")

# pylint: disable=g-import-not-at-top,wrong-import-position
from rrl_pipeline.environments import balloon
from rrl_pipeline.environments import balloon_config
from balloon_learning_environment.env.balloon import balloon as ble_balloon

_DOWN, _STAY, _UP = 0, 1, 2


@pytest.fixture(scope='module', name='environment')
def fixture_environment():
  return balloon.BalloonEnvironment(
      balloon_config.BalloonConfig(max_episode_steps=4), seed=7)


def _play(environment, episode):
  """All time steps of an episode."""
  environment.start_at_episode(episode)
  timesteps = [environment.step(_DOWN)]
  while not timesteps[-1].last():
    timesteps.append(environment.step((_DOWN, _UP, _STAY)[len(timesteps) % 3]))
  return timesteps


def _observations(timesteps):
  return np.stack([timestep.observation for timestep in timesteps])


def test_specs_describe_what_the_environment_emits(environment):
  assert environment.action_meanings == ('DOWN', 'STAY', 'UP')
  assert environment.action_spec().num_values == 3
  assert environment.observation_spec().shape == (1099,)
  for timestep in _play(environment, 0):
    environment.observation_spec().validate(timestep.observation)
    if not timestep.first():
      environment.reward_spec().validate(timestep.reward)
      environment.discount_spec().validate(timestep.discount)


def test_an_episode_depends_on_seed_and_number_only(environment):
  third = _observations(_play(environment, 3))
  _play(environment, 0)
  environment.start_at_episode(2)
  environment.reset()
  # The next `reset` goes on to the next number.
  np.testing.assert_array_equal(environment.reset().observation, third[0])
  np.testing.assert_array_equal(_observations(_play(environment, 3)), third)
  other = balloon.BalloonEnvironment(
      balloon_config.BalloonConfig(max_episode_steps=4), seed=8)
  assert (_observations(_play(other, 3)) != third).any()
  assert (_observations(_play(environment, 4)) != third).any()


def test_the_time_limit_is_no_terminal_state(environment):
  timesteps = _play(environment, 0)
  assert [t.step_type for t in timesteps] == [
      dm_env.StepType.FIRST, *[dm_env.StepType.MID] * 3, dm_env.StepType.LAST]
  assert timesteps[-1].discount == 1
  assert timesteps[-1].reward.dtype == np.float32
  assert environment.step(_UP).first()


@pytest.mark.parametrize('status', ['OUT_OF_POWER', 'BURST', 'ZEROPRESSURE'])
def test_a_lost_balloon_is_a_terminal_state(environment, status, monkeypatch):
  environment.start_at_episode(0)
  environment.reset()
  environment.step(_UP)
  physics = ble_balloon.Balloon._simulate_step_internal

  def loses(*arguments):
    return {**physics(*arguments),
            'status': ble_balloon.BalloonStatus[status]}

  monkeypatch.setattr(
      ble_balloon.Balloon, '_simulate_step_internal', staticmethod(loses))
  timestep = environment.step(_UP)
  assert timestep.last() and timestep.discount == 0
  assert environment.flight.status == status
  monkeypatch.undo()
  assert environment.step(_UP).first()
  assert environment.flight.status == 'OK'


def test_the_reward_is_that_of_the_published_example():
  simulator = balloon.simulator()
  simulator.reset(seed=0)
  _, reward, _, _ = simulator.step(_DOWN)
  # BLE's docs/environment.rst.
  assert reward == pytest.approx(0.268914358, abs=1e-6)
  balloon_state = simulator.get_simulator_state().balloon_state
  # The reward for a distance, from the paper's formula.
  distance = np.hypot(balloon_state.x.km, balloon_state.y.km)
  assert distance > 50
  unpenalised = 0.4 * 0.5**((distance - 50) / 100)
  assert 0.65 * unpenalised < reward <= 0.95 * unpenalised


def test_the_flight_is_what_the_wind_makes_of_it(environment):
  environment.start_at_episode(1)
  environment.reset()
  before = environment.flight
  environment.step(_UP)
  after = environment.flight
  # The wind is held for the three minutes of a step.
  assert after.east - before.east == pytest.approx(before.wind_east * 0.18)
  assert after.north - before.north == pytest.approx(before.wind_north * 0.18)
  assert after.altitude > before.altitude and after.pressure < before.pressure
  assert 0 < after.battery <= 1 and after.pump_power == 0
  environment.step(_DOWN)
  assert environment.flight.pump_power >= 100


def test_the_facts_of_a_flight_are_those_of_its_steps(environment):
  environment.start_at_episode(5)
  seed = environment.flight_seed
  environment.reset()
  within = []
  while not environment.step(_UP).last():
    within.append(environment.flight.within_radius)
  within.append(environment.flight.within_radius)
  assert environment.episode_facts == {
      'flight_seed': seed,
      'time_within_radius': np.mean(within),
      'status': 'OK',
  }
