"""Makes a TFDS dataset from another one: annotated, filtered, stored otherwise.

What a job has to say is which episodes go into which shard, and a transform
from units to shards; the rest is here, by the protocol of the conversion: a
work folder with a lock, a manifest for each finished unit, one progress bar, a
check of every shard against the source, and the folder's final name last.
"""

import dataclasses
import os
import shutil
from typing import Any, Callable, Mapping, Optional, Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import derivation_check
from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import atomic


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
    program: that makes it, for people.
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
  program: str

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
    metadata: what the plan adds to those of the target, such as how many
      episodes were left out.
    warnings: what the user should know, one sentence each.
  """

  units: Sequence[derived_units.DerivedUnit]
  write_bytes: int
  seconds: float
  check: Callable[[bytes, bytes], Optional[str]]
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  warnings: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Summary:
  """A finished dataset.

  Attributes:
    path: of its version folder.
    episodes: in it.
    transitions: actions of those episodes.
    steps: RLDS steps of those episodes.
    num_bytes: size of the records.
  """

  path: str
  episodes: int
  transitions: int
  steps: int
  num_bytes: int

  def __str__(self) -> str:
    return (
        f'{self.path}: {self.episodes} episodes, {self.transitions} '
        f'transitions, {self.steps} steps, {self.num_bytes / 1e6:.1f} MB'
    )


def derive(
    source: source_dataset.SourceDataset,
    target: Target,
    make_plan: Callable[[str], Plan],
    make_transform: Callable[[derived_units.DerivedJob], beam.PTransform],
    pipeline_args: Sequence[str],
) -> Summary:
  """Makes a dataset, or goes on with it, or returns at once if it is there.

  Args:
    source: what it is made from.
    target: what it shall be.
    make_plan: divides the source; is given a fingerprint of source and options.
    make_transform: from units to their indices and numbers of episodes.
    pipeline_args: flags of Beam.

  Raises:
    source_dataset.SourceError: if the source is damaged.
    work_directory.OtherJobError: if the output was made with other options.
    work_directory.BusyError: if another process writes to the same output.
    finalize.ReconciliationError: if the output does not add up.
    execution.BeamJobError: if the Beam job failed.
  """
  runner_args = execution.runner_args(pipeline_args)
  version_dir = target.version_dir
  if os.path.realpath(version_dir) == os.path.realpath(source.path):
    raise ValueError(
        f'{version_dir} is the source itself: choose another --version or '
        '--data_dir'
    )
  sources = source.fingerprint()
  summary = _finished(version_dir, target, sources)
  if summary is not None:
    return summary
  work = work_directory.WorkDirectory.beside(version_dir)
  with work.locked():
    # Another process may have finished between the look and the lock.
    summary = _finished(version_dir, target, sources)
    if summary is None:
      if work.begin(target.options, sources):
        execution.say(
            f'{source.path} has changed since {work.root} was begun: starting '
            'anew'
        )
      plan = make_plan(conversion_plan.fingerprint(target.options, sources))
      for warning in plan.warnings:
        execution.say(f'warning: {warning}')
      job = derived_units.DerivedJob(
          source.path, source.file_format, target.file_format, work.root
      )
      _run(job, plan, target.program, make_transform(job), runner_args)
      manifests = derivation_check.check_units(job, plan.units, plan.check)
      summary = _publish(source, target, plan, work, sources, manifests)
    shutil.rmtree(work.root)
  return summary


def _run(
    job: derived_units.DerivedJob,
    plan: Plan,
    program: str,
    transform: beam.PTransform,
    runner_args: Sequence[str],
) -> None:
  """Runs the Beam job over the units that are not done."""
  work, units = job.work, plan.units
  to_do = [u for u in units if not work.finished(u.index, u.fingerprint)]
  if not to_do:
    return
  steps = sum(unit.num_steps for unit in to_do)
  share = steps / sum(unit.num_steps for unit in units)
  free = shutil.disk_usage(job.work_dir).free
  execution.say(
      f'{len(to_do)} of {len(units)} shards to write: {steps} steps from '
      f'{sum(unit.num_bytes for unit in to_do) / 1e6:.1f} MB of records, about '
      f'{plan.write_bytes * share / 1e6:.1f} MB of output '
      f'({free / 1e9:.1f} GB free), about {plan.seconds * share:.0f} s of one '
      'worker'
  )
  if plan.write_bytes * share > free:
    raise OSError(
        f'{job.work_dir} has {free / 1e6:.0f} MB free; the dataset will take '
        f'about {plan.write_bytes * share / 1e6:.0f} MB: make room or choose '
        'another --data_dir'
    )
  with execution.progress_bar(work, units, to_do, program, 'steps'):
    try:
      with beam.Pipeline(
          options=pipeline_options.PipelineOptions(list(runner_args))
      ) as pipeline:
        _ = (
            pipeline
            | 'CreateUnits' >> beam.Create(to_do)
            # Some engines would otherwise give all units to one worker.
            | 'SpreadUnits' >> beam.Reshuffle()
            | 'DeriveUnits' >> transform
        )
    except Exception as error:
      raise execution.BeamJobError(
          f'the Beam job failed: {error}\nFinished shards are kept; the same '
          'command again goes on from there'
      ) from error
  errors = work.errors(len(units))
  if errors:
    raise source_dataset.SourceError('\n'.join(dict.fromkeys(errors)))


def _publish(
    source: source_dataset.SourceDataset,
    target: Target,
    plan: Plan,
    work: work_directory.WorkDirectory,
    sources: Mapping[str, Any],
    manifests: Sequence[Mapping[str, Any]],
) -> Summary:
  """Writes TFDS's metadata and gives the folder its final name."""
  totals = {
      'episodes': sum(m['episodes'] for m in manifests),
      'transitions': sum(m['transitions'] for m in manifests),
      'steps': sum(m['steps'] for m in manifests),
      'num_bytes': sum(m['record_bytes'] for m in manifests),
  }
  metadata = source.metadata
  conversion = {
      'program': target.program,
      'options': dict(target.options),
      'sources': dict(sources),
      'totals': totals,
      'shards': [
          {name: m[name] for name in ('shard', 'file_bytes', 'sha256')}
          for m in manifests
      ],
      'warnings': list(plan.warnings),
      **plan.metadata,
      # How the source itself came about, back to the logs.
      'source': {
          'path': source.path,
          'conversion': metadata.pop(finalize.METADATA_KEY, None),
      },
  }
  info = _info(source, target, work.dataset)
  info.metadata.update(
      metadata | dict(target.metadata) | {finalize.METADATA_KEY: conversion}
  )
  info.set_file_format(target.file_format)
  info.set_splits(
      tfds.core.splits.SplitDict([
          _split_info(split, target, work, manifests)
          for split in dict.fromkeys(m['split'] for m in manifests)
      ])
  )
  atomic.remove_temporary_files(work.dataset)
  shards = {manifest['shard'] for manifest in manifests}
  for name in os.listdir(work.dataset):
    if name not in shards:  # Of an earlier division, or of a killed attempt.
      os.remove(os.path.join(work.dataset, name))
  info.write_to_directory(work.dataset)
  version_dir = target.version_dir
  os.rename(work.dataset, version_dir)
  return Summary(path=version_dir, **totals)


def _info(
    source: source_dataset.SourceDataset, target: Target, directory: str
) -> tfds.core.DatasetInfo:
  """TFDS's description: that of the source, with what has changed."""
  proto = source.info.as_proto
  return tfds.core.DatasetInfo(
      builder=tfds.core.dataset_info.DatasetIdentity(
          name=target.name,
          version=tfds.core.Version(target.version),
          data_dir=directory,
          module_name=proto.module_name,
          config_name=target.config or None,
          config_description=proto.config_description or None,
          config_tags=list(proto.config_tags),
          release_notes={
              **proto.release_notes, target.version: target.release_note
          },
      ),
      description=source.info.description,
      features=target.features,
      homepage=source.info.homepage or None,
      citation=source.info.citation or None,
      license=source.info.redistribution_info.license or None,
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(),
  )


def _split_info(
    split: str,
    target: Target,
    work: work_directory.WorkDirectory,
    manifests: Sequence[Mapping[str, Any]],
) -> tfds.core.SplitInfo:
  of_split = [m for m in manifests if m['split'] == split]
  return tfds.core.SplitInfo(
      name=split,
      shard_lengths=[m['episodes'] for m in of_split],
      num_bytes=sum(m['record_bytes'] for m in of_split),
      filename_template=tfds.core.ShardedFileTemplate(
          data_dir=work.dataset,
          dataset_name=target.name,
          split=split,
          filetype_suffix=target.file_format,
      ),
  )


def _finished(
    version_dir: str, target: Target, sources: Mapping[str, Any]
) -> Optional[Summary]:
  """The summary of a dataset that is complete, None if there is none.

  Raises:
    work_directory.OtherJobError: if it was made otherwise.
  """
  if not os.path.exists(version_dir):
    return None
  metadata = finalize.published_metadata(version_dir)
  if metadata is None or metadata.get('program') != target.program:
    raise work_directory.OtherJobError(
        f'{version_dir} exists, but was not made by {target.program}; choose '
        'another --version or --data_dir, or delete it'
    )
  work_directory.check_options(
      metadata['options'], dict(target.options), version_dir
  )
  if metadata['sources'] != sources:
    raise work_directory.OtherJobError(
        f'{version_dir} was made from another source; choose another --version '
        'or --data_dir, or delete that folder to make it anew'
    )
  return Summary(path=version_dir, **metadata['totals'])


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
