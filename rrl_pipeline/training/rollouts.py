"""Plays whole episodes, several at a time, with one batch per step."""

import collections
import contextlib
import dataclasses
import functools
import itertools
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

import dm_env
from dm_env import specs
import numpy as np

from rrl_pipeline.agents import acting
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import parallel
from rrl_pipeline.environments import serial
from rrl_pipeline.environments import wrappers
from rrl_pipeline.training import exploration as exploration_lib

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
    facts: what else the environment knows of it, as JSON.
  """

  number: int
  frames: np.ndarray
  actions: np.ndarray
  rewards: np.ndarray
  terminal: bool
  facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class _Player:
  """The episode that is being played in one of the environments."""

  def __init__(
      self,
      environment: int,
      frame: specs.Array,
      stack_size: int,
      seed: int,
      keep_frames: bool,
      exploration: exploration_lib.Exploration,
  ):
    self.environment = environment
    self._frame = frame
    self._stacker = wrappers.FrameStacker(frame, stack_size)
    self._seed = seed
    self._keep_frames = keep_frames
    self._exploration = exploration

  def start(self, number: int, frame: np.ndarray) -> None:
    self.number = number
    self.generator = np.random.Generator(
        np.random.Philox(key=[self._seed, number])
    )
    self._exploration.start(self.generator)
    self.observation = self._stacker.reset(frame)
    self._frames = [frame] if self._keep_frames else []
    self._actions = []
    self._rewards = []

  def explore(self, action: int) -> int:
    """The action to take where the policy would take `action`."""
    return self._exploration.action(self.observation, action)

  def step(self, action: int, reward: float, frame: np.ndarray) -> None:
    self.observation = self._stacker.push(frame)
    if self._keep_frames:
      self._frames.append(frame)
    self._actions.append(action)
    self._rewards.append(reward)

  def episode(
      self, discount: float, facts: Mapping[str, Any]
  ) -> PlayedEpisode:
    return PlayedEpisode(
        number=self.number,
        frames=np.array(self._frames, self._frame.dtype).reshape(
            -1, *self._frame.shape
        ),
        actions=np.array(self._actions, np.int32),
        rewards=np.array(self._rewards, np.float32),
        terminal=bool(discount == 0),
        facts=facts,
    )


def play(
    config: environment_config_lib.EnvironmentConfig,
    policy: Policy,
    numbers: Iterable[int],
    seed: int,
    epsilon: Callable[[int], float],
    num_parallel: int,
    keep_frames: bool = False,
    num_workers: int = 0,
    marco_polo_share: float = 0.0,
) -> Iterator[PlayedEpisode]:
  """Plays the episodes of these numbers and yields them in this order.

  Args:
    config: the environment.
    policy: greedy actions for a batch of stacked observations.
    numbers: of the episodes; may be infinite, for a caller that stops itself.
    seed: of environment and exploration, together with each episode's number.
    epsilon: exploration rate of the episode of a number.
    num_parallel: environments that are stepped together, one batch for all.
    keep_frames: whether the episodes shall hold their frames.
    num_workers: processes that share the environments; 0 to step them in this
      one. The episodes are the same.
    marco_polo_share: share of episodes, of balloons only, in which a random
      walk takes turns with the policy.
  """
  waiting = iter(numbers)
  first = list(itertools.islice(waiting, num_parallel))
  if not first:
    return
  with _environments(
      config, seed, num_parallel, num_workers, len(first)
  ) as environments:
    players = _players(
        environments, config, seed, len(first), keep_frames, marco_polo_share
    )
    yield from _play(environments, players, policy, first, waiting, epsilon)


def _players(
    environments: parallel.ParallelEnvironments | serial.SerialEnvironments,
    config: environment_config_lib.EnvironmentConfig,
    seed: int,
    count: int,
    keep_frames: bool,
    marco_polo_share: float,
) -> list[_Player]:
  frame = environments.observation_spec()
  return [
      _Player(
          i,
          frame,
          config.stack_size,
          seed,
          keep_frames,
          exploration_lib.make(config, marco_polo_share),
      )
      for i in range(count)
  ]


def _play(
    environments: parallel.ParallelEnvironments | serial.SerialEnvironments,
    players: Sequence[_Player],
    policy: Policy,
    first: Sequence[int],
    waiting: Iterator[int],
    epsilon: Callable[[int], float],
) -> Iterator[PlayedEpisode]:
  """Plays the episodes `first`, and then those that are waiting."""
  num_actions = environments.action_spec().num_values
  order = collections.deque()  # Started and not yet yielded.
  finished = {}

  def start(chosen: Sequence[_Player], episodes: Sequence[int]) -> None:
    timestep = environments.reset(episodes, [p.environment for p in chosen])
    order.extend(episodes)
    for player, number, observation in zip(
        chosen, episodes, timestep.observation, strict=True
    ):
      player.start(number, observation)

  start(players, first)
  while players:
    actions = [
        player.explore(
            acting.explore(
                action, epsilon(player.number), num_actions, player.generator
            )
        )
        for player, action in zip(
            players,
            policy(np.stack([player.observation for player in players])),
            strict=True,
        )
    ]
    timestep = environments.step(actions, [p.environment for p in players])
    for i, player in enumerate(players):
      player.step(actions[i], timestep.reward[i], timestep.observation[i])
    last = np.flatnonzero(timestep.step_type == dm_env.StepType.LAST)
    ended = [players[i] for i in last]
    facts = environments.read('episode_facts', [p.environment for p in ended])
    for i, player, known in zip(last, ended, facts, strict=True):
      finished[player.number] = player.episode(timestep.discount[i], known)
    following = list(itertools.islice(waiting, len(ended)))
    if following:
      start(ended[: len(following)], following)
    players = [p for p in players if p not in ended[len(following) :]]
    while order and order[0] in finished:
      yield finished.pop(order.popleft())


@contextlib.contextmanager
def _environments(
    config: environment_config_lib.EnvironmentConfig,
    seed: int,
    num_parallel: int,
    num_workers: int,
    count: int,
) -> Iterator[parallel.ParallelEnvironments | serial.SerialEnvironments]:
  """Gives at least `count` environments."""
  if not num_workers:
    yield serial.SerialEnvironments(config, seed, count)
    return
  environments = _processes(config, seed, num_parallel, num_workers)
  try:
    yield environments
  except GeneratorExit:
    raise  # Nobody wants more episodes; the next ones begin with a reset.
  except BaseException:
    # The processes may be gone, or one of them about to answer.
    environments.close()
    _processes.cache_clear()
    raise


@functools.lru_cache(maxsize=1)
def _processes(
    config: environment_config_lib.EnvironmentConfig,
    seed: int,
    num_parallel: int,
    num_workers: int,
) -> parallel.ParallelEnvironments:
  """Kept from one evaluation to the next: starting processes takes seconds."""
  return parallel.ParallelEnvironments(config, seed, num_parallel, num_workers)
