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
from typing import Any, Iterator, Mapping, Optional

import apache_beam as beam

from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import bounds as bounds_lib
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import record_validation
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import validation

_HEARTBEAT_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class ConversionJob:
  """What all units of a conversion share.

  Attributes:
    log: the log, its format and its checkpoints given.
    work_dir: root of the work folder.
    dataset: whose shards are written; its names are part of the episodes' `uid`.
    file_format: of the shards.
    compressor: of the frames' PNG; None if nothing becomes PNG.
    limits: what episodes must keep to.
    bounds: the range that the environment declares for observations, if it does.
  """

  log: formats.LogConfig
  work_dir: str
  dataset: replay_datasets.ReplayDataset
  file_format: str
  compressor: Optional[str]
  limits: validation.Limits
  bounds: Optional[bounds_lib.Bounds] = None

  def encoder(self) -> encoding.ObservationEncoder:
    return encoding.make_encoder(self.dataset.observation, self.compressor)


@dataclasses.dataclass(frozen=True)
class WorkUnit:
  """Consecutive episodes of one checkpoint that make up one shard.

  Attributes:
    index: of the unit among all.
    split: of the dataset that the shard belongs to.
    shard: file name.
    spans: the episodes.
    duplicates: pairs of the index of an episode in `spans` that an earlier one
      equals, and the name of that one; they are rejected.
    fingerprint: of everything that decides the shard's contents.
  """

  index: int
  split: str
  shard: str
  spans: tuple[reader.EpisodeSpan, ...]
  duplicates: tuple[tuple[int, str], ...]
  fingerprint: str

  @property
  def transitions(self) -> int:
    return sum(span.length for span in self.spans)


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
      'split': unit.split,
      'checkpoint': unit.spans[0].checkpoint_id,
      'shard': unit.shard,
      'fingerprint': unit.fingerprint,
      'episodes': 0,
      'transitions': 0,
      'steps': 0,
      'record_bytes': 0,
      'content_sha256': [],
      'rejected': [],
      'cautions': [],
  }
  encoder = job.encoder()
  duplicates = dict(unit.duplicates)
  path = work.shard(unit.shard)
  with _shard_writer(path, job.file_format) as writer:
    for i, stream in enumerate(_read_episodes(job, unit, work)):
      _convert_episode(
          job, stream, duplicates.get(i), encoder, writer, manifest
      )
  with open(path, 'rb') as file:
    manifest['sha256'] = hashlib.file_digest(file, 'sha256').hexdigest()
    manifest['file_bytes'] = os.fstat(file.fileno()).st_size
  work_directory.write_json(work.manifest(unit.index), manifest)
  return manifest


def _convert_episode(
    job: ConversionJob,
    stream: reader.EpisodeStream,
    original: Optional[str],
    encoder: encoding.ObservationEncoder,
    writer: record_files.RecordWriter,
    manifest: dict[str, Any],
) -> None:
  """Writes an episode, or rejects it, and enters that in the manifest.

  Args:
    job: it belongs to.
    stream: the episode.
    original: name of an earlier one that it equals, if there is one.
    encoder: of its observations.
    writer: of its record.
    manifest: of its unit.
  """
  # All of the episode is local: none is in memory while the next one is read.
  episode = encoding.encode(
      stream, encoder, job.bounds, job.dataset.holds_metadata
  )
  broken = validation.violations(episode, job.limits)
  if original is not None:
    broken.update(duplicate(original))
  if not broken:
    unique_id = schema.uid(
        job.dataset.name, job.dataset.config, episode.span
    )
    record = schema.to_record(episode, unique_id, encoder.blank)
    broken = record_validation.violations(record)
  if broken:
    manifest['rejected'].append(finding(episode.span, broken))
    manifest['content_sha256'].append(None)
    return
  odd = validation.cautions(episode, job.limits)
  if odd:
    manifest['cautions'].append(finding(episode.span, odd))
  serialized = tf_example.serialize(record)
  writer.write(serialized)
  manifest['content_sha256'].append(episode.content_sha256)
  manifest['episodes'] += 1
  manifest['transitions'] += episode.span.length
  manifest['steps'] += int(record[schema.NUM_STEPS])
  manifest['record_bytes'] += len(serialized)


def _read_episodes(
    job: ConversionJob, unit: WorkUnit, work: work_directory.WorkDirectory
) -> Iterator[reader.EpisodeStream]:
  """A unit's episodes; says now and then how far the conversion has come."""
  done = 0
  last_report = time.monotonic()
  for stream in formats.open_reader(job.log).read(unit.spans):
    yield stream
    done += stream.span.length
    if time.monotonic() - last_report >= _HEARTBEAT_SECONDS:
      work_directory.write_json(
          work.progress(unit.index), {'transitions': done}
      )
      last_report = time.monotonic()
  work_directory.write_json(work.progress(unit.index), {'transitions': done})


@contextlib.contextmanager
def _shard_writer(
    path: str, file_format: str
) -> Iterator[record_files.RecordWriter]:
  """The file of a shard; a full disk is named as such."""
  try:
    with record_files.open_writer(path, file_format) as writer:
      yield writer
  except OSError as error:
    if error.errno != errno.ENOSPC:
      raise
    raise OSError(
        errno.ENOSPC,
        f'no space is left to write {os.path.basename(path)}; finished shards '
        'are kept: make room and give the same command again',
    ) from error


def finding(
    span: reader.EpisodeSpan, reasons: Mapping[str, str]
) -> dict[str, Any]:
  """What a manifest says of an episode that breaks rules."""
  return {
      'checkpoint': span.checkpoint_id,
      'episode': span.episode_id,
      'source': span.source,
      'first_slot': span.first_slot,
      'first_add': span.first_add,
      'length': span.length,
      'reasons': dict(reasons),
  }


def duplicate(original: str) -> dict[str, str]:
  """The reason why an episode that equals an earlier one is left out."""
  return {'is_no_duplicate': f'it equals {original}'}


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
