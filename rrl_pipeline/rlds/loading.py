"""Opens an RLDS dataset and decodes its episodes into rows.

Any TFDS folder is read, whoever wrote it, if its episodes follow RLDS: shards
of `tfrecord` or `array_record`, observations that are single frames or arrays,
the schema of this package or that of TFDS's `rlu_atari`. Records are read
without TensorFlow, and each observation is decoded once.
"""

import hashlib
import json
import os
import pathlib
import re
from typing import Iterator, Sequence

from google.protobuf import message
import numpy as np

from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import episode_parsing
from rrl_pipeline.rlds import opening
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import selection
from rrl_pipeline.rlds import shards as shards_lib
from rrl_pipeline.rlds import teacher_values

_SPLIT = 'train'
# The splits of `rlu_atari_checkpoints`.
_CHECKPOINT_SPLIT = re.compile(r'checkpoint_\d+')
_METADATA = ('dataset_info.json', 'features.json', 'metadata.json')


class RldsDataset:
  """A TFDS dataset on disk in the RLDS schema, read episode by episode.

  Attributes:
    path: its version directory.
    frame_shape: of one observation; of frames without their channel axis,
      (H, W).
    frame_dtype: of its numbers.
    lengths: [N] int64, RLDS steps of each chosen episode: T + 1 for T actions.
    returns: [N] float64, the return of each as logged.
    teacher_sha256: of the bundle whose values its steps hold; None if they hold
      none, or do not say whose.
    losses: what of the data cannot be used, one sentence each.
  """

  def __init__(
      self,
      path: str | os.PathLike,
      episode_filter: selection.EpisodeFilter = selection.EpisodeFilter(),
  ):
    """Opens the dataset and reads each record once, without its frames.

    So a damaged shard is noticed here, not in the middle of learning.

    Args:
      path: version directory of the dataset.
      episode_filter: which of its episodes to take.

    Raises:
      ValueError: if there is no dataset, if it lacks what learning needs, if
        it is damaged, or if the filter leaves nothing.
    """
    self.path = pathlib.Path(path)
    self._filter = episode_filter
    self._info = opening.open_builder(path).info
    try:
      self._parser = episode_parsing.EpisodeParser(self._info.features)
    except ValueError as error:
      raise ValueError(f'The dataset {path} {error}.') from error
    self.frame_shape = self._parser.frame_shape
    self.frame_dtype = self._parser.frame_dtype
    self.teacher_sha256 = None
    if self._parser.has_teacher_values:
      self.teacher_sha256 = teacher_values.sha256_of(self._info.metadata)
    try:
      self._shards = self._open_shards()
      summaries = self._summaries()
    except (shards_lib.DamagedShardError, message.DecodeError) as error:
      raise ValueError(
          f'The dataset {path} is damaged: {error}. Copy it or build it anew.'
      ) from error
    self._choose(summaries)

  @property
  def num_episodes(self) -> int:
    return len(self.lengths)

  @property
  def num_steps(self) -> int:
    """RLDS steps of the chosen episodes."""
    return int(self.lengths.sum())

  @property
  def fingerprint(self) -> str:
    """SHA-256 that is the same only for the same files and filter, in hex."""
    content = {
        'filter': repr(self._filter),
        'metadata': {
            name: hashlib.sha256((self.path / name).read_bytes()).hexdigest()
            for name in _METADATA
            if (self.path / name).exists()
        },
        'shards': [
            [path.name, path.stat().st_size, path.stat().st_mtime_ns]
            for path in map(pathlib.Path, self._paths())
        ],
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

  def episodes(self, num_actions: int) -> Iterator[frame_store.Rows]:
    """The chosen episodes in order, each as the rows that a store takes.

    Raises:
      ValueError: as `episode` does.
    """
    for index in range(self.num_episodes):
      yield self.episode(index, num_actions)

  def episode(self, index: int, num_actions: int) -> frame_store.Rows:
    """One of the chosen episodes.

    Raises:
      ValueError: if it breaks a rule of RLDS, or if an action is not one of
        `num_actions`.
    """
    shard, number = self._places[index]
    return self._parser.rows(
        self._shards[shard].read(number),
        num_actions,
        f'{self.path}, episode {self._numbers[index]}',
    )

  def _splits(self) -> Sequence[str]:
    splits = self._info.splits
    if _SPLIT in splits:
      return [_SPLIT]
    parts = sorted(filter(_CHECKPOINT_SPLIT.fullmatch, splits))
    if not parts:
      raise ValueError(
          f'The dataset {self.path} has no split {_SPLIT!r}, and none for each'
          f' checkpoint; it has {sorted(splits)}.'
      )
    return parts

  def _paths(self) -> list[str]:
    return [
        os.fspath(path)
        for split in self._splits()
        for path in self._info.splits[split].filepaths
    ]

  def _open_shards(self) -> list[shards_lib.Shard]:
    """Opens the shards in order, and compares them with the metadata."""
    file_format = self._info.file_format.value
    opened = [shards_lib.open_shard(p, file_format) for p in self._paths()]
    lengths = [
        length
        for split in self._splits()
        for length in self._info.splits[split].shard_lengths
    ]
    for path, shard, length in zip(
        self._paths(), opened, lengths, strict=True
    ):
      if len(shard) != length:
        raise shards_lib.DamagedShardError(
            f'{path} has {len(shard)} records, its metadata says {length}'
        )
    return opened

  def _summaries(self) -> list[episode_parsing.Summary]:
    return [
        self._parser.summary(shard.read(number))
        for shard in self._shards
        for number in range(len(shard))
    ]

  def _choose(self, summaries: Sequence[episode_parsing.Summary]) -> None:
    """Applies the filter; sets what describes the chosen episodes."""
    if self._filter.checkpoints != 'all' and not self._parser.has_checkpoints:
      raise ValueError(
          f'The dataset {self.path} does not say which checkpoint an episode is'
          f' from, so checkpoints cannot be {self._filter.checkpoints!r}.'
      )
    columns = (
        np.array(column) for column in zip(*summaries, strict=True)
    ) if summaries else iter([np.zeros(0, np.int64)] * 4)
    lengths, returns, checkpoints, void_rewards = columns
    kept = self._filter.keeps(checkpoints, returns)
    if not kept.any():
      raise ValueError(
          f'The dataset {self.path} has {len(kept)} episodes, of which'
          f' {self._filter} keeps none'
          + (
              f'; checkpoints go from {checkpoints.min()} to'
              f' {checkpoints.max()}, returns from {returns.min():g} to'
              f' {returns.max():g}.'
              if len(kept)
              else '.'
          )
      )
    places = [
        (i, number)
        for i, shard in enumerate(self._shards)
        for number in range(len(shard))
    ]
    self._numbers = np.flatnonzero(kept)
    self._places = [places[number] for number in self._numbers]
    self.lengths = lengths[kept].astype(np.int64)
    self.returns = returns[kept].astype(np.float64)
    self.losses = _losses(void_rewards[kept])


def _losses(void_rewards: np.ndarray) -> tuple[str, ...]:
  affected = np.count_nonzero(np.nan_to_num(void_rewards))
  if not affected:
    return ()
  return (
      f'{affected} of {len(void_rewards)} episodes hold a reward in their last'
      ' step, where RLDS allows none: these rewards are not learned from, and'
      ' the observation there is taken for the one that the action before led'
      ' to. Datasets in the schema of rlu_atari lose the last reward of an'
      ' episode in this way.',
  )
