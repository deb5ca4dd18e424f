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


class NumberedEpisodes(Environment):
  """The course of episodes, for subclasses that say how one begins and goes on.

  An episode ends in a terminal state, with discount 0; after a number of steps
  it is cut, with discount 1.
  """

  def __init__(self, max_episode_steps: int):
    self._max_episode_steps = max_episode_steps
    self._episode = 0  # The next to begin.
    self._steps = 0
    self._needs_reset = True

  @abc.abstractmethod
  def _begin(self, episode: int) -> np.ndarray:
    """Begins the episode of this number; returns its first observation."""

  @abc.abstractmethod
  def _advance(self, action: int) -> tuple[float, np.ndarray, bool]:
    """Returns reward, observation and whether it is a terminal state."""

  def start_at_episode(self, episode: int) -> None:
    self._episode = episode
    self._needs_reset = True

  def reset(self) -> dm_env.TimeStep:
    observation = self._begin(self._episode)
    self._episode += 1
    self._steps = 0
    self._needs_reset = False
    return dm_env.restart(observation)

  def step(self, action: int) -> dm_env.TimeStep:
    if self._needs_reset:
      return self.reset()
    reward, observation, ended = self._advance(int(action))
    reward = np.float32(reward)
    self._steps += 1
    self._needs_reset = ended or self._steps >= self._max_episode_steps
    if ended:
      return dm_env.TimeStep(
          dm_env.StepType.LAST, reward, np.float32(0), observation
      )
    if self._needs_reset:
      return dm_env.truncation(reward, observation, np.float32(1))
    return dm_env.transition(reward, observation, np.float32(1))

  def action_spec(self) -> specs.DiscreteArray:
    return specs.DiscreteArray(len(self.action_meanings), np.int32, 'action')

  def reward_spec(self) -> specs.Array:
    return specs.Array((), np.float32, 'reward')

  def discount_spec(self) -> specs.BoundedArray:
    return specs.BoundedArray((), np.float32, 0, 1, 'discount')
