"""Computes the statistics of an RLDS dataset with Beam and draws its card.

  python beam_jobs/compute_statistics.py --license=CC-BY-4.0 \\
    --dataset_dir=DATA/atari_replay/Pong_run_1/1.1.0

leaves statistics.json, croissant.json and card/ beside the dataset's files;
`--no-card` leaves the first alone. All of it depends on nothing but the
dataset, so the same command again writes the same bytes. It can be killed at
any time; the same command again goes on with the files that are not done. Flags
that are not listed below go to Beam, as in build_rlds.py.
"""

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
from typing import Any, Mapping, Optional, Sequence

from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import job_program
from rrl_pipeline.beam_jobs import statistics_job
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import atomic
from rrl_pipeline.reports import croissant
from rrl_pipeline.reports import dataset_card
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import dataset_license
from rrl_pipeline.rlds import statistics_file


@dataclasses.dataclass(frozen=True)
class ComputeStatisticsConfig:
  """Statistics of a dataset.

  Attributes:
    dataset_dir: version folder of a TFDS dataset of RLDS episodes.
    card: whether to write the card and croissant.json, too.
    license: of the data, as an SPDX name such as 'CC-BY-4.0' or a URL; written
      into the dataset's own metadata. Empty to leave what is there.
  """

  dataset_dir: str
  card: bool = True
  license: str = ''


def compute(
    config: ComputeStatisticsConfig, pipeline_args: Sequence[str] = ()
) -> dict[str, Any]:
  """Writes the statistics of a dataset and, if asked to, its card.

  Args:
    config: which dataset, and what to write.
    pipeline_args: flags of Beam.

  Returns:
    The statistics.

  Raises:
    dataset_files.DatasetError: if there is no such dataset or it is damaged.
    work_directory.BusyError: if another process does the same.
    execution.BeamJobError: if the Beam job failed.
  """
  runner_args = execution.runner_args(pipeline_args)
  dataset = dataset_files.Dataset(os.path.abspath(config.dataset_dir))
  if config.license:
    dataset_license.write(dataset.path, config.license)
  parent, version = os.path.split(dataset.path)
  work = work_directory.WorkDirectory(
      os.path.join(parent, f'.statistics-{version}')
  )
  with work.locked():
    if work.begin({}, _sources(dataset)):
      execution.say(
          f'the dataset has changed since {work.root} was begun: starting anew'
      )
    value = _run_job(dataset, work, runner_args)
    with atomic.replacing(
        os.path.join(dataset.path, statistics_file.NAME)
    ) as file:
      file.write(statistics_file.to_json(value))
    if config.card:
      # Read again: the licence may be new.
      dataset = dataset_files.Dataset(dataset.path)
      croissant.write(dataset, value)
      dataset_card.write(dataset, value)
    shutil.rmtree(work.root)
  return value


def _sources(dataset: dataset_files.Dataset) -> dict[str, Any]:
  """What tells the files of a dataset from those of another version of it."""
  found = {}
  for shard in dataset.shards:
    with contextlib.suppress(FileNotFoundError):  # The job says which it is.
      status = os.stat(dataset.shard_path(shard))
      found[shard.name] = [
          shard.num_episodes, status.st_size, status.st_mtime_ns
      ]
  return found


def _run_job(
    dataset: dataset_files.Dataset,
    work: work_directory.WorkDirectory,
    runner_args: Sequence[str],
) -> dict[str, Any]:
  """Computes the statistics in the work folder."""
  units = [statistics_job.ShardUnit(shard) for shard in dataset.shards]
  path = os.path.join(work.dataset, statistics_file.NAME)
  with contextlib.suppress(FileNotFoundError):
    os.remove(path)  # Of a run that was killed.
  to_do = [u for u in units if statistics_job.finished(work, u) is None]
  execution.say(
      f'{len(to_do)} of {len(units)} files to read, with '
      f'{sum(unit.transitions for unit in to_do)} of the '
      f'{dataset.num_episodes} episodes of {dataset.path}'
  )
  with execution.progress_bar(work, units, to_do, 'statistics', 'episodes'):
    execution.run_pipeline(
        units,
        statistics_job.ComputeStatistics(dataset.path, work.root, path),
        runner_args,
    )
  errors = work.errors(len(units) + 1)
  if errors:
    raise dataset_files.DatasetError('\n'.join(errors))
  value = work_directory.read_json(path)
  if value is None:
    raise execution.BeamJobError(
        'the Beam job ended without a result; give the same command again, '
        'with another --runner if that does not help'
    )
  return value


def _make_parser() -> argparse.ArgumentParser:
  parser = job_program.make_parser(__doc__)
  parser.add_argument(
      '--dataset_dir',
      required=True,
      help='version folder of a dataset, with dataset_info.json',
  )
  parser.add_argument(
      '--card',
      action=argparse.BooleanOptionalAction,
      default=True,
      help='write card/ and croissant.json, too',
  )
  parser.add_argument(
      '--license',
      default='',
      help="of the data, as an SPDX name or a URL; '' leaves what is there",
  )
  return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns its exit code."""

  def run(flags: Mapping[str, Any], pipeline_args: Sequence[str]) -> str:
    config = ComputeStatisticsConfig(**flags)
    return _summary(config, compute(config, pipeline_args))

  return job_program.run(_make_parser(), run, argv)


def _summary(config: ComputeStatisticsConfig, value: Mapping[str, Any]) -> str:
  """The statistics in a line."""
  returns = value['episode_return']
  return (
      f'{config.dataset_dir}: {value["episodes"]} episodes, {value["steps"]} '
      f'steps, {value["bytes_per_step"]:.0f} bytes a step, returns '
      f'{returns["min"]:g} to {returns["max"]:g} (mean {returns["mean"]:.2f}), '
      f'{value["duplicates"]["episodes"]} duplicates'
  )


if __name__ == '__main__':
  sys.exit(main())
