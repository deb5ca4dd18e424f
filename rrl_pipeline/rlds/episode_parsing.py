"""Turns the record of an RLDS episode into the rows of a frame store."""

from typing import Any, Mapping, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import step_columns
from rrl_pipeline.rlds import teacher_values
from rrl_pipeline.rlds import tf_example

STEP_FIELDS = (
    schema.OBSERVATION,
    schema.ACTION,
    schema.REWARD,
    schema.IS_FIRST,
    schema.IS_LAST,
    schema.IS_TERMINAL,
)


class Summary(NamedTuple):
  """What is known of an episode before its frames are decoded.

  Attributes:
    num_steps: RLDS steps, T + 1 for T actions.
    episode_return: as the dataset says, or else the sum of the rewards.
    checkpoint: number of the part of the log that it is from; 0 if unknown.
    void_reward: the reward in its last step, where by RLDS none belongs.
  """

  num_steps: int
  episode_return: float
  checkpoint: int
  void_reward: float


class EpisodeParser:
  """Reads the records of one dataset.

  Attributes:
    frame_shape: of one observation; (H, W) of frames.
    frame_dtype: of its numbers.
    has_teacher_values: whether its steps hold the values of a teacher.
    has_checkpoints: whether episodes say which checkpoint they are from.
  """

  def __init__(self, features: Mapping[str, tfds.features.FeatureConnector]):
    """Looks at the features of a dataset, `steps` among them.

    Raises:
      ValueError: if they are not of RLDS episodes of single grey frames or of
        arrays; the message goes on from 'the dataset …'.
    """
    steps = features[schema.STEPS].feature
    missing = [name for name in STEP_FIELDS if name not in steps]
    if missing:
      raise ValueError(f'lacks the step fields {missing}')
    self._frames = step_columns.ObservationColumn(steps[schema.OBSERVATION])
    self.frame_shape = self._frames.shape
    self.frame_dtype = self._frames.dtype
    self._columns = {
        name: step_columns.Column(name, steps[name])
        for name in (*STEP_FIELDS[1:], teacher_values.STEP_FIELD)
        if name in steps
    }
    self.has_teacher_values = teacher_values.STEP_FIELD in steps
    self.has_checkpoints = schema.CHECKPOINT_ID in features
    self._has_return = schema.EPISODE_RETURN in features

  def summary(self, record: bytes) -> Summary:
    """Looks at an episode without decoding its frames."""
    example = tf_example.parse(record)
    rewards = self._columns[schema.REWARD].read(example)
    features = example.features.feature
    return Summary(
        num_steps=len(rewards),
        episode_return=(
            features[schema.EPISODE_RETURN].float_list.value[0]
            if self._has_return
            else float(rewards[:-1].sum(dtype=np.float64))
        ),
        checkpoint=(
            features[schema.CHECKPOINT_ID].int64_list.value[0]
            if self.has_checkpoints
            else 0
        ),
        void_reward=float(rewards[-1]) if len(rewards) else 0.0,
    )

  def rows(
      self, record: bytes, num_actions: int, where: str
  ) -> frame_store.Rows:
    """Decodes an episode.

    Args:
      record: as its shard holds it.
      num_actions: A of the environment.
      where: which episode it is, for messages.

    Raises:
      ValueError: if it breaks a rule of RLDS, if an action is not one of
        `num_actions`, or if a frame cannot be decoded.
    """
    example = tf_example.parse(record)
    columns = {
        name: column.read(example) for name, column in self._columns.items()
    }
    is_last = columns[schema.IS_LAST].astype(bool)
    is_terminal = columns[schema.IS_TERMINAL].astype(bool)
    try:
      frames = self._frames.read(example)
      count = _check_lengths(columns | {schema.OBSERVATION: frames})
      _check_flags(is_last, is_terminal)
      _check_values(columns, is_last, num_actions)
    except ValueError as error:
      raise ValueError(f'{where}: {error}') from error
    return frame_store.Rows(
        observation=frames,
        action=columns[schema.ACTION].astype(np.int32),
        reward=columns[schema.REWARD].astype(np.float32),
        is_first=np.arange(count) == 0,
        is_last=is_last,
        is_terminal=is_terminal,
        is_padded=np.full(count, _is_whole(example)),
        teacher_values=_teacher_values(columns, count, num_actions),
    )


def _teacher_values(
    columns: Mapping[str, np.ndarray], count: int, num_actions: int
) -> np.ndarray:
  """Those of the dataset, zeros if they are of another number of actions."""
  values = columns.get(teacher_values.STEP_FIELD)
  if values is None or values.shape != (count, num_actions):
    return np.zeros((count, num_actions), np.float32)
  return values.astype(np.float32)


def _is_whole(example: Any) -> bool:
  """Whether the true start of the episode is there."""
  feature = example.features.feature
  if schema.COMPLETE_START not in feature:
    return True  # Datasets by others do not say that a start is missing.
  return bool(feature[schema.COMPLETE_START].int64_list.value[0])


def _check_lengths(columns: Mapping[str, np.ndarray]) -> int:
  lengths = {name: len(column) for name, column in columns.items()}
  if len(set(lengths.values())) > 1 or not lengths[schema.IS_LAST]:
    raise ValueError(
        'the fields of its steps must be equally long, and not empty; their'
        f' lengths are {lengths}.'
    )
  return lengths[schema.IS_LAST]


def _check_flags(is_last: np.ndarray, is_terminal: np.ndarray) -> None:
  if is_last[:-1].any() or not is_last[-1]:
    raise ValueError('is_last is not true of exactly the last step.')
  if is_terminal[:-1].any():
    raise ValueError('is_terminal is true before the last step.')


def _check_values(
    columns: Mapping[str, np.ndarray], is_last: np.ndarray, num_actions: int
) -> None:
  taken = columns[schema.ACTION][~is_last]
  if len(taken) and not 0 <= taken.min() <= taken.max() < num_actions:
    raise ValueError(
        f'the actions go from {taken.min()} to {taken.max()}, but the'
        f' environment has the actions 0 to {num_actions - 1}. Is it a dataset'
        ' of another game?'
    )
  if not np.all(np.isfinite(columns[schema.REWARD][~is_last])):
    raise ValueError('a reward is not finite.')
