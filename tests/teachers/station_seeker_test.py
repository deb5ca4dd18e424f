"""Tests of the batched StationSeeker against a loop and BLE's own agent."""

import math

import numpy as np
import pytest

from rrl_pipeline.teachers import station_seeker


def _observations(count: int, seed: int = 0) -> np.ndarray:
  """Features within their bounds; six of ten levels are out of reach."""
  generator = np.random.default_rng(seed)
  features = generator.uniform(0, 1, (count, 1099))
  winds = features[:, 16:].reshape(count, 361, 3)
  winds[generator.random((count, 361)) < 0.6] = (0, 1, 1)
  winds[:, 180] = (0.1, 0.5, 0.3)
  return features.astype(np.float32)


def _score(observation, level):
  """The score of one level, written down from the paper."""
  uncertainty, bearing, speed = observation[16:].reshape(361, 3)[level].tolist()
  if (uncertainty, bearing, speed) == (0, 1, 1):
    return 0.0
  x = float(observation[7])
  distance = 250 * x / (1 - x)
  if distance < 250:
    rate = 0.6
  elif distance > 500:
    rate = 0.45
  else:
    rate = 0.6 - 0.15 * (distance - 250) / 250
  closeness = math.exp(-distance / 35)
  wind = (1 - closeness) * math.exp(-rate * bearing * math.pi)
  if speed < 1:
    wind += closeness * math.exp(-0.07 * 30 * speed / (1 - speed))
  return (
      (1.01 - uncertainty) * wind
      + 0.5 * uncertainty
      + 0.05 * math.exp(-0.001 * abs(level - 180))
  )


def test_scores_equal_those_of_a_loop():
  observations = _observations(8)
  # At, close to, and far from the station.
  observations[:4, 7] = (0, 0.1, 0.55, 0.9)
  scores = station_seeker.scores(observations).numpy()
  assert scores.shape == (8, 361)
  expected = [[_score(o, level) for level in range(361)] for o in observations]
  np.testing.assert_allclose(scores, expected, rtol=1e-12)


@pytest.mark.parametrize('level, action', [(0, 2), (179, 2), (180, 1),
                                           (181, 0), (360, 0)])
def test_it_goes_where_the_best_level_lies(level, action):
  observation = np.zeros((1, 1099), np.float32)
  winds = observation[0, 16:].reshape(361, 3)
  winds[:] = (0.1, 0.9, 0.9)
  winds[level] = (0.1, 0.0, 0.0)
  assert station_seeker.actions(observation).numpy() == [action]


def test_the_highest_of_equal_levels_wins():
  observation = np.zeros((1, 1099), np.float32)
  observation[0, 16:].reshape(361, 3)[:] = (0, 1, 1)
  observation[0, 16:].reshape(361, 3)[[170, 190]] = (0.1, 0.2, 0.2)
  assert station_seeker.actions(observation).numpy() == [2]


def test_the_network_gives_one_hot_actions():
  observations = _observations(5)
  values = station_seeker.make_network()(observations).numpy()
  assert values.dtype == np.float32
  np.testing.assert_array_equal(
      values, np.eye(3)[station_seeker.actions(observations)]
  )


def test_actions_equal_those_of_the_original():
  pytest.importorskip(
      'balloon_learning_environment', reason='the original: .[balloon]'
  )
  from rrl_pipeline.environments import balloon_compatibility  # pylint: disable=g-import-not-at-top

  balloon_compatibility.install()
  from balloon_learning_environment.agents import station_seeker_agent  # pylint: disable=g-import-not-at-top

  agent = station_seeker_agent.StationSeekerAgent(3, (1099,))
  observations = _observations(60, seed=1)
  expected = [agent.pick_action(observation) for observation in observations]
  assert len(set(expected)) > 1
  np.testing.assert_array_equal(
      station_seeker.actions(observations), expected
  )
