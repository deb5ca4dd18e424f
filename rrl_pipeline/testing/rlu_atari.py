"""Episodes and datasets in the schema of `rlu_atari`, made by TFDS's code."""

import io
import os
import pathlib
from typing import Any, Sequence

import numpy as np
from PIL import Image
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.rl_unplugged import atari_utils

from rrl_pipeline import types


def encode_png(frame: np.ndarray) -> bytes:
  """A frame as libpng writes it, filters and all."""
  file = io.BytesIO()
  Image.fromarray(frame).save(file, 'PNG')
  return file.getvalue()


def episode(
    logged: types.Episode, checkpoint_id: int, episode_id: int
) -> dict[str, Any]:
  """What TFDS makes of an episode as RL Unplugged stores it."""
  discounts = np.ones(len(logged.actions), np.float32)
  discounts[-1] = logged.end is not types.EpisodeEnd.TERMINAL
  total = logged.rewards.sum()

  def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))

  def integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

  feature = {
      'checkpoint_idx': integers([checkpoint_id]),
      'episode_idx': integers([episode_id]),
      'episode_return': floats([total]),
      'clipped_episode_return': floats([total]),
      'observations': tf.train.Feature(
          bytes_list=tf.train.BytesList(
              value=map(encode_png, logged.observations)
          )
      ),
      'actions': integers(logged.actions),
      'unclipped_rewards': floats(logged.rewards),
      'clipped_rewards': floats(logged.rewards),
      'discounts': floats(discounts),
  }
  example = tf.train.Example(features=tf.train.Features(feature=feature))
  rlds = atari_utils.atari_example_to_rlds(example.SerializeToString())
  steps = {name: value.numpy() for name, value in rlds.pop('steps').items()}
  # Its flags are floats; TFDS stores what its features say.
  for name in ('is_first', 'is_last', 'is_terminal'):
    steps[name] = steps[name].astype(bool)
  return {**{name: v.numpy() for name, v in rlds.items()}, 'steps': steps}


def record(
    logged: types.Episode, checkpoint_id: int, episode_id: int
) -> bytes:
  """The same as a record."""
  features = atari_utils.features_dict()
  return features.serialize_example(
      features.encode_example(episode(logged, checkpoint_id, episode_id))
  )


def write_dataset(
    directory: str | os.PathLike, logged: Sequence[types.Episode]
) -> pathlib.Path:
  """The dataset rlu_atari/Pong_run_1, all of checkpoint 0; its folder."""
  return pathlib.Path(
      tfds.dataset_builders.store_as_tfds_dataset(
          name='rlu_atari',
          config='Pong_run_1',
          version='1.3.0',
          features=atari_utils.features_dict(),
          split_datasets={
              'train': [(i, episode(e, 0, i)) for i, e in enumerate(logged)]
          },
          data_dir=directory,
          disable_shuffling=True,
      ).data_path
  )
