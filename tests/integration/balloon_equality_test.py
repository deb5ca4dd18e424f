"""Tests whole flights against BLE's own simulator, features and all.

What BLE uses is left as it is: its wind field with SciPy's interpolation, its
Gaussian process of scikit-learn, its loop over pressure levels and its sun.
"""

from importlib import util

import numpy as np
import pytest

pytest.importorskip('balloon_learning_environment',
                    reason="needs pip install '.[balloon]'")

# pylint: disable=g-import-not-at-top,wrong-import-position
from rrl_pipeline.environments import balloon
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import parallel
from balloon_learning_environment.env import balloon_env
from balloon_learning_environment.env.balloon import solar


def _ble_sun():
  spec = util.find_spec(solar.__name__)
  module = util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.solar_calculator


def _fly(simulator, seed, actions):
  """Observations [T + 1, 1099], rewards [T], positions and states [T, 6]."""
  observations, rewards, states = [simulator.reset(seed=seed)], [], []
  for action in actions:
    observation, reward, ended, _ = simulator.step(int(action))
    assert not ended
    observations.append(observation)
    rewards.append(reward)
    state = simulator.get_simulator_state().balloon_state
    states.append((state.x.meters, state.y.meters, state.pressure,
                   state.internal_temperature, state.battery_soc,
                   state.mols_air))
  return np.stack(observations), np.array(rewards), np.array(states)


@pytest.mark.parametrize('seed, steps', [(0, 960), (5, 150), (123_456, 150)])
def test_a_flight_is_the_same_to_the_last_bit(seed, steps, monkeypatch):
  rng = np.random.default_rng(seed)
  # Changes of mind, and long ways up and down to the limits.
  actions = np.repeat(rng.integers(0, 3, steps), rng.integers(1, 30, steps))
  ours = _fly(balloon.simulator(), seed, actions[:steps])
  monkeypatch.setattr(solar, 'solar_calculator', _ble_sun())
  expected = _fly(balloon_env.BalloonEnv(seed=0), seed, actions[:steps])
  for found, wanted in zip(ours, expected):
    np.testing.assert_array_equal(found, wanted)


def test_a_flight_in_another_process_is_the_same():
  config = balloon_config.BalloonConfig(max_episode_steps=6)
  actions = (0, 0, 2, 1, 0, 2)
  with parallel.ParallelEnvironments(config, 0, 2, num_workers=1) as pool:
    timesteps = [pool.reset([3, 11])]
    timesteps += [pool.step([action] * 2) for action in actions]
    flights = pool.read('flight')
  for number, episode in enumerate((3, 11)):
    seed = config.flight_seed(0, episode)
    observations, rewards, states = _fly(balloon.simulator(), seed, actions)
    np.testing.assert_array_equal(
        observations, [t.observation[number] for t in timesteps])
    np.testing.assert_array_equal(
        np.float32(rewards), [t.reward[number] for t in timesteps[1:]])
    assert flights[number].pressure == states[-1][2]
    assert timesteps[-1].discount[number] == 1
  assert timesteps[-1].last().all()
