"""What a dataset was made from, and how: kept in its metadata."""

import collections
import dataclasses
import os
from typing import Any, Mapping, Optional, Sequence

import rrl_pipeline
from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.beam_jobs import conversion_target
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import schema


@dataclasses.dataclass(frozen=True)
class Identity:
  """What decides the contents of a dataset.

  Attributes:
    options: of the conversion.
    sources: the log's files, by checkpoint.
  """

  options: dict[str, Any]
  sources: dict[str, Any]


def identify(
    config: conversion_config.BuildRldsConfig,
    target: conversion_target.ConversionTarget,
    log_format: str,
    index: reader.LogIndex,
) -> Identity:
  """The identity of a conversion.

  Args:
    config: what to convert.
    target: what it becomes.
    log_format: of the log, detected if the user did not give it.
    index: what the log holds.
  """
  return Identity(
      options={
          'log_format': log_format,
          'checkpoints': ','.join(map(str, index.checkpoints)),
          'stack_size': target.stack_size,
          'time_limit_steps': list(config.time_limit_steps),
          'num_shards': config.num_shards,
          'split_by_checkpoint': config.split_by_checkpoint,
          'file_format': config.file_format,
          'frame_encoding': target.dataset.observation.encoding,
          'num_actions': target.num_actions,
          'png_compressor': target.compressor,
          'record_format': schema.RECORD_FORMAT,
      },
      sources={
          str(number): [dataclasses.asdict(file) for file in files]
          for number, files in index.sources.items()
      },
  )


def check_finished(
    version_dir: str, identity: Identity
) -> Optional[dict[str, Any]]:
  """The totals of a dataset that is complete; None if there is none.

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
  return metadata['totals']


def metadata(
    identity: Identity,
    detection: formats.Detection,
    index: reader.LogIndex,
    manifests: Sequence[Mapping[str, Any]],
    cautions: Sequence[Mapping[str, Any]],
    totals: Mapping[str, Any],
) -> dict[str, Any]:
  """What `finalize.publish` is to write about a conversion.

  Args:
    identity: of the conversion.
    detection: why the log was read as it was.
    index: what the log holds.
    manifests: of all shards.
    cautions: the odd episodes.
    totals: counts of the whole dataset.
  """
  return {
      'program': f'rrl_pipeline {rrl_pipeline.__version__}',
      'options': identity.options,
      'sources': identity.sources,
      'log_format': dataclasses.asdict(detection),
      'log': dict(index.metadata),
      'losses': list(index.losses),
      'warnings': list(index.warnings),
      'totals': dict(totals),
      'checkpoints': checkpoint_splits(manifests),
      'cautions': finalize.count_cautions(cautions),
      'shards': [
          {name: m[name] for name in ('shard', 'file_bytes', 'sha256')}
          for m in manifests
      ],
  }


def checkpoint_splits(
    manifests: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
  """Where each checkpoint is in the dataset, as TFDS names it.

  The shards of a split are in the order of the log, and none holds episodes of
  two checkpoints, so that each checkpoint is a slice of it.
  """
  found = {}
  ends = collections.Counter()  # Episodes of each split so far.
  for manifest in manifests:
    split = manifest['split']
    place = found.setdefault(
        str(manifest['checkpoint']),
        {'first': ends[split], 'episodes': 0, 'transitions': 0},
    )
    ends[split] += manifest['episodes']
    place['episodes'] += manifest['episodes']
    place['transitions'] += manifest['transitions']
    place['split'] = f"{split}[{place['first']}:{ends[split]}]"
  return found
