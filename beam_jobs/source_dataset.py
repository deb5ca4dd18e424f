"""A TFDS dataset on disk as the source of a derived one.

Records are read as they are stored, without TensorFlow: what a job does not
change is copied, not decoded and encoded again.
"""

import dataclasses
import os
from typing import Any, Iterator, Mapping, Optional

import numpy as np

from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import opening
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example


class SourceError(ValueError):
  """A dataset that cannot be derived from: says what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Episode:
  """What planning needs to know of one record.

  Attributes:
    split: that it belongs to.
    shard: name of its file.
    position: of the record in that file.
    num_steps: RLDS steps.
    num_transitions: actions; one less than steps where the record does not say.
    num_bytes: size of the record.
    episode_return: sum of the rewards, as the record says it; if it does not,
      the sum over the steps but the last one.
    checkpoint_id: of the log; None if the record does not say.
    end_kind: 'terminal', or how else it ended; 'truncated' for all of those
      where the record does not say.
    last_reward: what the record holds as the reward of the last step.
    step_rewards: sum of the rewards of all steps, the last one included.
    max_action: largest action of the steps but the last one.
  """

  split: str
  shard: str
  position: int
  num_steps: int
  num_transitions: int
  num_bytes: int
  episode_return: float
  checkpoint_id: Optional[int]
  end_kind: str
  last_reward: float
  step_rewards: float
  max_action: int


class SourceDataset:
  """An RLDS dataset.

  Attributes:
    path: its version folder.
    info: TFDS's description of it.
    name: as in 'atari_replay'.
    config: as in 'Pong_run_1'; empty if there is none.
    version: as in '1.0.0'.
    file_format: 'tfrecord' or 'array_record'.
    observation: what its steps hold, and how.
    shards: for each split, the names of its files in order.
  """

  def __init__(self, path: str | os.PathLike):
    """Reads the dataset's description.

    Raises:
      SourceError: if there is none, or if it is no dataset of this kind.
    """
    self.path = os.path.abspath(path)
    try:
      self.info = opening.open_builder(self.path).info
    except ValueError as error:
      raise SourceError(str(error)) from error
    step_features = self.info.features[schema.STEPS].feature
    missing = [
        name
        for name in (
            schema.OBSERVATION,
            schema.ACTION,
            schema.REWARD,
            schema.IS_TERMINAL,
        )
        if name not in step_features
    ]
    if missing:
      raise SourceError(f'the dataset {path} lacks the step fields {missing}')
    try:
      self.observation = observations.format_of(
          step_features[schema.OBSERVATION]
      )
    except ValueError as error:
      raise SourceError(f'{path} cannot be read: {error}') from error
    self.file_format = self.info.file_format.value
    try:
      record_files.check_format(self.file_format)
    except ValueError as error:
      raise SourceError(f'{path} cannot be read: {error}') from error
    self.name = self.info.name
    self.config = self.info.config_name or ''
    self.version = str(self.info.version)
    self.shards = {
        name: tuple(map(os.path.basename, split.filepaths))
        for name, split in self.info.splits.items()
    }
    for name in self.file_names():
      if not os.path.exists(os.path.join(self.path, name)):
        raise SourceError(
            f'{self.path} is incomplete: {name} is missing; copy or build the '
            'dataset anew'
        )

  @property
  def step_features(self) -> Mapping[str, Any]:
    """The features of a step, by name."""
    return dict(self.info.features[schema.STEPS].feature)

  @property
  def metadata(self) -> dict[str, Any]:
    """What `metadata.json` says; empty if there is none."""
    return dict(self.info.metadata or {})

  def file_names(self) -> list[str]:
    return [name for names in self.shards.values() for name in names]

  def fingerprint(self) -> dict[str, Any]:
    """What tells this dataset from another one, without reading its shards."""
    return {
        'dataset': '/'.join(filter(None, (self.name, self.config))),
        'version': self.version,
        'files': {name: self._size(name) for name in self.file_names()},
        # Datasets of this project say them.
        'sha256': [
            shard['sha256']
            for shard in self.metadata.get('conversion', {}).get('shards', [])
        ],
    }

  def episodes(self) -> Iterator[Episode]:
    """Reads every record once and says what planning needs to know of it.

    Raises:
      SourceError: if a file is damaged or holds other records than TFDS's
        description says.
    """
    for split, names in self.shards.items():
      lengths = self.info.splits[split].shard_lengths
      for shard, expected in zip(names, lengths, strict=True):
        count = 0
        for count, record in enumerate(self.records(shard), 1):
          yield _look_at(record, split, shard, count - 1)
        if count != expected:
          raise SourceError(
              f'{shard} of {self.path} holds {count} episodes; its '
              f'dataset_info.json says {expected}: copy or build it anew'
          )

  def records(self, shard: str) -> Iterator[bytes]:
    """The records of a file.

    Raises:
      SourceError: if it is damaged.
    """
    return read_records(os.path.join(self.path, shard), self.file_format)

  def _size(self, name: str) -> int:
    return os.path.getsize(os.path.join(self.path, name))


def read_records(path: str, file_format: str) -> Iterator[bytes]:
  """The records of a file; its damage is the source's.

  Raises:
    SourceError: if the file is damaged.
  """
  try:
    yield from record_files.read(path, file_format)
  except record_files.RecordFileError as error:
    raise SourceError(
        f'{error}; copy or build the dataset anew'
    ) from error


def _look_at(record: bytes, split: str, shard: str, position: int) -> Episode:
  feature = tf_example.parse(record).features.feature

  def column(name: str, kind: str) -> np.ndarray:
    values = getattr(feature[f'{schema.STEPS}/{name}'], kind)
    return np.array(values.value)

  rewards = column(schema.REWARD, 'float_list').astype(np.float64)
  actions = column(schema.ACTION, 'int64_list')
  stored = feature[f'{schema.STEPS}/{schema.OBSERVATION}'].bytes_list
  if not len(rewards) == len(actions) == len(stored.value) > 0:
    raise SourceError(
        f'record {position} of {shard} has {len(stored.value)} frames, '
        f'{len(actions)} actions and {len(rewards)} rewards; expected as many '
        'of each'
    )
  episode_return = rewards[:-1].sum()
  if schema.EPISODE_RETURN in feature:
    episode_return = feature[schema.EPISODE_RETURN].float_list.value[0]
  num_transitions = len(actions) - 1
  if schema.EPISODE_LENGTH in feature:
    num_transitions = feature[schema.EPISODE_LENGTH].int64_list.value[0]
  checkpoint_id = None
  if schema.CHECKPOINT_ID in feature:
    checkpoint_id = feature[schema.CHECKPOINT_ID].int64_list.value[0]
  is_terminal = bool(column(schema.IS_TERMINAL, 'int64_list')[-1])
  end_kind = 'terminal' if is_terminal else 'truncated'
  if schema.END_KIND in feature:
    end_kind = feature[schema.END_KIND].bytes_list.value[0].decode()
  return Episode(
      split=split,
      shard=shard,
      position=position,
      num_steps=len(actions),
      num_transitions=num_transitions,
      num_bytes=len(record),
      episode_return=float(episode_return),
      checkpoint_id=checkpoint_id,
      end_kind=end_kind,
      last_reward=float(rewards[-1]),
      step_rewards=float(rewards.sum()),
      max_action=int(actions[:-1].max(initial=0)),
  )
