"""What an actor does in place of the actions that its policy would take."""

from typing import Protocol

import numpy as np

from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import balloon_policies
from rrl_pipeline.environments import config as environment_config_lib


class Exploration(Protocol):
  """Plays one episode after the other, on top of ε-greedy exploration."""

  def start(self, generator: np.random.Generator) -> None:
    """Begins an episode; all its random numbers come from `generator`."""

  def action(self, observation: np.ndarray, policy_action: int) -> int:
    """The action to take, given a single observation and the policy's choice."""


class FollowPolicy:
  """Takes the policy's actions; draws no random numbers."""

  def start(self, generator: np.random.Generator) -> None:
    """There is nothing to begin."""

  def action(self, observation: np.ndarray, policy_action: int) -> int:
    return policy_action


def make(
    config: environment_config_lib.EnvironmentConfig, marco_polo_share: float
) -> Exploration:
  """What explores this share of the episodes by MarcoPolo.

  Raises:
    ValueError: if the share is positive where MarcoPolo has no meaning.
  """
  if marco_polo_share == 0:
    return FollowPolicy()
  if not isinstance(config, balloon_config.BalloonConfig):
    raise ValueError(
        f'marco_polo_share is {marco_polo_share:g}, but MarcoPolo explores by a'
        f' random walk of balloons, not in {config.task}; set it to 0.'
    )
  return balloon_policies.MarcoPolo(marco_polo_share)
