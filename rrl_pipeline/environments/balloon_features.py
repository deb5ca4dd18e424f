"""BLE's 1,099 features, with the wind column computed as arrays.

The Balloon Learning Environment (BLE) describes the winds that a balloon could
reach level by level in Python. Here a column is one array, only the levels
that can be reached are asked of the wind model, and what is the same during a
whole episode is computed once. The features are the same float32 numbers.
"""

import functools
import math
import types
from typing import Any

import numpy as np

from rrl_pipeline.environments import balloon_compatibility
from rrl_pipeline.environments import balloon_gaussian_process
from rrl_pipeline.environments import balloon_wind

balloon_compatibility.install()

# pylint: disable=g-import-not-at-top,wrong-import-position
from balloon_learning_environment.env import features
from balloon_learning_environment.env.balloon import pressure_range_builder
from balloon_learning_environment.utils import units

_AMBIENT = 16
# Uncertainty, bearing and speed of a level that the balloon cannot reach.
_UNREACHABLE = (0, 1, 1)
_HALF_SPEED = 30  # [m/s], the speed whose feature is 0.5.


class FeatureConstructor(features.PerciatelliFeatureConstructor):
  """The same features as BLE's `PerciatelliFeatureConstructor`, but faster."""

  def __init__(self, forecast: balloon_wind.WindField, atmosphere: Any):
    super().__init__(forecast, atmosphere)
    self._forecast = forecast
    self._column = forecast.column(self.pressure_levels)
    self._process = balloon_gaussian_process.WindProcess()
    # The range that can be reached is looked for in one column of pressures.
    self._remembering_atmosphere = types.SimpleNamespace(
        at_height=atmosphere.at_height,
        at_pressure=functools.lru_cache(64)(atmosphere.at_pressure))

  def observe(self, observation: Any) -> None:
    state = self._last_balloon_state = observation.balloon_observation
    forecast = self._forecast.get_forecast(
        state.x, state.y, state.pressure, state.time_elapsed)
    wind = observation.wind_at_balloon
    self._process.observe(
        np.array([state.x.meters, state.y.meters, state.pressure,
                  state.time_elapsed.total_seconds()]),
        np.array([(wind.u - forecast.u).meters_per_second,
                  (wind.v - forecast.v).meters_per_second]))

  def _add_wind_features(self, feature_vector: np.ndarray) -> None:
    """Fills feature_vector[16:] with (uncertainty, bearing, speed) by level."""
    state = self._last_balloon_state
    levels = feature_vector[_AMBIENT:].reshape(-1, 3)
    levels[:] = _UNREACHABLE
    reachable = pressure_range_builder.get_pressure_range(
        state, self._remembering_atmosphere)
    first = np.searchsorted(self.pressure_levels, reachable.min_pressure)
    last = np.searchsorted(
        self.pressure_levels, reachable.max_pressure, side='right')
    pressures = self.pressure_levels[first:last]

    errors, variances = self._process.predict(pressures)
    winds = errors + self._forecast.winds(
        state.x, state.y,
        balloon_wind.Column(*(part[first:last] for part in self._column)),
        state.time_elapsed)
    speeds = np.sqrt(np.square(winds).sum(axis=1))

    # The balloon's own level stands in the middle.
    own = self._nearest_pressure_level(state.pressure)
    first += self.num_pressure_levels - 1 - own
    columns = levels[first:first + len(pressures)].T
    columns[0] = variances
    columns[1] = self._bearings(winds, speeds) / math.pi
    columns[2] = speeds / (speeds + _HALF_SPEED)

  def _bearings(self, winds: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """[n] angles between the winds [n, 2] and the way to the station."""
    state = self._last_balloon_state
    distance = units.relative_distance(state.x, state.y).meters
    if distance < features.TOLERANCE:
      return np.zeros_like(speeds)
    station = -np.array([state.x.meters, state.y.meters])
    station /= distance + features.TOLERANCE
    cosines = (winds / (speeds[:, None] + features.TOLERANCE)) @ station
    return np.where(speeds < features.TOLERANCE, math.pi,
                    np.arccos(np.clip(cosines, -1, 1)))
