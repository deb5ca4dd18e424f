"""Replay logs for tests: real ones with the truth about them, small ones."""

import dataclasses
import gzip
import json
import os
from typing import Sequence

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine_writer

_PADDING = 3  # Stacks of four frames.


@dataclasses.dataclass(frozen=True)
class TrueEpisode:
  """What an environment saw of an episode while its agent logged it.

  Attributes:
    first_add: position of its first step in the log.
    actions: [T].
    rewards: [T], clipped.
    frame_crc32: [T], CRC-32 of each logged frame.
  """

  first_add: int
  actions: list[int]
  rewards: list[float]
  frame_crc32: list[int]

  @property
  def length(self) -> int:
    return len(self.actions)


def load_truth(sample_dir: str) -> list[TrueEpisode]:
  """The truth about a sample log of tests/testdata/dopamine."""
  path = os.path.join(sample_dir, 'ground_truth.json.gz')
  with gzip.open(path, 'rt', encoding='utf-8') as file:
    episodes = json.load(file)['episodes']
  truth = []
  add = 0
  for episode in episodes:
    add += _PADDING
    truth.append(
        TrueEpisode(
            first_add=add,
            actions=episode['actions'],
            rewards=episode['clipped_rewards'],
            # The frame after the last action is not in the log.
            frame_crc32=episode['frame_crc32'][:-1],
        )
    )
    add += episode['length']
  return truth


def episode_at(truth: Sequence[TrueEpisode], add: int) -> TrueEpisode:
  """The episode that the entry `add` of the log belongs to."""
  return [episode for episode in truth if episode.first_add <= add][-1]


def random_episode(
    rng: np.random.Generator,
    length: int,
    frame_shape: tuple[int, ...] = (84, 84),
    end: types.EpisodeEnd = types.EpisodeEnd.TERMINAL,
) -> types.Episode:
  """An episode whose frames are not zero and mostly flat."""
  frames = np.full((length, *frame_shape), 87, np.uint8)
  frames[..., 0] = rng.integers(1, 256, (length, *frame_shape[:-1]))
  return types.Episode(
      observations=frames,
      actions=rng.integers(0, 6, length),
      rewards=rng.integers(-1, 2, length).astype(np.float32),
      end=end,
  )


def add_episode(
    writer: dopamine_writer.DopamineLogWriter, episode: types.Episode
) -> None:
  """Logs an episode."""
  last = len(episode.actions) - 1
  for t, (observation, action, reward) in enumerate(
      zip(episode.observations, episode.actions, episode.rewards)
  ):
    writer.add(
        observation,
        int(action),
        float(reward),
        terminal=t == last and episode.end is types.EpisodeEnd.TERMINAL,
        truncated=t == last and episode.end is types.EpisodeEnd.TRUNCATED,
    )


def write_log(
    directory: str, episodes: Sequence[types.Episode], capacity: int = 500
) -> None:
  """Writes one checkpoint, number 0."""
  writer = dopamine_writer.DopamineLogWriter(
      directory, episodes[0].observations.shape[1:], capacity
  )
  for episode in episodes:
    add_episode(writer, episode)
  writer.save(0)


def write_log_of_each_end(log_dir: str | os.PathLike) -> None:
  """A log of three episodes, each with another end, of 6, 5 and 4 steps."""
  rng = np.random.default_rng(0)
  write_log(
      os.fspath(log_dir),
      [
          random_episode(rng, 6, end=types.EpisodeEnd.TERMINAL),
          random_episode(rng, 5, end=types.EpisodeEnd.TRUNCATED),
          random_episode(rng, 4, end=types.EpisodeEnd.LOG_END),
      ],
      capacity=30,
  )
