"""What a job says of the dataset that it derives from another one."""

import dataclasses
import os
from typing import Any, Callable, Mapping, Optional, Sequence

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import derived_units


@dataclasses.dataclass(frozen=True)
class Target:
  """The dataset to make.

  Attributes:
    data_dir: folder of TFDS datasets to write into.
    name: of the dataset.
    config: of its configuration; empty if it has none.
    version: of it.
    file_format: of its files.
    features: of its records.
    options: what decides its contents besides the source, and
    metadata: what else its metadata shall say, both as JSON objects.
    release_note: what is new in this version.
    job: name of the program that makes it.
  """

  data_dir: str
  name: str
  config: str
  version: str
  file_format: str
  features: tfds.features.FeaturesDict
  options: Mapping[str, Any]
  metadata: Mapping[str, Any]
  release_note: str
  job: str

  @property
  def version_dir(self) -> str:
    parts = (self.data_dir, self.name, self.config, self.version)
    return os.path.join(*filter(None, parts))


@dataclasses.dataclass(frozen=True)
class Plan:
  """How the episodes of the source become shards.

  Attributes:
    units: one for each shard.
    write_bytes: estimated size of the shards.
    seconds: estimated time of one worker.
    check: of a derived record against its source; see `derivation_check`.
    checkpoints: which slice of a split holds each checkpoint of the log.
    metadata: what else to say about the job, such as how many episodes were
      left out.
    losses: what the source does not say, one sentence each.
    warnings: what else the user should know, one sentence each.
  """

  units: Sequence[derived_units.DerivedUnit]
  write_bytes: int
  seconds: float
  check: Callable[[bytes, bytes], Optional[str]]
  checkpoints: Mapping[str, Any]
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  losses: Sequence[str] = ()
  warnings: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Summary:
  """A finished dataset.

  Attributes:
    path: of its version folder.
    episodes: in it.
    transitions: actions of those episodes.
    steps: RLDS steps of those episodes.
    file_bytes: size of the shards.
  """

  path: str
  episodes: int
  transitions: int
  steps: int
  file_bytes: int

  def __str__(self) -> str:
    return (
        f'{self.path}: {self.episodes} episodes, {self.transitions} '
        f'transitions, {self.steps} steps, {self.file_bytes / 1e6:.1f} MB'
    )


def next_version(version: str, part: str) -> str:
  """The version after another: 'major', 'minor' or 'patch'.

  By TFDS's rules a patch changes how data are stored, a minor version adds
  fields to the same records, a major one changes the data.
  """
  major, minor, patch = tfds.core.Version(version).tuple
  return {
      'major': f'{major + 1}.0.0',
      'minor': f'{major}.{minor + 1}.0',
      'patch': f'{major}.{minor}.{patch + 1}',
  }[part]
