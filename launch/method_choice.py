"""Gives a run the method that a name stands for."""

import dataclasses
from typing import Callable, TYPE_CHECKING

from rrl_pipeline import settings

# Methods live beside networks, which take seconds to import.
if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import config as agent_config
  from rrl_pipeline.networks import config as network_config


def check(name: str) -> None:
  """Raises ValueError, with what is spelt alike, if there is no such method."""
  from rrl_pipeline.agents import methods

  if name not in methods.METHODS:
    raise ValueError(
        f'no method is called {name!r}'
        f'{settings.near_misses(name, methods.METHODS)}; there are:'
        f' {", ".join(methods.METHODS)}'
    )


def apply(
    config: 'config_lib.PipelineConfig',
    name: str,
    adapt: Callable[['agent_config.AgentConfig'], 'agent_config.AgentConfig'],
    adapt_network: Callable[
        ['network_config.NetworkConfig'], 'network_config.NetworkConfig'
    ] = lambda network: network,
) -> 'config_lib.PipelineConfig':
  """Returns the settings of a run with its student's method replaced.

  Args:
    config: of the run.
    name: of the method.
    adapt: brings a method, as agents/methods.py has it, to the scale of the
      run: its schedules, and no more.
    adapt_network: brings the network that a method is made for to that scale.

  Raises:
    ValueError: there is no such method.
  """
  from rrl_pipeline.agents import methods

  check(name)
  method = methods.METHODS[name]
  config = dataclasses.replace(config, agent=adapt(method.agent))
  if method.network:
    config = dataclasses.replace(config, network=adapt_network(method.network))
  return config if method.learns_offline else without_offline_stage(config)


def without_offline_stage(
    config: 'config_lib.PipelineConfig',
) -> 'config_lib.PipelineConfig':
  """Returns the settings of a run whose student learns online only."""
  return dataclasses.replace(
      config, offline=dataclasses.replace(config.offline, num_learner_steps=0)
  )
