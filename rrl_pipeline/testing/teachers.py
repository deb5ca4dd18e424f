"""Bundles of networks that nobody trained."""

import os
import pathlib

from rrl_pipeline import settings
from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import builder
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.teachers import bundle

SMALL_NETWORK = network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8)


def export(
    directory: str | os.PathLike,
    environment: environment_config.EnvironmentConfig,
    network: network_config.NetworkConfig = SMALL_NETWORK,
    mean_return: float = 5.0,
    kind: str = 'q_values',
) -> pathlib.Path:
  """Writes the bundle of a network with random weights; returns its folder.

  Args:
    directory: of the bundle.
    environment: that it plays.
    network: what it is built of.
    mean_return: the score that it claims.
    kind: what it says that its values are.
  """
  directory = pathlib.Path(directory)
  interface = factory.interface(environment)
  bundle.export(
      directory,
      builder.make_network(
          network,
          algorithm_config.DqnConfig(),
          interface.observation_shape,
          interface.observation_dtype.name,
          interface.num_actions,
          seed=9,
      ),
      bundle.Description(
          kind=kind,
          observation_shape=interface.observation_shape,
          action_meanings=interface.action_meanings,
          environment=environment_config.to_json(environment),
          score={
              'mean_return': mean_return, 'std_return': 1.0, 'num_episodes': 1
          },
          lineage={
              'command': 'made for a test',
              'network': settings.to_json_value(network),
              'teacher': None,
          },
          observation_dtype=interface.observation_dtype.name,
      ),
  )
  return directory
