"""The Beam side of the conversion: one work unit in, one shard on disk out.

Frames never travel between transforms. A worker reads its episodes from the
log, encodes them, writes them to one shard and then a manifest; only a few
numbers go back. So the graph is a line without side outputs, which every runner
can execute, and a unit that is done once need not be done again. Nothing here
imports TensorFlow, which would cost each worker seconds and half a gigabyte.
"""

import contextlib
import dataclasses
import errno
import hashlib
import os
import time
from typing import Any, BinaryIO, Iterator

import apache_beam as beam

from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import tfrecord
from rrl_pipeline.rlds import validation

_HEARTBEAT_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class ConversionJob:
  """What all units of a conversion share.

  Attributes:
    log: the log, its checkpoints given by number.
    work_dir: root of the work folder.
    dataset: name of the dataset, and
    config: of its configuration; they are part of the episodes' `uid`.
    compressor: of the frames' PNG.
    limits: what episodes must keep to.
  """

  log: dopamine.DopamineLogConfig
  work_dir: str
  dataset: str
  config: str
  compressor: str
  limits: validation.Limits


@dataclasses.dataclass(frozen=True)
class WorkUnit:
  """Consecutive episodes that make up one shard.

  Attributes:
    index: of the unit and its shard.
    shard: file name.
    spans: the episodes.
    fingerprint: of everything that decides the shard's contents.
  """

  index: int
  shard: str
  spans: tuple[reader.EpisodeSpan, ...]
  fingerprint: str

  @property
  def transitions(self) -> int:
    return sum(span.length for span in self.spans)


class _HashingFile:
  """A file to write to that keeps its length and its SHA-256."""

  def __init__(self, file: BinaryIO):
    self._file = file
    self._sha256 = hashlib.sha256()
    self.length = 0

  def write(self, data: bytes) -> None:
    self._file.write(data)
    self._sha256.update(data)
    self.length += len(data)

  def hexdigest(self) -> str:
    return self._sha256.hexdigest()


def convert_unit(job: ConversionJob, unit: WorkUnit) -> dict[str, Any]:
  """Writes a unit's shard and its manifest, unless they are there already.

  Returns:
    The manifest.

  Raises:
    reader.LogError: if the log is damaged.
    OSError: if the shard cannot be written.
  """
  work = work_directory.WorkDirectory(job.work_dir)
  manifest = work.finished(unit.index, unit.fingerprint)
  if manifest is not None:
    return manifest
  manifest = {
      'unit': unit.index,
      'shard': unit.shard,
      'fingerprint': unit.fingerprint,
      'episodes': 0,
      'transitions': 0,
      'steps': 0,
      'record_bytes': 0,
      'rejected': [],
  }
  encoder = png.PngEncoder(schema.ATARI_FRAME_SHAPE, job.compressor)
  with _shard_file(work.shard(unit.shard)) as file:
    for episode in _encode_episodes(job, unit, encoder, work):
      broken = validation.violations(episode, job.limits)
      if broken:
        manifest['rejected'].append(_rejection(episode, broken, job))
        continue
      unique_id = schema.uid(job.dataset, job.config, episode.span)
      record = schema.to_record(episode, unique_id, encoder.blank)
      serialized = tf_example.serialize(record)
      tfrecord.write(file, serialized)
      manifest['episodes'] += 1
      manifest['transitions'] += episode.span.length
      manifest['steps'] += int(record[schema.NUM_STEPS])
      manifest['record_bytes'] += len(serialized)
    manifest['file_bytes'] = file.length
    manifest['sha256'] = file.hexdigest()
  work_directory.write_json(work.manifest(unit.index), manifest)
  return manifest


def _encode_episodes(
    job: ConversionJob,
    unit: WorkUnit,
    encoder: png.PngEncoder,
    work: work_directory.WorkDirectory,
) -> Iterator[schema.EncodedEpisode]:
  """Encodes a unit's episodes, saying now and then how far it has come."""
  done = 0
  last_report = time.monotonic()
  for stream in dopamine.DopamineReader(job.log).read(unit.spans):
    yield encoding.encode(stream, encoder)
    done += stream.span.length
    if time.monotonic() - last_report >= _HEARTBEAT_SECONDS:
      work_directory.write_json(
          work.progress(unit.index), {'transitions': done}
      )
      last_report = time.monotonic()
  work_directory.write_json(work.progress(unit.index), {'transitions': done})


@contextlib.contextmanager
def _shard_file(path: str) -> Iterator[_HashingFile]:
  """The file of a shard; a full disk is named as such."""
  try:
    with atomic.replacing(path) as file:
      yield _HashingFile(file)
  except OSError as error:
    if error.errno != errno.ENOSPC:
      raise
    raise OSError(
        errno.ENOSPC,
        f'no space is left to write {os.path.basename(path)}; finished shards '
        'are kept: make room and give the same command again',
    ) from error


def _rejection(
    episode: schema.EncodedEpisode, broken: dict[str, str], job: ConversionJob
) -> dict[str, Any]:
  """A line of the list of rejected episodes."""
  span = episode.span
  return {
      'log': job.log.directory,
      'checkpoint': span.checkpoint_id,
      'episode': span.episode_id,
      'first_add': span.first_add,
      'length': span.length,
      'reasons': broken,
  }


class ConvertUnits(beam.DoFn):
  """Converts work units; damage of a log is reported in a file, not raised.

  An exception would reach the caller as another type and text on each runner.
  """

  def __init__(self, job: ConversionJob):
    self._job = job
    self._episodes = beam.metrics.Metrics.counter('conversion', 'episodes')
    self._rejected = beam.metrics.Metrics.counter('conversion', 'rejected')

  def process(self, unit: WorkUnit) -> Iterator[tuple[int, int]]:
    """Yields the unit's index and the number of its episodes."""
    try:
      manifest = convert_unit(self._job, unit)
    except reader.LogError as error:
      work = work_directory.WorkDirectory(self._job.work_dir)
      work_directory.write_json(work.error(unit.index), {'error': str(error)})
      return
    self._episodes.inc(manifest['episodes'])
    self._rejected.inc(len(manifest['rejected']))
    yield unit.index, manifest['episodes']


class ConvertLog(beam.PTransform):
  """Units of a conversion → their indices and numbers of episodes."""

  def __init__(self, job: ConversionJob):
    super().__init__()
    self._job = job

  def expand(self, units: beam.PCollection) -> beam.PCollection:
    return (
        units
        # Some engines would otherwise give all units to one worker.
        | 'SpreadUnits' >> beam.Reshuffle()
        | 'ConvertUnits' >> beam.ParDo(ConvertUnits(self._job))
    )
