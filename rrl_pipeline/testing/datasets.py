"""Small datasets and teachers for tests of what is done with datasets."""

import os
import pathlib
from typing import Any, Iterator, Mapping

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import nature
from rrl_pipeline.rlds import schema
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import replay_logs

PONG_ACTIONS = ('NOOP', 'FIRE', 'RIGHT', 'LEFT', 'RIGHTFIRE', 'LEFTFIRE')
# In entries of the log; the ring has lost the first steps of the first episode.
_LENGTHS = (9, 40, 1, 70, 25, 8)
_CAPACITY = 166


def build_replay(
    directory: str | os.PathLike, num_shards: int = 3
) -> pathlib.Path:
  """A dataset of Pong_run_1, converted from a small log; its version folder.

  Its episodes end in each of the three ways, and one has no true start.
  """
  directory = pathlib.Path(directory)
  rng = np.random.default_rng(0)
  ends = [types.EpisodeEnd.TERMINAL, types.EpisodeEnd.TRUNCATED] * 3
  ends[-1] = types.EpisodeEnd.LOG_END
  episodes = [
      replay_logs.random_episode(rng, length, end=end)
      for length, end in zip(_LENGTHS, ends)
  ]
  log = directory / 'log'
  replay_logs.write_log(str(log), episodes, _CAPACITY)
  config = build_rlds.BuildRldsConfig(
      str(log), str(directory), num_shards=num_shards
  )
  return pathlib.Path(build_rlds.convert(config).path)


def build_one_step(
    directory: str | os.PathLike,
    step: Mapping[str, tfds.features.FeatureConnector],
) -> pathlib.Path:
  """A dataset of one episode of one step, all zeros, with these features."""
  builder = tfds.dataset_builders.store_as_tfds_dataset(
      name='other',
      version='1.0.0',
      data_dir=directory,
      features=tfds.features.FeaturesDict(
          {schema.STEPS: tfds.features.Dataset(step)}
      ),
      split_datasets={
          'train': [(0, {schema.STEPS: {
              name: np.zeros((1, *feature.shape), feature.np_dtype)
              for name, feature in step.items()
          }})]
      },
  )
  return builder.data_path


def export_teacher(
    directory: str | os.PathLike,
    seed: int = 0,
    game: str = 'Pong',
    frame_size: int = 84,
    action_meanings: tuple[str, ...] = PONG_ACTIONS,
) -> pathlib.Path:
  """A bundle of a small network that nobody has trained."""
  directory = pathlib.Path(directory)
  shape = (frame_size, frame_size, 4)
  network = network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8)
  bundle.export(
      directory,
      nature.make(network, shape, len(action_meanings), seed),
      bundle.Description(
          kind='q_values',
          observation_shape=shape,
          action_meanings=action_meanings,
          environment={'game': game, 'frame_skip': 4},
          score={'mean_return': 0.0},
          lineage={'command': 'made for a test'},
      ),
  )
  return directory


def load(
    path: str | os.PathLike, split: str = 'train'
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
  """The episodes of a dataset as TFDS decodes them: their fields, their steps.

  TFDS reads ArrayRecord files by random access only.
  """
  builder = tfds.builder_from_directory(os.fspath(path))
  is_tfrecord = builder.info.file_format.value == 'tfrecord'
  for episode in (
      builder.as_dataset(split=split)
      if is_tfrecord
      else builder.as_data_source(split)
  ):
    steps = episode.pop(schema.STEPS)
    if is_tfrecord:
      columns = next(iter(steps.batch(30_000).as_numpy_iterator()))
    else:
      rows = list(steps)
      columns = {name: np.stack([r[name] for r in rows]) for name in rows[0]}
    # A text is an object to one reader and an array of characters to the other.
    fields = {
        name: value.astype(object) if value.dtype.kind == 'S' else value
        for name, value in zip(episode, map(np.asarray, episode.values()))
    }
    yield fields, columns


def files(directory: str | os.PathLike) -> dict[str, bytes]:
  """The contents of a folder's files."""
  return {
      path.name: path.read_bytes()
      for path in pathlib.Path(directory).iterdir()
  }
