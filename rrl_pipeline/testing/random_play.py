"""Random play of a small real game, as rows of a replay and as a dataset."""

import os
import pathlib
from typing import Iterator

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline import types
from rrl_pipeline.environments import atari
from rrl_pipeline.logs import reader
from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.training import rollouts

_SEED = 1


def episodes(
    environment: atari.AtariConfig, count: int
) -> Iterator[rollouts.PlayedEpisode]:
  """So many episodes, always the same."""
  return rollouts.play(
      environment, lambda o: np.zeros(len(o), int), range(count), _SEED,
      lambda _: 1.0, count, keep_frames=True,
  )


def rows(
    episode: rollouts.PlayedEpisode, teacher_values: np.ndarray
) -> frame_store.Rows:
  """The rows of an episode that a time limit cut.

  Args:
    episode: with its frames.
    teacher_values: float32 [T + 1, A].
  """
  numbers = np.arange(len(episode.frames))
  return frame_store.Rows(
      observation=episode.frames,
      action=np.append(episode.actions, 0).astype(np.int32),
      reward=np.append(episode.rewards, 0).astype(np.float32),
      is_first=numbers == 0,
      is_last=numbers == len(episode.actions),
      is_terminal=np.zeros(len(numbers), bool),
      is_padded=np.ones(len(numbers), bool),
      teacher_values=teacher_values,
  )


def write_dataset(
    directory: str | os.PathLike, environment: atari.AtariConfig, count: int
) -> pathlib.Path:
  """A dataset of episodes that the time limit cut; its version folder."""
  encoder = png.PngEncoder(schema.ATARI_FRAME_SHAPE, png.ZLIB)
  records = []
  for episode in episodes(environment, count):
    length = len(episode.actions)
    logged = schema.EncodedEpisode(
        span=reader.EpisodeSpan(
            0, episode.number, 0, length, 3, types.EpisodeEnd.TRUNCATED, True
        ),
        frames=[encoder.encode(frame) for frame in episode.frames[:length]],
        actions=episode.actions,
        rewards=np.clip(episode.rewards, -1, 1),
        checksums=np.zeros(length, np.uint32),
        is_blank=np.zeros(length, bool),
        content_sha256='',
    )
    records.append(schema.to_record(logged, str(episode.number), encoder.blank))
  builder = tfds.dataset_builders.store_as_tfds_dataset(
      name=schema.ATARI_DATASET, version='1.0.0', data_dir=directory,
      features=schema.atari_features(), disable_shuffling=True,
      split_datasets={'train': list(enumerate(records))},
  )
  return pathlib.Path(builder.data_path)
