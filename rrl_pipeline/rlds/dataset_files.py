"""A TFDS dataset of RLDS episodes as files on disk, read without TensorFlow.

What TFDS itself reads through `tf.data` is read here record by record, and only
what is asked for is decoded: a look into a dataset takes a second, not ten.
"""

import dataclasses
import os
from typing import Any, Iterator, Mapping

from google.protobuf import json_format
import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import stored_episodes

INFO_FILE = 'dataset_info.json'
FEATURES_FILE = 'features.json'
# What the conversion wrote about itself into the metadata.
_CONVERSION = 'conversion'
_MAX_SUGGESTIONS = 5


class DatasetError(ValueError):
  """A dataset that is missing or damaged: says where and what to do."""


@dataclasses.dataclass(frozen=True)
class Field:
  """A field of an episode or, if its name begins with `steps/`, of a step.

  Attributes:
    name: with the names of the groups that it lies in.
    kind: TFDS's class of feature, as in 'Scalar'.
    dtype: of its values, as in 'float32'.
    shape: of one value.
    encoding: how it is stored: 'png', 'jpeg', 'bytes', 'zlib' or 'none'.
    description: what it means.
  """

  name: str
  kind: str
  dtype: str
  shape: tuple[int | None, ...]
  encoding: str
  description: str


@dataclasses.dataclass(frozen=True)
class Shard:
  """One file of records.

  Attributes:
    split: that it belongs to.
    index: of the shard among all of the dataset.
    name: file name.
    num_episodes: that it shall hold.
    first_episode: index of its first one within the split.
  """

  split: str
  index: int
  name: str
  num_episodes: int
  first_episode: int


class Dataset:
  """A version folder of a dataset.

  Attributes:
    path: of the folder.
    name: as in 'atari_replay'.
    config: as in 'Pong_run_1'; empty if there is none.
    version: as in '1.1.0'.
    full_name: these three, as TFDS writes them.
    file_format: 'tfrecord' or 'array_record'.
    info: what TFDS knows of the dataset.
    fields: of episodes and steps, by name.
    shards: in the order of the splits.
  """

  def __init__(self, path: str | os.PathLike):
    """Reads the description of a dataset.

    Raises:
      DatasetError: if there is none, or no RLDS dataset that can be read.
    """
    self.path = os.fspath(path)
    try:
      self.info = tfds.builder_from_directory(self.path).info
      features = self.info.features
      is_rlds = schema.STEPS in features
    except (
        tfds.core.DatasetNotFoundError,
        tfds.core.dataset_info.DatasetInfoFileError,
        FileNotFoundError,
        NotADirectoryError,
        TypeError,  # There are no features.
        json_format.ParseError,
    ) as error:
      raise DatasetError(
          f'{self.path} holds no dataset: expected a version folder of TFDS '
          f'with {INFO_FILE} and {FEATURES_FILE}{_suggestions(self.path)}'
      ) from error
    if not is_rlds:
      raise DatasetError(
          f'{self.path} holds no RLDS dataset: it has no feature '
          f'{schema.STEPS!r}'
      )
    self.name = self.info.name
    self.config = self.info.config_name or ''
    self.version = str(self.info.version)
    self.full_name = '/'.join(
        filter(None, (self.name, self.config, self.version))
    )
    self.file_format = self.info.file_format.value
    try:
      record_files.check_format(self.file_format)
    except ValueError as error:
      raise DatasetError(f'{self.path}: {error}') from error
    self.fields = {field.name: field for field in _flatten(features, '')}
    missing = [
        name
        for name in stored_episodes.NEEDED_FIELDS
        if f'{schema.STEPS}/{name}' not in self.fields
    ]
    if missing:
      raise DatasetError(
          f'the steps of {self.path} lack the fields {", ".join(missing)}'
      )
    self.shards = self._list_shards()

  def _list_shards(self) -> tuple[Shard, ...]:
    shards = []
    for name, split in self.info.splits.items():
      first = 0
      for path, length in zip(split.filepaths, split.shard_lengths):
        shards.append(
            Shard(name, len(shards), os.path.basename(path), length, first)
        )
        first += length
    return tuple(shards)

  @property
  def metadata(self) -> dict[str, Any]:
    """What `metadata.json` holds; empty if there is none."""
    return dict(self.info.metadata or {})

  @property
  def conversion(self) -> dict[str, Any]:
    """What `build_rlds.py` wrote about the conversion; empty if others did."""
    return self.metadata.get(_CONVERSION, {})

  @property
  def license(self) -> str:
    """The licence of the data; empty if none is given."""
    return self.info.redistribution_info.license

  @property
  def num_episodes(self) -> int:
    return sum(shard.num_episodes for shard in self.shards)

  def shard_path(self, shard: Shard) -> str:
    return os.path.join(self.path, shard.name)

  def records(self, shard: Shard) -> Iterator[bytes]:
    """The records of a shard as they are stored.

    Raises:
      DatasetError: if the file is missing or damaged.
    """
    try:
      yield from record_files.read(self.shard_path(shard), self.file_format)
    except record_files.RecordFileError as error:
      raise DatasetError(f'{error}; copy or build the dataset anew') from error
    except FileNotFoundError as error:
      raise DatasetError(
          f'{self.path} is not complete: {shard.name} is missing; copy or '
          'build the dataset anew'
      ) from error

  def episodes(self, shard: Shard) -> Iterator[stored_episodes.StoredEpisode]:
    """The episodes of a shard, one in memory at a time.

    Raises:
      DatasetError: if the file is missing or damaged.
      stored_episodes.EpisodeError: if a record is no episode.
    """
    observation = self.fields[f'{schema.STEPS}/{schema.OBSERVATION}']
    path = self.shard_path(shard)
    for position, record in enumerate(self.records(shard)):
      yield stored_episodes.StoredEpisode(
          record,
          observation.encoding,
          observation.shape,
          observation.dtype,
          f'{path}, record {position}',
      )

  def episode(
      self, shard: Shard, position: int
  ) -> stored_episodes.StoredEpisode:
    """One episode of a shard.

    Raises:
      DatasetError: if the shard is damaged or has no such episode.
    """
    for index, episode in enumerate(self.episodes(shard)):
      if index == position:
        return episode
    raise DatasetError(
        f'{self.shard_path(shard)} holds no record {position}'
    )

  def locate(self, split: str, number: int) -> tuple[Shard, int]:
    """The shard of an episode and its position there.

    Raises:
      DatasetError: if there is no such split or episode.
    """
    shards = [shard for shard in self.shards if shard.split == split]
    if not shards:
      raise DatasetError(
          f'{self.path} has no split {split!r}; it has '
          f'{", ".join(self.info.splits)}'
      )
    for shard in shards:
      position = number - shard.first_episode
      if 0 <= position < shard.num_episodes:
        return shard, position
    count = shards[-1].first_episode + shards[-1].num_episodes
    raise DatasetError(
        f'there is no episode {number} in split {split!r} of {self.path}; '
        f'expected 0 to {count - 1}'
    )


def _flatten(features: Mapping[str, Any], prefix: str) -> Iterator[Field]:
  """The fields of a group of features, those of steps included."""
  for name in sorted(features):
    feature = features[name]
    inner = getattr(feature, 'feature', feature)  # Steps are a Dataset of it.
    if isinstance(inner, tfds.features.FeaturesDict):
      yield from _flatten(inner, f'{prefix}{name}/')
      continue
    description = feature.doc.desc or ''
    yield Field(
        name=f'{prefix}{name}',
        kind=type(feature).__name__,
        dtype=_dtype_name(feature),
        shape=tuple(feature.shape),
        encoding=_encoding(feature),
        description=' '.join(description.split()),
    )


def _dtype_name(feature: Any) -> str:
  if isinstance(feature, tfds.features.Text):
    return 'string'
  return np.dtype(feature.np_dtype).name


def _encoding(feature: Any) -> str:
  if isinstance(feature, tfds.features.Image):
    return feature.encoding_format or 'png'
  content = feature.to_json_content()
  return getattr(content, 'encoding', '') or 'none'


def _suggestions(path: str) -> str:
  """Names version folders that lie below a folder, if there are any."""
  found = []
  for directory, _, files in os.walk(path):
    if INFO_FILE in files:
      found.append(directory)
    if directory[len(path) :].count(os.sep) > 4:
      break
  if not found:
    return ', such as DATA_DIR/atari_replay/Pong_run_1/1.1.0'
  shown = ', '.join(sorted(found)[:_MAX_SUGGESTIONS])
  return f'. Below it there are: {shown}'
