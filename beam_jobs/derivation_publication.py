"""Makes derived shards a TFDS dataset that knows where it comes from."""

import os
from typing import Any, Mapping, Optional, Sequence

import tensorflow_datasets as tfds

import rrl_pipeline
from rrl_pipeline.beam_jobs import derivation
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import atomic


def find_finished(
    version_dir: str, target: derivation.Target, sources: Mapping[str, Any]
) -> Optional[derivation.Summary]:
  """The summary of a dataset that is complete, None if there is none.

  Raises:
    work_directory.OtherJobError: if it was made otherwise.
  """
  if not os.path.exists(version_dir):
    return None
  metadata = finalize.published_metadata(version_dir)
  if metadata is None or metadata.get('job') != target.job:
    raise work_directory.OtherJobError(
        f'{version_dir} exists, but was not made by {target.job}; choose '
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
  return derivation.Summary(path=version_dir, **metadata['totals'])


def publish(
    source: source_dataset.SourceDataset,
    target: derivation.Target,
    plan: derivation.Plan,
    work: work_directory.WorkDirectory,
    sources: Mapping[str, Any],
    manifests: Sequence[Mapping[str, Any]],
) -> derivation.Summary:
  """Writes TFDS's metadata and gives the folder its final name.

  Args:
    source: what the dataset was made from.
    target: what it shall be.
    plan: how it was made.
    work: the folder with the shards.
    sources: the fingerprint of the source.
    manifests: of the shards, in their order.
  """
  totals = {
      'episodes': sum(m['episodes'] for m in manifests),
      'transitions': sum(m['transitions'] for m in manifests),
      'steps': sum(m['steps'] for m in manifests),
      'file_bytes': sum(m['file_bytes'] for m in manifests),
  }
  metadata = source.metadata
  past = metadata.pop(finalize.METADATA_KEY, {})
  conversion = {
      'program': f'rrl_pipeline {rrl_pipeline.__version__}',
      'job': target.job,
      'options': dict(target.options),
      'sources': dict(sources),
      'totals': totals,
      'shards': [
          {name: m[name] for name in ('shard', 'file_bytes', 'sha256')}
          for m in manifests
      ],
      'losses': [*past.get('losses', ()), *plan.losses],
      'warnings': list(plan.warnings),
      'checkpoints': plan.checkpoints,
      **plan.metadata,
      # How the source itself came about, back to the logs.
      'source': {'path': source.path, 'conversion': past},
  }
  info = _info(source, target, work.dataset)
  info.metadata.update(
      metadata | dict(target.metadata) | {finalize.METADATA_KEY: conversion}
  )
  info.set_file_format(target.file_format)
  info.set_splits(
      tfds.core.splits.SplitDict([
          finalize.split_info(
              split,
              [m for m in manifests if m['split'] == split],
              work,
              target.name,
              target.file_format,
          )
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
  return derivation.Summary(path=version_dir, **totals)


def _info(
    source: source_dataset.SourceDataset,
    target: derivation.Target,
    directory: str,
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
