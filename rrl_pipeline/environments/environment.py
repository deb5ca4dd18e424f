"""What every environment of this package is, beyond a `dm_env.Environment`."""

import abc
import dataclasses
from typing import Any

import dm_env
from dm_env import specs
import numpy as np


@dataclasses.dataclass(frozen=True)
class Interface:
  """What an agent sees and does in an environment.

  Attributes:
    frame: spec of what the environment emits.
    observation_shape: of what an agent sees, frames stacked (see
      `replay.stacks`).
    action_meanings: the name of each action.
  """

  frame: specs.Array
  observation_shape: tuple[int, ...]
  action_meanings: tuple[str, ...]

  @property
  def observation_dtype(self) -> np.dtype:
    return self.frame.dtype

  @property
  def num_actions(self) -> int:
    return len(self.action_meanings)


class Environment(dm_env.Environment):
  """An environment whose episodes are numbered, and can be played again.

  An episode is determined by the environment's seed and the episode's number
  alone, so it can be played on its own and in any process, and a run that
  resumes at an episode's start needs no state of the environment.

  Observations are single arrays and rewards raw scores; whoever feeds a network
  stacks frames, and whoever learns clips rewards.
  """

  @property
  @abc.abstractmethod
  def action_meanings(self) -> tuple[str, ...]:
    """The name of each action."""

  @abc.abstractmethod
  def start_at_episode(self, episode: int) -> None:
    """Makes the next `reset` start the episode of this number."""

  @property
  def episode_facts(self) -> dict[str, Any]:
    """What else is known of the episode that has just ended, as JSON.

    Logs keep it beside the episode: how a flight went, for example.
    """
    return {}
