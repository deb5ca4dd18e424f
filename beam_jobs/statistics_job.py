"""The Beam side of a dataset's statistics: files in, one value out.

The graph is a line: names of files, statistics of each, one sum. The statistics
of a file are left in the work folder, so that a run that was killed goes on
with the others. What stops a worker is left there, too, rather than raised,
because exceptions reach the caller as another type and text on each runner.
"""

import dataclasses
import time
from typing import Iterable, Iterator, Optional

import apache_beam as beam

from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import statistics
from rrl_pipeline.rlds import statistics_file
from rrl_pipeline.rlds import stored_episodes

_HEARTBEAT_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class ShardUnit:
  """A file of the dataset as a unit of work.

  Attributes:
    shard: the file.
  """

  shard: dataset_files.Shard

  @property
  def transitions(self) -> int:
    """What the progress bar counts: here the records of the file."""
    return self.shard.num_episodes


class SummariseShards(beam.DoFn):
  """Files of a dataset → the statistics of each."""

  def __init__(self, dataset_dir: str, work_root: str):
    """Makes the function.

    Args:
      dataset_dir: version folder of the dataset.
      work_root: of the work folder. It holds the statistics of files that are
        done, and takes those of the others, progress and errors.
    """
    self._dataset_dir = dataset_dir
    self._work_root = work_root

  def setup(self) -> None:
    self._dataset = dataset_files.Dataset(self._dataset_dir)

  def process(self, unit: ShardUnit) -> Iterator[statistics.Accumulator]:
    work = work_directory.WorkDirectory(self._work_root)
    done = finished(work, unit)
    if done is not None:
      yield done
      return
    found = statistics.Accumulator()
    try:
      self._summarise(work, unit.shard, found)
    except (dataset_files.DatasetError, stored_episodes.EpisodeError) as error:
      path = work.error(unit.shard.index)
      work_directory.write_json(path, {'error': str(error)})
      return
    work_directory.write_json(
        work.manifest(unit.shard.index), found.to_json()
    )
    yield found

  def _summarise(
      self,
      work: work_directory.WorkDirectory,
      shard: dataset_files.Shard,
      found: statistics.Accumulator,
  ) -> None:
    """Adds the episodes of a file; says now and then how many there were."""
    report = work.progress(shard.index)
    last_report = time.monotonic()
    for i, episode in enumerate(self._dataset.episodes(shard)):
      found.add(
          statistics.summarise(episode, self._dataset.fields, shard, i)
      )
      if time.monotonic() - last_report >= _HEARTBEAT_SECONDS:
        work_directory.write_json(report, {'transitions': i + 1})
        last_report = time.monotonic()
    work_directory.write_json(report, {'transitions': len(found.rows)})


def finished(
    work: work_directory.WorkDirectory, unit: ShardUnit
) -> Optional[statistics.Accumulator]:
  """The statistics of a file, or None if it is not done."""
  value = work_directory.read_json(work.manifest(unit.shard.index))
  return None if value is None else statistics.Accumulator.from_json(value)


class CombineStatistics(beam.CombineFn):
  """Statistics of files → those of all of them."""

  def create_accumulator(self) -> statistics.Accumulator:
    return statistics.Accumulator()

  def add_input(
      self,
      mutable_accumulator: statistics.Accumulator,
      element: statistics.Accumulator,
  ) -> statistics.Accumulator:
    mutable_accumulator.add(element)
    return mutable_accumulator

  def merge_accumulators(
      self, accumulators: Iterable[statistics.Accumulator]
  ) -> statistics.Accumulator:
    return statistics.merge(accumulators)

  def extract_output(
      self, accumulator: statistics.Accumulator
  ) -> statistics.Accumulator:
    return accumulator


class WriteStatistics(beam.DoFn):
  """The statistics of all episodes → a file, unless there were errors."""

  def __init__(self, dataset_dir: str, work_root: str, path: str):
    """Makes the function.

    Args:
      dataset_dir: version folder of the dataset.
      work_root: of the work folder.
      path: of the file to write.
    """
    self._dataset_dir = dataset_dir
    self._work_root = work_root
    self._path = path

  def process(self, element: statistics.Accumulator) -> Iterator[str]:
    dataset = dataset_files.Dataset(self._dataset_dir)
    work = work_directory.WorkDirectory(self._work_root)
    if work.errors(len(dataset.shards)):
      return
    try:
      value = statistics_file.finish(element, dataset)
    except dataset_files.DatasetError as error:
      # The number of no shard: this is about all of them.
      path = work.error(len(dataset.shards))
      work_directory.write_json(path, {'error': str(error)})
      return
    work_directory.write_json(self._path, value)
    yield self._path


class ComputeStatistics(beam.PTransform):
  """Files of a dataset → the path of the file with its statistics."""

  def __init__(self, dataset_dir: str, work_root: str, path: str):
    super().__init__()
    self._dataset_dir = dataset_dir
    self._work_root = work_root
    self._path = path

  def expand(self, units: beam.PCollection) -> beam.PCollection:
    return (
        units
        # Some engines would otherwise give all files to one worker.
        | 'SpreadFiles' >> beam.Reshuffle()
        | 'SummariseFiles'
        >> beam.ParDo(SummariseShards(self._dataset_dir, self._work_root))
        | 'CombineFiles' >> beam.CombineGlobally(CombineStatistics())
        | 'WriteStatistics'
        >> beam.ParDo(
            WriteStatistics(self._dataset_dir, self._work_root, self._path)
        )
    )
