"""Plays whole episodes, several at a time, with one batch per step."""

import collections
import dataclasses
import itertools
from typing import Callable, Iterable, Iterator

import numpy as np

from rrl_pipeline.agents import acting
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import wrappers

# Observations [B, …] → actions [B].
Policy = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class PlayedEpisode:
  """One episode of T steps as it was played.

  Attributes:
    number: of the episode; with the seed it determines the whole episode.
    frames: [T + 1, ...] single frames, or [0, ...] if not kept.
    actions: int32 [T].
    rewards: float32 [T] raw rewards.
    terminal: False if the time limit ended it.
  """

  number: int
  frames: np.ndarray
  actions: np.ndarray
  rewards: np.ndarray
  terminal: bool


class _Player:
  """One environment and the episode that is being played in it."""

  def __init__(
      self,
      config: environment_config_lib.EnvironmentConfig,
      seed: int,
      keep_frames: bool,
  ):
    self._seed = seed
    self._keep_frames = keep_frames
    self.environment = factory.make(config, seed)
    self._frame = self.environment.observation_spec()
    self._stacker = wrappers.FrameStacker(self._frame, config.stack_size)

  def start(self, number: int) -> None:
    self.number = number
    self.generator = np.random.Generator(
        np.random.Philox(key=[self._seed, number])
    )
    self.environment.start_at_episode(number)
    self.timestep = self.environment.reset()
    self.observation = self._stacker.reset(self.timestep.observation)
    self._frames = [self.timestep.observation] if self._keep_frames else []
    self._actions = []
    self._rewards = []

  def step(self, action: int) -> None:
    self.timestep = self.environment.step(action)
    self.observation = self._stacker.push(self.timestep.observation)
    if self._keep_frames:
      self._frames.append(self.timestep.observation)
    self._actions.append(action)
    self._rewards.append(self.timestep.reward)

  def episode(self) -> PlayedEpisode:
    return PlayedEpisode(
        number=self.number,
        frames=np.array(self._frames, self._frame.dtype).reshape(
            -1, *self._frame.shape
        ),
        actions=np.array(self._actions, np.int32),
        rewards=np.array(self._rewards, np.float32),
        terminal=bool(self.timestep.discount == 0),
    )


def play(
    config: environment_config_lib.EnvironmentConfig,
    policy: Policy,
    numbers: Iterable[int],
    seed: int,
    epsilon: Callable[[int], float],
    num_parallel: int,
    keep_frames: bool = False,
) -> Iterator[PlayedEpisode]:
  """Plays the episodes of these numbers and yields them in this order.

  Args:
    config: the environment.
    policy: greedy actions for a batch of stacked observations.
    numbers: of the episodes; may be infinite, for a caller that stops itself.
    seed: of environment and exploration, together with each episode's number.
    epsilon: exploration rate of the episode of a number.
    num_parallel: environments that are stepped in turn, one batch for all.
    keep_frames: whether the episodes shall hold their frames.
  """
  waiting = iter(numbers)
  players = []
  order = collections.deque()  # Started and not yet yielded.
  finished = {}
  for number in itertools.islice(waiting, num_parallel):
    players.append(_Player(config, seed, keep_frames))
    players[-1].start(number)
    order.append(number)
  while players:
    actions = policy(np.stack([player.observation for player in players]))
    for player, action in zip(tuple(players), actions, strict=True):
      player.step(
          acting.explore(
              action,
              epsilon(player.number),
              player.environment.action_spec().num_values,
              player.generator,
          )
      )
      if player.timestep.last():
        finished[player.number] = player.episode()
        number = next(waiting, None)
        if number is None:
          players.remove(player)
        else:
          player.start(number)
          order.append(number)
    while order and order[0] in finished:
      yield finished.pop(order.popleft())
