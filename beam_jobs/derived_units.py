"""The workers' side of a derived dataset: records in, one shard on disk out.

As when logs are converted, a unit of work reads what it needs by itself, writes
one shard and then a manifest, and hands on a few numbers: no record travels
between transforms. Nothing here imports TensorFlow.
"""

import dataclasses
import hashlib
import os
import time
from typing import Any, Callable, Iterable, Iterator, Optional

import apache_beam as beam

from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example

_HEARTBEAT_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Part:
  """Records of one file of the source.

  Attributes:
    shard: name of the file.
    positions: of the records in it, ascending.
  """

  shard: str
  positions: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class DerivedUnit:
  """The episodes that make up one shard of the derived dataset.

  Attributes:
    index: of the unit among all.
    split: that its shard belongs to.
    shard: file name to write.
    parts: where its episodes are in the source, in their order.
    num_steps: RLDS steps that the shard will hold.
    num_bytes: size of the source's records.
    fingerprint: of everything that decides the shard's contents.
  """

  index: int
  split: str
  shard: str
  parts: tuple[Part, ...]
  num_steps: int
  num_bytes: int
  fingerprint: str

  @property
  def transitions(self) -> int:
    """What progress is counted in."""
    return self.num_steps

  @property
  def num_episodes(self) -> int:
    return sum(len(part.positions) for part in self.parts)


@dataclasses.dataclass(frozen=True)
class DerivedJob:
  """What all units of a derivation share.

  Attributes:
    source_dir: version folder of the source.
    source_format: of its files.
    file_format: of the files to write.
    work_dir: root of the work folder.
  """

  source_dir: str
  source_format: str
  file_format: str
  work_dir: str

  @property
  def work(self) -> work_directory.WorkDirectory:
    return work_directory.WorkDirectory(self.work_dir)


def read_unit(job: DerivedJob, unit: DerivedUnit) -> Iterator[bytes]:
  """The records that a unit is made from, in their order.

  Raises:
    source_dataset.SourceError: if a file is damaged or lacks one of them.
  """
  for part in unit.parts:
    path = os.path.join(job.source_dir, part.shard)
    records = enumerate(source_dataset.read_records(path, job.source_format))
    for wanted in part.positions:
      for position, record in records:
        if position == wanted:
          yield record
          break
      else:
        raise source_dataset.SourceError(f'{path} has no record {wanted}')


class Heartbeat:
  """Tells the main process now and then how far a unit has come."""

  def __init__(self, job: DerivedJob, unit: DerivedUnit):
    self._path = job.work.progress(unit.index)
    self._done = 0
    self._last_report = time.monotonic()

  def advance(self, num_steps: int) -> None:
    self._done += num_steps
    if time.monotonic() - self._last_report >= _HEARTBEAT_SECONDS:
      self.report()

  def report(self) -> None:
    work_directory.write_json(self._path, {'transitions': self._done})
    self._last_report = time.monotonic()


def write_unit(
    job: DerivedJob,
    unit: DerivedUnit,
    records: Iterable[bytes],
    heartbeat: Optional[Heartbeat] = None,
) -> dict[str, Any]:
  """Writes a unit's shard and then its manifest, which it returns.

  Raises:
    OSError: if the shard cannot be written.
  """
  path = job.work.shard(unit.shard)
  manifest = {
      'unit': unit.index,
      'split': unit.split,
      'shard': unit.shard,
      'fingerprint': unit.fingerprint,
  }
  counts = Counts()
  with record_files.open_writer(path, job.file_format) as writer:
    for record in records:
      writer.write(record)
      num_steps = counts.add(record)
      if heartbeat is not None:
        heartbeat.advance(num_steps)
  manifest |= dataclasses.asdict(counts)
  manifest['file_bytes'] = os.path.getsize(path)
  with open(path, 'rb') as file:
    manifest['sha256'] = hashlib.file_digest(file, 'sha256').hexdigest()
  work_directory.write_json(job.work.manifest(unit.index), manifest)
  if heartbeat is not None:
    heartbeat.report()
  return manifest


@dataclasses.dataclass
class Counts:
  """What a shard holds.

  Attributes:
    episodes: its records.
    transitions: actions in them.
    steps: RLDS steps in them.
    record_bytes: their size.
  """

  episodes: int = 0
  transitions: int = 0
  steps: int = 0
  record_bytes: int = 0

  def add(self, record: bytes) -> int:
    """Counts a record; returns its number of steps."""
    feature = tf_example.parse(record).features.feature
    actions = feature[f'{schema.STEPS}/{schema.ACTION}'].int64_list.value
    transitions = len(actions) - 1
    if schema.EPISODE_LENGTH in feature:
      transitions = feature[schema.EPISODE_LENGTH].int64_list.value[0]
    self.episodes += 1
    self.transitions += transitions
    self.steps += len(actions)
    self.record_bytes += len(record)
    return len(actions)


class DeriveUnits(beam.DoFn):
  """Makes the shards of units; a damaged source is reported in a file.

  An exception would reach the caller as another type and text on each runner.
  """

  def __init__(
      self, job: DerivedJob, change: Callable[[bytes], bytes]
  ):
    """Makes the transform.

    Args:
      job: what the units share.
      change: a record of the source → a record of the derived dataset; may
        raise ValueError, with one clear message, if that cannot be done.
    """
    self._job = job
    self._change = change

  def process(self, unit: DerivedUnit) -> Iterator[tuple[int, int]]:
    """Yields the unit's index and the number of its episodes."""
    job = self._job
    manifest = job.work.finished(unit.index, unit.fingerprint)
    if manifest is None:
      records = map(self._change, read_unit(job, unit))
      try:
        manifest = write_unit(job, unit, records, Heartbeat(job, unit))
      except ValueError as error:
        report_error(job, unit, error)
        return
    yield unit.index, manifest['episodes']


def report_error(
    job: DerivedJob, unit: DerivedUnit, error: ValueError
) -> None:
  """Leaves word of what stopped a unit for the main process."""
  work_directory.write_json(
      job.work.error(unit.index), {'error': f'{unit.shard}: {error}'}
  )
