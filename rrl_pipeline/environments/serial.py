"""Many environments in this process, stepped one after the other."""

from typing import Any, Sequence

import dm_env
from dm_env import specs
import numpy as np

from rrl_pipeline.environments import config as config_lib
from rrl_pipeline.environments import factory


class SerialEnvironments:
  """Environments of one configuration and seed, numbered from 0.

  Called as `parallel.ParallelEnvironments` are, and with the same results.
  """

  def __init__(
      self,
      config: config_lib.EnvironmentConfig,
      seed: int,
      num_environments: int,
  ):
    self._environments = [
        factory.make(config, seed) for _ in range(num_environments)
    ]

  def observation_spec(self) -> specs.Array:
    """Of a single environment."""
    return self._environments[0].observation_spec()

  def action_spec(self) -> specs.DiscreteArray:
    """Of a single environment."""
    return self._environments[0].action_spec()

  def reset(
      self, episodes: Sequence[int], environments: Sequence[int]
  ) -> dm_env.TimeStep:
    """Starts an episode in each of the environments; time steps are batches."""
    timesteps = []
    for episode, number in zip(episodes, environments, strict=True):
      self._environments[number].start_at_episode(episode)
      timesteps.append(self._environments[number].reset())
    return dm_env.TimeStep(
        np.array([timestep.step_type for timestep in timesteps], np.int64),
        np.zeros(len(timesteps), np.float32),
        np.ones(len(timesteps), np.float32),
        np.stack([timestep.observation for timestep in timesteps]),
    )

  def step(
      self, actions: Sequence[int], environments: Sequence[int]
  ) -> dm_env.TimeStep:
    """Takes a step in each of the environments; time steps are batches."""
    timesteps = [
        self._environments[number].step(action)
        for action, number in zip(actions, environments, strict=True)
    ]
    return dm_env.TimeStep(
        np.array([timestep.step_type for timestep in timesteps], np.int64),
        np.array([timestep.reward for timestep in timesteps], np.float32),
        np.array([timestep.discount for timestep in timesteps], np.float32),
        np.stack([timestep.observation for timestep in timesteps]),
    )

  def read(self, name: str, environments: Sequence[int]) -> list[Any]:
    """The values of a property of each of the environments."""
    return [getattr(self._environments[n], name) for n in environments]
