"""Converts a replay log into a TFDS dataset in the RLDS format, with Beam.

  python beam_jobs/build_rlds.py --log_dir=DIR --data_dir=DIR --game=Pong

makes DATA_DIR/atari_replay/Pong_run_1/1.1.0. It can be killed at any time; the
same command again goes on where it was. Flags that are not listed below go to
Beam, for example --runner=FlinkRunner, or --direct_num_workers=8
--direct_running_mode=multi_processing for eight processes on this machine.
"""

import argparse
import dataclasses
import difflib
import importlib
import logging
import os
import shutil
import sys
from typing import Any, Mapping, Optional, Sequence

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import validation

# The dataset is a plug-in of this job, known by name as to TFDS itself: it lies
# a layer above.
_BUILDER_MODULE = (
    'rrl_pipeline.datasets.atari_replay.atari_replay_dataset_builder'
)


@dataclasses.dataclass(frozen=True)
class BuildRldsConfig:
  """A conversion.

  Attributes:
    log_dir: folder of a Dopamine replay log.
    data_dir: folder of TFDS datasets to convert into.
    game: in CamelCase, as in 'SpaceInvaders'.
    run: number of the training run.
    checkpoints: 'latest', 'all' or numbers, as in '0,2'.
    num_shards: how many files to make; None for one per half million steps.
    stack_size: frames that the agent stacked.
    num_actions: how many actions the game has, at most.
    png_compressor: 'isal' (fast), 'zlib' (small) or 'auto': isal if installed.
    max_rejected_fraction: of the episodes, that may break a rule and be left
      out before that is an error.
  """

  log_dir: str
  data_dir: str
  game: str = 'Pong'
  run: int = 1
  checkpoints: str = 'latest'
  num_shards: Optional[int] = None
  stack_size: int = 4
  num_actions: int = 18
  png_compressor: str = 'auto'
  max_rejected_fraction: float = 0.0

  def __post_init__(self):
    schema.config_name(self.game, self.run)  # Checks both.
    if self.num_actions < 1:
      raise ValueError(
          f'num_actions is {self.num_actions}; expected at least 1'
      )
    if not 0 <= self.max_rejected_fraction <= 1:
      raise ValueError(
          f'max_rejected_fraction is {self.max_rejected_fraction}; expected 0 '
          'to 1'
      )


@dataclasses.dataclass(frozen=True)
class Summary:
  """A finished dataset.

  Attributes:
    path: of its version folder.
    episodes: in it.
    transitions: logged steps of those episodes.
    steps: RLDS steps of those episodes.
    num_bytes: size of the records.
    rejected_episodes: left out because they broke a rule.
    padding: entries of the log that are padding.
    left_out: entries that the log's ring had overwritten.
  """

  path: str
  episodes: int
  transitions: int
  steps: int
  num_bytes: int
  rejected_episodes: int
  padding: int
  left_out: int

  def __str__(self) -> str:
    return (
        f'{self.path}: {self.episodes} episodes, {self.transitions} '
        f'transitions, {self.steps} steps, {self.num_bytes / 1e6:.1f} MB; '
        f'{self.rejected_episodes} episodes rejected'
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
    work_directory.OtherJobError: if the output was made with other options.
    work_directory.BusyError: if another process converts to the same output.
    finalize.TooManyRejectedError: if too many episodes broke a rule.
    finalize.ReconciliationError: if the output does not add up.
    execution.BeamJobError: if the Beam job failed.
  """
  runner_args = execution.runner_args(pipeline_args)
  log_reader = dopamine.DopamineReader(
      dopamine.DopamineLogConfig(
          config.log_dir, config.checkpoints, config.stack_size
      )
  )
  index = log_reader.index()
  if index.frame_shape != schema.ATARI_FRAME_SHAPE:
    raise reader.LogError(
        f'the frames of {config.log_dir} are {index.frame_shape}; '
        f'{schema.ATARI_DATASET} holds frames of {schema.ATARI_FRAME_SHAPE}'
    )
  identity = _identify(config, index)
  builder = _builder_module().Builder(
      config=schema.config_name(config.game, config.run),
      data_dir=config.data_dir,
  )
  version_dir = os.fspath(builder.data_path)
  summary = _finished(version_dir, identity)
  if summary is not None:
    return summary
  work = work_directory.WorkDirectory.beside(version_dir)
  with work.locked():
    # Another process may have finished between the look and the lock.
    summary = _finished(version_dir, identity)
    if summary is None:
      if work.begin(identity.options, identity.sources):
        execution.say(
            f'the log has changed since {work.root} was begun: starting anew'
        )
      for warning in index.warnings:
        execution.say(f'warning: {warning}')
      manifests = _write_shards(
          config, identity, builder, work, log_reader, index, runner_args
      )
      summary = _publish(config, identity, builder, work, index, manifests)
    shutil.rmtree(work.root)
  return summary


@dataclasses.dataclass(frozen=True)
class _Identity:
  """What decides the contents of a dataset.

  Attributes:
    options: of the conversion.
    sources: the log's files, by checkpoint.
  """

  options: dict[str, Any]
  sources: dict[str, Any]


def _identify(config: BuildRldsConfig, index: reader.LogIndex) -> _Identity:
  compressor = config.png_compressor
  if compressor == 'auto':
    compressor = png.default_compressor()
  return _Identity(
      options={
          'checkpoints': ','.join(map(str, index.checkpoints)),
          'num_shards': config.num_shards,
          'stack_size': config.stack_size,
          'num_actions': config.num_actions,
          'png_compressor': compressor,
          'record_format': schema.RECORD_FORMAT,
      },
      sources={
          str(number): [dataclasses.asdict(file) for file in files]
          for number, files in index.sources.items()
      },
  )


def _write_shards(
    config: BuildRldsConfig,
    identity: _Identity,
    builder: tfds.core.DatasetBuilder,
    work: work_directory.WorkDirectory,
    log_reader: reader.LogReader,
    index: reader.LogIndex,
    runner_args: Sequence[str],
) -> list[dict[str, Any]]:
  """Writes the shards that are not there yet; returns the manifests of all."""
  job = transforms.ConversionJob(
      # By number: a checkpoint that is written meanwhile changes nothing.
      log=dopamine.DopamineLogConfig(
          config.log_dir, identity.options['checkpoints'], config.stack_size
      ),
      work_dir=work.root,
      dataset=builder.name,
      config=builder.builder_config.name,
      compressor=identity.options['png_compressor'],
      limits=validation.Limits(
          config.num_actions, config.stack_size, index.ends_marked
      ),
  )
  units = conversion_plan.plan_units(
      index.spans,
      config.num_shards,
      builder.name,
      _builder_module().SPLIT,
      conversion_plan.fingerprint(identity.options, identity.sources),
  )
  execution.convert_units(job, units, log_reader, index, runner_args)
  return finalize.collect_manifests(work, units, index)


def _publish(
    config: BuildRldsConfig,
    identity: _Identity,
    builder: tfds.core.DatasetBuilder,
    work: work_directory.WorkDirectory,
    index: reader.LogIndex,
    manifests: Sequence[Mapping[str, Any]],
) -> Summary:
  """Makes the shards a dataset, unless too many episodes broke a rule."""
  rejected = finalize.write_rejects(
      work, manifests, config.max_rejected_fraction
  )
  totals = {
      'episodes': sum(m['episodes'] for m in manifests),
      'transitions': sum(m['transitions'] for m in manifests),
      'steps': sum(m['steps'] for m in manifests),
      'num_bytes': sum(m['record_bytes'] for m in manifests),
      'rejected_episodes': rejected,
      'padding': index.accounting.padding,
      'left_out': index.accounting.left_out,
  }
  summary = Summary(path=os.fspath(builder.data_path), **totals)
  finalize.publish(
      builder,
      _builder_module().SPLIT,
      work,
      manifests,
      metadata={
          'options': identity.options,
          'sources': identity.sources,
          'totals': totals,
          'shards': [
              {name: m[name] for name in ('shard', 'file_bytes', 'sha256')}
              for m in manifests
          ],
          'log': dict(index.metadata),
          'warnings': list(index.warnings),
      },
  )
  return summary


def _builder_module() -> Any:
  return importlib.import_module(_BUILDER_MODULE)


def _finished(version_dir: str, identity: _Identity) -> Optional[Summary]:
  """The summary of a dataset that is complete, None if there is none.

  Raises:
    work_directory.OtherJobError: if it was made otherwise.
  """
  if not os.path.exists(version_dir):
    return None
  metadata = finalize.published_metadata(version_dir)
  if metadata is None:
    raise work_directory.OtherJobError(
        f'{version_dir} exists, but was not made by this program; convert to '
        'another --data_dir or --run, or delete it'
    )
  work_directory.check_options(
      metadata['options'], identity.options, version_dir
  )
  if metadata['sources'] != identity.sources:
    raise work_directory.OtherJobError(
        f'{version_dir} was made from another version of the log; convert to '
        'another --data_dir or --run, or delete that folder to convert again'
    )
  return Summary(path=version_dir, **metadata['totals'])


def _make_parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
  )
  for name, text in (
      ('log_dir', 'folder of a Dopamine replay log'),
      ('data_dir', 'folder of TFDS datasets to convert into'),
  ):
    parser.add_argument(f'--{name}', required=True, help=text)
  for name, kind, text in (
      ('game', str, "in CamelCase, as in 'SpaceInvaders'"),
      ('run', int, 'number of the training run'),
      ('checkpoints', str, "'latest', 'all' or numbers, as in '0,2'"),
      ('num_shards', int, 'files to make; by default one per 500000 steps'),
      ('stack_size', int, 'frames that the agent stacked'),
      ('num_actions', int, 'how many actions the game has, at most'),
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
  return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns its exit code."""
  parser = _make_parser()
  flags, pipeline_args = parser.parse_known_args(argv)
  ours = [f'--{name}' for name in vars(flags)]
  for arg in pipeline_args:
    # Beam ignores what it does not know, so a slip of the pen would go unseen.
    similar = difflib.get_close_matches(arg.split('=')[0], ours, cutoff=0.85)
    if similar:
      parser.error(f'unknown flag {arg}; did you mean {similar[0]}?')
  logging.basicConfig(level=logging.WARNING)
  try:
    summary = convert(BuildRldsConfig(**vars(flags)), pipeline_args)
  except (
      ValueError,
      OSError,
      work_directory.BusyError,
      finalize.ReconciliationError,
      execution.BeamJobError,
  ) as error:
    execution.say(f'error: {error}')
    return 1
  except KeyboardInterrupt:
    execution.say('interrupted; the same command again goes on from here')
    return 130
  print(summary)
  return 0


if __name__ == '__main__':
  sys.exit(main())
