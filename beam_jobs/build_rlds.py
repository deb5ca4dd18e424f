"""Converts a replay log into a TFDS dataset in the RLDS format, with Beam.

  python beam_jobs/build_rlds.py --log_dir=DIR --data_dir=DIR --game=Pong

makes DATA_DIR/atari_replay/Pong_run_1/1.1.0. A recording of another environment
becomes minatar_replay, balloon_replay, or what --dataset says. It can be killed
at any time; the same command again goes on where it was. Flags that are not
listed below go to Beam, for example --runner=FlinkRunner, or
--direct_num_workers=8 --direct_running_mode=multi_processing for eight processes
on this machine.
"""

import argparse
import dataclasses
import importlib
import os
import shutil
import sys
from typing import Any, Mapping, Optional, Sequence

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import conversion_target
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import job_program
from rrl_pipeline.beam_jobs import provenance
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema

BuildRldsConfig = conversion_config.BuildRldsConfig

# The datasets are plug-ins of this job, known by name as to TFDS itself: they
# lie a layer above.
_BUILDERS_MODULE = 'rrl_pipeline.datasets.builder_factory'


@dataclasses.dataclass(frozen=True)
class Summary:
  """A finished dataset.

  Attributes:
    path: of its version folder.
    episodes: in it.
    transitions: logged steps of those episodes.
    steps: RLDS steps of those episodes.
    num_bytes: size of the records.
    file_bytes: size of the shards.
    rejected_episodes: left out because they broke a rule.
    odd_episodes: kept, but worth a look.
    padding: entries of the log that are padding.
    left_out: entries that the log's ring had overwritten.
  """

  path: str
  episodes: int
  transitions: int
  steps: int
  num_bytes: int
  file_bytes: int
  rejected_episodes: int
  odd_episodes: int
  padding: int
  left_out: int

  def __str__(self) -> str:
    return (
        f'{self.path}: {self.episodes} episodes, {self.transitions} '
        f'transitions, {self.steps} steps, {self.file_bytes / 1e6:.1f} MB; '
        f'{self.rejected_episodes} episodes rejected, {self.odd_episodes} odd'
    )


def convert(
    config: BuildRldsConfig, pipeline_args: Sequence[str] = ()
) -> Summary:
  """Converts a log, or goes on with it, or returns at once if that is done.

  Args:
    config: what to convert.
    pipeline_args: flags of Beam.

  Raises:
    reader.LogError: if the log cannot be read.
    ValueError: if an option does not fit the log, the game or the runner.
    work_directory.OtherJobError: if the output was made with other options.
    work_directory.BusyError: if another process converts to the same output.
    finalize.TooManyRejectedError: if too many episodes broke a rule.
    finalize.ReconciliationError: if the output does not add up.
    execution.BeamJobError: if the Beam job failed.
  """
  runner_args = execution.runner_args(pipeline_args)
  detection = _detect(config)
  log_reader = formats.open_reader(
      dataclasses.replace(config.log(), log_format=detection.log_format)
  )
  index = log_reader.index()
  target = conversion_target.choose(config, index)
  identity = provenance.identify(config, target, detection.log_format, index)
  version_dir = os.fspath(_make_builder(config, target).data_path)
  totals = provenance.check_finished(version_dir, identity)
  if totals is not None:
    return Summary(path=version_dir, **totals)
  work = work_directory.WorkDirectory.beside(version_dir)
  with work.locked():
    # Another process may have finished between the look and the lock.
    totals = provenance.check_finished(version_dir, identity)
    if totals is None:
      if work.begin(identity.options, identity.sources):
        execution.say(
            f'the log has changed since {work.root} was begun: starting anew'
        )
      for line in (
          detection.reason, target.reason, *_warnings(config, target, index)
      ):
        execution.say(line)
      # TFDS accepts no other format for a dataset that is there.
      builder = _make_builder(config, target, file_format=config.file_format)
      manifests, cautions = _write_shards(
          config, target, identity, work, log_reader, index, runner_args
      )
      totals = _totals(index, manifests, cautions)
      finalize.write_cautions(work, cautions)
      finalize.publish(
          builder, work, manifests, config.file_format,
          provenance.metadata(
              identity, detection, index, manifests, cautions, totals
          ),
      )
    shutil.rmtree(work.root)
  return Summary(path=version_dir, **totals)


def _make_builder(
    config: BuildRldsConfig,
    target: conversion_target.ConversionTarget,
    **kwargs: Any,
) -> tfds.core.DatasetBuilder:
  return importlib.import_module(_BUILDERS_MODULE).make(
      target.dataset, data_dir=config.data_dir, **kwargs
  )


def _detect(config: BuildRldsConfig) -> formats.Detection:
  """The format of the log, as the user says or as the files look."""
  if config.log_format == formats.AUTO:
    return formats.detect(config.log_dir)
  return formats.Detection(
      config.log_format, f'{config.log_dir} is read as {config.log_format}.'
  )


def _warnings(
    config: BuildRldsConfig,
    target: conversion_target.ConversionTarget,
    index: reader.LogIndex,
) -> list[str]:
  """What the user should know before."""
  warnings = [f'warning: {warning}' for warning in index.warnings]
  warnings += [f'not in the log: {loss}' for loss in index.losses]
  observation = target.dataset.observation
  if (observation.encoding, config.file_format) == (
      schema.RAW, record_files.TFRECORD
  ):
    what = 'frames' if observation.is_frame else 'observations'
    warnings.append(
        f'warning: raw {what} in tfrecord take {observation.num_bytes / 1e3:.1g} '
        'KB a step; --file_format=array_record compresses them'
    )
  return warnings


def _write_shards(
    config: BuildRldsConfig,
    target: conversion_target.ConversionTarget,
    identity: provenance.Identity,
    work: work_directory.WorkDirectory,
    log_reader: reader.LogReader,
    index: reader.LogIndex,
    runner_args: Sequence[str],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
  """Writes the shards that are not there yet.

  Whether an episode equals one of another shard is known only when all are
  written. Shards that hold such an episode are then written again without it.

  Returns:
    The manifests of all shards, and the episodes that are odd but kept.
  """
  options = identity.options
  job = transforms.ConversionJob(
      # By number: a checkpoint that is written meanwhile changes nothing.
      log=dataclasses.replace(
          config.log(),
          log_format=options['log_format'],
          checkpoints=options['checkpoints'],
      ),
      work_dir=work.root,
      dataset=target.dataset,
      file_format=config.file_format,
      compressor=target.compressor,
      limits=target.limits(index),
      bounds=index.bounds,
  )
  layout = conversion_plan.ShardLayout(
      job.dataset.name, config.file_format, config.split_by_checkpoint
  )
  duplicates = work_directory.read_json(work.duplicates) or {}
  while True:
    units = conversion_plan.plan_units(
        index.spans,
        config.num_shards,
        layout,
        conversion_plan.fingerprint(options, identity.sources),
        duplicates,
    )
    execution.convert_units(job, units, log_reader, index, runner_args)
    manifests = finalize.collect_manifests(
        work, units, index, config.file_format
    )
    found = finalize.find_duplicates(units, manifests)
    finalize.check_rejected(
        work,
        finalize.rejected(units, manifests, found),
        len(index.spans),
        config.max_rejected_fraction,
    )
    if not found:
      return manifests, finalize.cautions(units, manifests)
    duplicates = {
        unit: {**duplicates.get(unit, {}), **found.get(unit, {})}
        for unit in {**duplicates, **found}
    }
    work_directory.write_json(work.duplicates, duplicates)


def _totals(
    index: reader.LogIndex,
    manifests: Sequence[Mapping[str, Any]],
    cautions: Sequence[Mapping[str, Any]],
) -> dict[str, int]:
  """The counts of a `Summary`."""
  return {
      'episodes': sum(m['episodes'] for m in manifests),
      'transitions': sum(m['transitions'] for m in manifests),
      'steps': sum(m['steps'] for m in manifests),
      'num_bytes': sum(m['record_bytes'] for m in manifests),
      'file_bytes': sum(m['file_bytes'] for m in manifests),
      'rejected_episodes': sum(len(m['rejected']) for m in manifests),
      'odd_episodes': len(cautions),
      'padding': index.accounting.padding,
      'left_out': index.accounting.left_out,
  }


def _make_parser() -> argparse.ArgumentParser:
  parser = job_program.make_parser(__doc__)
  for name, text in (
      ('log_dir', 'folder of a replay log'),
      ('data_dir', 'folder of TFDS datasets to convert into'),
  ):
    parser.add_argument(f'--{name}', required=True, help=text)
  for name, kind, text in (
      ('dataset', str, "such as 'balloon_replay', a name of your own, or 'auto' "
       'to go by what the log says of its environment'),
      ('game', str, "of Atari, in CamelCase, as in 'SpaceInvaders'"),
      ('name', str, 'other game or agent to name the configuration after; by '
       'default what the log says'),
      ('run', int, 'number of the training run'),
      ('log_format', str, f"'auto' or one of {', '.join(formats.FORMATS)}"),
      ('checkpoints', str, "'latest', 'all' or numbers, as in '0,2'"),
      ('stack_size', int, 'frames that the agent stacked'),
      ('num_shards', int, 'files to make; by default one per million steps'),
      ('file_format', str, ' or '.join(record_files.FILE_FORMATS)),
      ('frame_encoding', str, 'of frames png, or raw, which is meant for '
       'array_record; of other observations zlib or raw'),
      ('num_actions', int, 'how many there are; by default what the log says or '
       'the game has'),
      ('png_compressor', str, "'isal' (fast), 'zlib' (small) or 'auto'"),
      (
          'max_rejected_fraction',
          float,
          'of the episodes, that may break a rule before that is an error',
      ),
  ):
    default = BuildRldsConfig.__dataclass_fields__[name].default
    parser.add_argument(
        f'--{name}', type=kind, default=default, help=f'{text} ({default})'
    )
  parser.add_argument(
      '--split_by_checkpoint',
      action='store_true',
      help='make each checkpoint a split of its own: checkpoint_00, …',
  )
  limits = BuildRldsConfig.__dataclass_fields__['time_limit_steps'].default
  parser.add_argument(
      '--time_limit_steps',
      type=int,
      action='append',
      help='length of episodes that a time limit ended, for logs that store '
      f'such an end as terminal; may be given again {limits}',
  )
  return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns its exit code."""

  def run(flags: Mapping[str, Any], pipeline_args: Sequence[str]) -> Summary:
    given = dict(flags)
    limits = given.pop('time_limit_steps')
    if limits is not None:
      given['time_limit_steps'] = tuple(limits)
    return convert(BuildRldsConfig(**given), pipeline_args)

  return job_program.run(_make_parser(), run, argv)


if __name__ == '__main__':
  sys.exit(main())
