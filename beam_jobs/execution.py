"""Runs the Beam job of a conversion and shows how far it has come."""

import argparse
import contextlib
import shutil
import sys
import threading
from typing import Any, Iterator, Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import reader
from rrl_pipeline.training import progress

_POLL_SECONDS = 0.5
# By which runners are told how many workers to use.
_NUM_WORKERS_FLAGS = (
    'direct_num_workers', 'parallelism', 'num_workers', 'max_num_workers'
)


class BeamJobError(RuntimeError):
  """The Beam job failed for a reason that does not lie in the log."""


def runner_args(pipeline_args: Sequence[str]) -> list[str]:
  """Beam's flags, with a runner that is safe unless one is asked for.

  Raises:
    ValueError: if the flags choose a mode that loses data.
  """
  args = list(pipeline_args)
  if any('multi_threading' in arg for arg in args):
    raise ValueError(
        'direct_running_mode=multi_threading has been seen to lose records; '
        'use --direct_running_mode=multi_processing'
    )
  names = {arg.split('=')[0] for arg in args}
  # Beam's own default begins by trying to download a runner.
  if '--runner' not in names:
    args.append('--runner=FnApiRunner')
  # By default one worker of Dask gets all of the first 128 units.
  if any('DaskRunner' in arg for arg in args) and not names & {
      '--dask_partition_size', '--dask_npartitions'
  }:
    args.append('--dask_partition_size=1')
  return args


def convert_units(
    job: transforms.ConversionJob,
    units: Sequence[transforms.WorkUnit],
    log_reader: reader.LogReader,
    index: reader.LogIndex,
    pipeline_args: Sequence[str],
) -> None:
  """Runs the Beam job over the units that are not done.

  Raises:
    reader.LogError: if the log is damaged.
    OSError: if the disk is too small.
    BeamJobError: if the job failed for another reason.
  """
  work = work_directory.WorkDirectory(job.work_dir)
  to_do = [u for u in units if not work.finished(u.index, u.fingerprint)]
  if not to_do:
    return
  cost = conversion_plan.estimate_cost(job, to_do, log_reader, index.sources)
  free = shutil.disk_usage(job.work_dir).free
  say(
      f'{len(to_do)} of {len(units)} shards to write: '
      f'{cost.transitions} transitions from {cost.read_bytes / 1e6:.1f} MB of '
      f'logs, about {cost.write_bytes / 1e6:.1f} MB of output '
      f'({free / 1e9:.1f} GB free), about {cost.seconds:.0f} s of one worker'
  )
  workers = _num_workers(pipeline_args)
  if workers > len(units):
    say(
        f'{workers} workers are asked for, but a shard is the work of one: '
        f'--num_shards={workers} or more would keep all of them busy'
    )
  if cost.write_bytes > free:
    raise OSError(
        f'{job.work_dir} has {free / 1e6:.0f} MB free; the dataset will take '
        f'about {cost.write_bytes / 1e6:.0f} MB: make room or choose another '
        '--data_dir'
    )
  with progress_bar(work, units, to_do):
    run_pipeline(to_do, transforms.ConvertLog(job), pipeline_args)
  errors = work.errors(len(units))
  if errors:
    raise reader.LogError('\n'.join(dict.fromkeys(errors)))


def run_pipeline(
    units: Sequence[Any],
    transform: beam.PTransform,
    pipeline_args: Sequence[str],
) -> None:
  """Runs a transform over units of work.

  Raises:
    BeamJobError: if it failed.
  """
  try:
    with beam.Pipeline(
        options=pipeline_options.PipelineOptions(list(pipeline_args))
    ) as pipeline:
      _ = pipeline | 'CreateUnits' >> beam.Create(units) | 'Work' >> transform
  except Exception as error:
    raise BeamJobError(
        f'the Beam job failed: {error}\nFinished shards are kept; the same '
        'command again goes on from there'
    ) from error


def _num_workers(pipeline_args: Sequence[str]) -> int:
  """How many workers the flags of Beam ask for; 1 if they do not say."""
  parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
  for name in _NUM_WORKERS_FLAGS:
    parser.add_argument(f'--{name}', type=int, default=1)
  known, _ = parser.parse_known_args(list(pipeline_args))
  return max(vars(known).values())


@contextlib.contextmanager
def progress_bar(
    work: work_directory.WorkDirectory,
    units: Sequence[transforms.WorkUnit],
    to_do: Sequence[transforms.WorkUnit],
    description: str = 'convert',
    counted: str = 'transitions',
) -> Iterator[None]:
  """Shows what the workers report in the work folder; Beam shows nothing."""
  total = sum(unit.transitions for unit in units)
  initial = total - sum(unit.transitions for unit in to_do)
  stop = threading.Event()

  def poll(bar: progress.Progress) -> None:
    done = 0
    while True:
      stopped = stop.wait(_POLL_SECONDS)
      now = work.steps_done(len(units))
      bar.update(now - done)
      done = now
      if stopped:
        return

  with progress.progress(total, initial, description, counted) as bar:
    thread = threading.Thread(target=poll, args=(bar,), daemon=True)
    thread.start()
    try:
      yield
    finally:
      stop.set()
      thread.join()


def say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
