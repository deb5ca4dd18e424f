"""The Balloon Learning Environment (BLE) as a `dm_env.Environment`.

A balloon that can only rise and sink is to stay within 50 km of a station for
two days, by finding winds that carry it there (Bellemare et al., "Autonomous
navigation of stratospheric balloons using reinforcement learning", Nature 588,
2020). The simulator, the features and the rewards are BLE's own; the slow parts
of it are replaced by equal ones (see `balloon_wind`, `balloon_features` and
`balloon_solar`).
"""

from typing import Any, NamedTuple

from dm_env import specs
import numpy as np

from rrl_pipeline.environments import balloon_compatibility
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import balloon_features
from rrl_pipeline.environments import balloon_solar
from rrl_pipeline.environments import balloon_wind
from rrl_pipeline.environments import environment

balloon_compatibility.install()

# pylint: disable=g-import-not-at-top,wrong-import-position
from balloon_learning_environment.env import balloon_env
from balloon_learning_environment.env.balloon import control
from balloon_learning_environment.env.balloon import solar
from balloon_learning_environment.utils import units

_ACTIONS = tuple(command.name for command in sorted(
    control.AltitudeControlCommand, key=lambda command: command.value))


class Flight(NamedTuple):
  """Where a balloon is and how it fares.

  Attributes:
    hours: since the start of the flight.
    east, north: of the station [km].
    altitude: [km].
    pressure: of the air around the balloon [Pa].
    wind_east, wind_north: velocity of the wind at the balloon [m/s].
    battery: charge, as a fraction of the capacity.
    pump_power: that the altitude control takes [W].
    within_radius: whether the station is within 50 km.
    status: 'OK', or why the flight ended: 'OUT_OF_POWER', 'BURST' or
      'ZEROPRESSURE'.
  """

  hours: float
  east: float
  north: float
  altitude: float
  pressure: float
  wind_east: float
  wind_north: float
  battery: float
  pump_power: float
  within_radius: bool
  status: str


def simulator() -> balloon_env.BalloonEnv:
  """BLE's own environment, faster but with the same numbers.

  All environments of this process find the sun by `balloon_solar` from now on.
  """
  solar.solar_calculator = balloon_solar.solar_calculator
  return balloon_env.BalloonEnv(
      feature_constructor_factory=balloon_features.FeatureConstructor,
      wind_field_factory=balloon_wind.WindField,
      # Each episode brings its own; without one BLE would ask the clock.
      seed=balloon_config.SUITE_SEEDS)


class BalloonEnvironment(environment.NumberedEpisodes):
  """One balloon. Observations are float32 [1099], rewards within [0, 1].

  An episode ends when the balloon is out of power, bursts or loses its
  pressure; after the last step of the time limit it is cut, with discount 1.
  """

  def __init__(self, config: balloon_config.BalloonConfig, seed: int):
    super().__init__(config.max_episode_steps)
    self._config = config
    self._seed = seed
    self._simulator = simulator()
    self._steps_within_radius = 0

  @property
  def action_meanings(self) -> tuple[str, ...]:
    return _ACTIONS

  @property
  def flight_seed(self) -> int:
    """BLE's seed of the episode that the next `reset` starts."""
    return self._config.flight_seed(self._seed, self._episode)

  @property
  def flight(self) -> Flight:
    """The state after the last step; computed when it is asked for."""
    state = self._simulator.get_simulator_state()
    balloon = state.balloon_state
    wind = state.wind_field.get_ground_truth(
        balloon.x, balloon.y, balloon.pressure, balloon.time_elapsed)
    air = state.atmosphere.at_pressure(balloon.pressure)
    distance = units.relative_distance(balloon.x, balloon.y)
    return Flight(
        hours=units.timedelta_to_hours(balloon.time_elapsed),
        east=float(balloon.x.km),
        north=float(balloon.y.km),
        altitude=float(air.height.km),
        pressure=float(balloon.pressure),
        wind_east=float(wind.u.mps),
        wind_north=float(wind.v.mps),
        battery=float(balloon.battery_soc),
        pump_power=float(balloon.acs_power.watts),
        within_radius=bool(distance <= self._simulator.radius),
        status=balloon.status.name)

  @property
  def episode_facts(self) -> dict[str, Any]:
    """The flight's seed, steps, TWR50 (see `balloon_flights`) and end."""
    balloon = self._simulator.get_simulator_state().balloon_state
    return {
        'flight_seed': self._config.flight_seed(self._seed, self._episode - 1),
        'time_within_radius': self._steps_within_radius / max(self._steps, 1),
        'status': balloon.status.name,
    }

  def observation_spec(self) -> specs.Array:
    space = self._simulator.observation_space
    return specs.BoundedArray(
        space.shape, np.float32, space.low, space.high, 'features')

  def reward_spec(self) -> specs.Array:
    return specs.BoundedArray((), np.float32, 0, 1, 'reward')

  def _begin(self, episode: int) -> np.ndarray:
    self._steps_within_radius = 0
    return self._simulator.reset(
        seed=self._config.flight_seed(self._seed, episode))

  def _advance(self, action: int) -> tuple[float, np.ndarray, bool]:
    observation, reward, ended, _ = self._simulator.step(action)
    balloon = self._simulator.get_simulator_state().balloon_state
    distance = units.relative_distance(balloon.x, balloon.y)
    self._steps_within_radius += bool(distance <= self._simulator.radius)
    return reward, observation, ended
