"""Tests that features are BLE's where flights seldom come, and what they mean."""

import numpy as np
import pytest

pytest.importorskip('balloon_learning_environment',
                    reason="needs pip install '.[balloon]'")

# pylint: disable=g-import-not-at-top,wrong-import-position
from rrl_pipeline.environments import balloon_features
from rrl_pipeline.environments import balloon_wind
from balloon_learning_environment.env import balloon_arena
from balloon_learning_environment.env import features
from balloon_learning_environment.env import simulator_data
from balloon_learning_environment.env import wind_field
from balloon_learning_environment.utils import units

_MIDDLE = 180


@pytest.fixture(scope='module', name='arena')
def fixture_arena():
  return balloon_arena.BalloonArena(
      features.PerciatelliFeatureConstructor, balloon_wind.WindField(), seed=1)


def _features(arena, places, pressure, wind=None):
  """BLE's and our features after observations at these places [km]."""
  simulator = arena.get_simulator_state()
  found = []
  for constructor in (features.PerciatelliFeatureConstructor,
                      balloon_features.FeatureConstructor):
    built = constructor(simulator.wind_field, simulator.atmosphere)
    state = arena.get_balloon_state()
    for x, y in places:
      state.x, state.y = units.Distance(km=x), units.Distance(km=y)
      state.pressure = pressure
      observation = arena.get_measurements()
      if wind:
        observation = simulator_data.SimulatorObservation(state, wind)
      built.observe(observation)
    found.append(built.get_features())
  return found


@pytest.mark.parametrize('places', [
    [(0.0, 0.0)], [(1e-9, 0.0)], [(30.0, -40.0)], [(-800.0, 600.0)],
    [(30.0, -40.0), (30.0, -40.0), (31.0, -40.0)]])
@pytest.mark.parametrize('pressure', [6400.0, 9025.0, 11000.0])
def test_equal_at_any_place(arena, places, pressure):
  expected, found = _features(arena, places, pressure)
  assert found.dtype == np.float32
  np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('pressure', [4600.0, 14400.0])
def test_equal_beyond_the_levels(arena, pressure):
  expected, found = _features(arena, [(30.0, -40.0)], pressure)
  np.testing.assert_array_equal(found, expected)


def test_equal_without_a_breath_of_wind(arena):
  field = arena.get_simulator_state().wind_field
  before = field.field
  field.field = np.zeros_like(before)
  field._forget()
  still = wind_field.WindVector(units.Velocity(mps=0.0),
                                units.Velocity(mps=0.0))
  expected, found = _features(arena, [(30.0, -40.0)], 9000.0, still)
  field.field = before
  field._forget()
  np.testing.assert_array_equal(found, expected)
  # Such a wind counts as one that blows the wrong way.
  assert found[16:].reshape(361, 3)[_MIDDLE, 1] == 1


def test_the_balloons_own_level_is_in_the_middle(arena):
  _, found = _features(arena, [(30.0, -40.0)], 9000.0)
  levels = found[16:].reshape(361, 3)
  # It is most certain of the wind where it measured it.
  reachable = levels[(levels != (0, 1, 1)).any(axis=1)]
  assert levels[_MIDDLE, 0] == reachable[:, 0].min()
  # The lowest of 181 levels is 80 above it, at 5,000 Pa; the others are none.
  np.testing.assert_array_equal(levels[:_MIDDLE - 80], [(0, 1, 1)] * 100)
