"""Small environments whose observations are no frames, and records of them."""

import dataclasses
import os
from typing import Any, ClassVar

import dm_env
from dm_env import specs
import numpy as np

from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import recording
from rrl_pipeline.logs import recorder

NUM_ACTIONS = 3


@dataclasses.dataclass(frozen=True)
class SmallConfig:
  """An environment of noise.

  Attributes:
    shape: of one observation.
    dtype: of its numbers; float32 within [-1, 1], or uint8 of 0 and 255.
    max_episode_steps: steps after which an episode is cut.
  """

  kind: ClassVar[str] = 'small'

  shape: tuple[int, ...] = (7,)
  dtype: str = 'float32'
  max_episode_steps: int = 12

  @property
  def task(self) -> str:
    return 'Small'

  @property
  def frame_skip(self) -> int:
    return 1

  @property
  def stack_size(self) -> int:
    return 1

  @property
  def reward_limit(self) -> None:
    return None


class SmallEnvironment(environment_lib.Environment):
  """Each episode depends on (seed, its number) and its actions alone.

  A third of the steps of action 2 end it. Rewards are not whole numbers.
  """

  def __init__(self, config: SmallConfig, seed: int):
    self._config = config
    self._seed = seed
    self._episode = -1
    self._steps = 0

  @property
  def action_meanings(self) -> tuple[str, ...]:
    return ('LEFT', 'STAY', 'RIGHT')

  def start_at_episode(self, episode: int) -> None:
    """Makes the next `reset` start the episode of this number."""
    self._episode = episode - 1

  @property
  def episode_facts(self) -> dict[str, Any]:
    """See base class."""
    return {
        'environment_seed': [self._seed, self._episode],
        'mean_distance': self._steps / 7,
    }

  def reset(self) -> dm_env.TimeStep:
    self._episode += 1
    self._steps = 0
    self._generator = np.random.Generator(
        np.random.Philox(key=[self._seed, self._episode])
    )
    return dm_env.restart(self._observation())

  def step(self, action: int) -> dm_env.TimeStep:
    self._steps += 1
    reward = float(self._generator.normal()) + int(action)
    ends = self._generator.random() < 1 / 3 and action == 2
    observation = self._observation()
    if ends:
      return dm_env.termination(reward, observation)
    if self._steps == self._config.max_episode_steps:
      return dm_env.truncation(reward, observation)
    return dm_env.transition(reward, observation)

  def _observation(self) -> np.ndarray:
    noise = self._generator.random(self._config.shape)
    if self._config.dtype == 'uint8':
      return np.where(noise < 0.2, 255, 0).astype(np.uint8)
    return (2 * noise - 1).astype(self._config.dtype)

  def observation_spec(self) -> specs.Array:
    low, high = (0, 255) if self._config.dtype == 'uint8' else (-1, 1)
    return specs.BoundedArray(
        self._config.shape, np.dtype(self._config.dtype), low, high
    )

  def action_spec(self) -> specs.DiscreteArray:
    return specs.DiscreteArray(NUM_ACTIONS, dtype=np.int32)


def record(
    directory: str | os.PathLike,
    config: SmallConfig = SmallConfig(),
    num_writers: int = 2,
    num_episodes: int = 3,
    **metadata: Any,
) -> None:
  """Records random play.

  Args:
    directory: of the recording.
    config: of the environment.
    num_writers: which record so many
    num_episodes: each.
    **metadata: of the recording.
  """
  for writer in range(num_writers):
    environment = SmallEnvironment(config, seed=writer)
    description = recording.describe(
        environment,
        {
            'agent': 'random',
            'action_meanings': list(environment.action_meanings),
            **metadata,
        },
    )
    with recorder.RecordingWriter(
        os.fspath(directory), description, writer
    ) as recording_writer:
      play(environment, recording_writer, num_episodes)


def play(
    environment: SmallEnvironment,
    writer: recorder.RecordingWriter,
    num_episodes: int,
) -> None:
  """Records random play by one writer, whose description says what it is."""
  recorded = recording.RecordingEnvironment(
      environment, writer, lambda played: played.episode_facts
  )
  for number in range(num_episodes):
    rng = np.random.default_rng(number)
    timestep = recorded.reset()
    while not timestep.last():
      timestep = recorded.step(rng.integers(NUM_ACTIONS))
