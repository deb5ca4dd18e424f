"""Loads an RLDS dataset of single frames into a `FrameStore`."""

import os
import pathlib
from typing import Iterator, Mapping

from google.protobuf import json_format
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import schema

_SPLIT = 'train'
_STEP_FIELDS = (
    schema.OBSERVATION,
    schema.ACTION,
    schema.REWARD,
    schema.IS_FIRST,
    schema.IS_LAST,
    schema.IS_TERMINAL,
)


class RldsDataset:
  """A TFDS dataset on disk in the RLDS schema, read episode by episode.

  Attributes:
    path: its version directory.
    num_episodes: in its `train` split.
    num_steps: RLDS steps, so T + 1 for an episode of T actions.
    frame_shape: of one observation without its channel axis, (H, W).
  """

  def __init__(self, path: str | os.PathLike):
    """Opens the dataset and counts its steps.

    Raises:
      ValueError: if there is none, or if it lacks what learning needs.
    """
    self.path = pathlib.Path(path)
    try:
      self._builder = tfds.builder_from_directory(os.fspath(path))
      features = self._builder.info.features[schema.STEPS].feature
    except (
        tfds.core.DatasetNotFoundError,
        tfds.core.dataset_info.DatasetInfoFileError,
        AttributeError,  # The feature holds no others.
        FileNotFoundError,
        KeyError,
        json_format.ParseError,
    ) as error:
      raise ValueError(
          f'{path} holds no RLDS dataset: expected a TFDS version folder with'
          f' dataset_info.json and a feature {schema.STEPS!r}, such as'
          ' DATA_DIR/atari_replay/Pong_run_1/1.0.0.'
      ) from error
    missing = [name for name in _STEP_FIELDS if name not in features]
    if missing or _SPLIT not in self._builder.info.splits:
      raise ValueError(
          f'The dataset {path} lacks the step fields {missing}.'
          if missing
          else f'The dataset {path} has no split {_SPLIT!r}.'
      )
    shape = features[schema.OBSERVATION].shape
    if len(shape) != 3 or shape[-1] != 1:
      raise ValueError(
          f'The dataset {path} has observations of shape {shape}; expected'
          ' single grey frames (H, W, 1).'
      )
    self.frame_shape = tuple(shape[:-1])
    try:
      lengths = [
          len(episode[schema.STEPS][schema.IS_LAST])
          for episode in self._raw_episodes().as_numpy_iterator()
      ]
    except tf.errors.OpError as error:
      raise ValueError(
          f'The dataset {path} is damaged: {_reason(error)}. Copy it or build'
          ' it anew.'
      ) from error
    self.num_episodes = len(lengths)
    self.num_steps = sum(lengths)

  def episodes(self, num_actions: int) -> Iterator[frame_store.Rows]:
    """The episodes in order, each as the rows that a store takes.

    Raises:
      ValueError: if an action is not one of `num_actions`.
    """
    dataset = self._raw_episodes().map(
        _decode, num_parallel_calls=tf.data.AUTOTUNE
    )
    for index, episode in enumerate(dataset.prefetch(2).as_numpy_iterator()):
      yield _rows(episode, num_actions, f'{self.path}, episode {index}')

  def _raw_episodes(self) -> tf.data.Dataset:
    return self._builder.as_dataset(
        split=_SPLIT,
        decoders={schema.STEPS: tfds.decode.SkipDecoding()},
        # One file after the other: the order, and so every number that is
        # drawn later, depends on nothing but the files.
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
        shuffle_files=False,
    )


def _reason(error: tf.errors.OpError) -> str:
  """The message without TensorFlow's names of devices and operations."""
  return error.message.rpartition('}} ')[-1].partition(' [Op:')[0]


def _decode(episode: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
  steps = dict(episode[schema.STEPS])
  steps[schema.OBSERVATION] = tf.map_fn(
      lambda png: tf.io.decode_png(png, channels=1)[..., 0],
      steps[schema.OBSERVATION],
      fn_output_signature=tf.uint8,
  )
  return {**episode, schema.STEPS: steps}


def _rows(
    episode: Mapping[str, np.ndarray], num_actions: int, where: str
) -> frame_store.Rows:
  steps = episode[schema.STEPS]
  is_last = steps[schema.IS_LAST].astype(bool)
  actions = steps[schema.ACTION].astype(np.int32)
  taken = actions[~is_last]
  if len(taken) and not 0 <= taken.min() <= taken.max() < num_actions:
    raise ValueError(
        f'{where}: the actions go from {taken.min()} to {taken.max()}, but the'
        f' environment has the actions 0 to {num_actions - 1}. Is it a dataset'
        ' of another game?'
    )
  if not np.all(np.isfinite(steps[schema.REWARD][~is_last])):
    raise ValueError(f'{where}: a reward is not finite.')
  if is_last[:-1].any() or not is_last[-1]:
    raise ValueError(f'{where}: is_last is not true of exactly the last step.')
  is_terminal = steps[schema.IS_TERMINAL].astype(bool)
  if is_terminal[:-1].any():
    raise ValueError(f'{where}: is_terminal is true before the last step.')
  count = len(actions)
  # Datasets by others do not say that a start is missing: they are whole.
  is_whole = bool(episode.get(schema.COMPLETE_START, True))
  return frame_store.Rows(
      observation=steps[schema.OBSERVATION],
      action=actions,
      reward=steps[schema.REWARD].astype(np.float32),
      is_first=np.arange(count) == 0,
      is_last=is_last,
      is_terminal=is_terminal,
      is_padded=np.full(count, is_whole),
      teacher_values=np.zeros((count, num_actions), np.float32),
  )
