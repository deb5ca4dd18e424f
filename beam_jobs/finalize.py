"""Proves that shards hold what the log held, and makes them a TFDS dataset."""

import hashlib
import json
import os
from typing import Any, Mapping, Optional, Sequence

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import tfrecord

_REJECTS_FILE = 'rejects.jsonl'
METADATA_KEY = 'conversion'


class ReconciliationError(RuntimeError):
  """What was written is not what should have been."""


class TooManyRejectedError(ValueError):
  """More episodes broke a rule than the user accepts."""


def check_shard(path: str, manifest: Mapping[str, Any]) -> None:
  """Reads a shard back and compares it with its manifest.

  Beam's counters are no proof: they count attempts, and a runner was seen to
  report records that it had lost.

  Raises:
    ReconciliationError: if anything differs.
  """
  found = {'episodes': 0, 'steps': 0, 'transitions': 0, 'record_bytes': 0}
  try:
    for record in tfrecord.read(path):
      feature = tf_example.parse(record).features.feature
      steps = feature[f'{schema.STEPS}/{schema.ACTION}'].int64_list.value
      found['episodes'] += 1
      found['steps'] += len(steps)
      found['transitions'] += feature[schema.EPISODE_LENGTH].int64_list.value[0]
      found['record_bytes'] += len(record)
  except tfrecord.TFRecordError as error:
    raise ReconciliationError(str(error)) from error
  with open(path, 'rb') as file:
    found['sha256'] = hashlib.file_digest(file, 'sha256').hexdigest()
  differing = [name for name in found if found[name] != manifest[name]]
  if differing:
    raise ReconciliationError(
        f'{path} is not what was written to it: '
        + ', '.join(
            f'{name} is {found[name]}, its manifest says {manifest[name]}'
            for name in differing
        )
    )


def collect_manifests(
    work: work_directory.WorkDirectory,
    units: Sequence[transforms.WorkUnit],
    index: reader.LogIndex,
) -> list[dict[str, Any]]:
  """The manifests of all units, after checking every shard and the sums.

  Raises:
    ReconciliationError: if an episode is missing or comes twice.
  """
  manifests = []
  for unit in units:
    manifest = work.finished(unit.index, unit.fingerprint)
    if manifest is None:
      raise ReconciliationError(
          f'the Beam job ended, but unit {unit.index} ({unit.shard}) was not '
          'written; give the same command again'
      )
    check_shard(work.shard(unit.shard), manifest)
    manifests.append(manifest)
  rejected = [r for manifest in manifests for r in manifest['rejected']]
  for name, found, expected in (
      (
          'episodes',
          sum(m['episodes'] for m in manifests) + len(rejected),
          len(index.spans),
      ),
      (
          'transitions',
          sum(m['transitions'] for m in manifests)
          + sum(r['length'] for r in rejected),
          index.accounting.transitions,
      ),
  ):
    if found != expected:
      raise ReconciliationError(
          f'the shards hold {found} {name} (rejected ones included), the log '
          f'has {expected}'
      )
  return manifests


def write_rejects(
    work: work_directory.WorkDirectory,
    manifests: Sequence[Mapping[str, Any]],
    max_rejected_fraction: float,
) -> int:
  """Lists the rejected episodes in a file, one JSON object in a line.

  Returns:
    Their number.

  Raises:
    TooManyRejectedError: if they are more than the given fraction, or all.
  """
  rejected = [r for manifest in manifests for r in manifest['rejected']]
  path = os.path.join(work.dataset, _REJECTS_FILE)
  if not rejected:
    if os.path.exists(path):
      os.remove(path)
    return 0
  with atomic.replacing(path) as file:
    for line in rejected:
      file.write(json.dumps(line, sort_keys=True).encode() + b'\n')
  written = sum(manifest['episodes'] for manifest in manifests)
  fraction = len(rejected) / (written + len(rejected))
  if fraction > max_rejected_fraction or not written:
    first = rejected[0]
    raise TooManyRejectedError(
        f'{len(rejected)} of {written + len(rejected)} episodes break a rule '
        f'({fraction:.2%}; --max_rejected_fraction={max_rejected_fraction:g}). '
        f'The first, episode {first["episode"]} of checkpoint '
        f'{first["checkpoint"]}: {"; ".join(first["reasons"].values())}. All '
        f'are listed in {path}'
    )
  return len(rejected)


def publish(
    builder: tfds.core.DatasetBuilder,
    split: str,
    work: work_directory.WorkDirectory,
    manifests: Sequence[Mapping[str, Any]],
    metadata: Mapping[str, Any],
) -> None:
  """Writes TFDS's metadata and gives the folder its final name.

  Args:
    builder: of the dataset; its data path does not exist yet.
    split: name of the split that all shards make up.
    work: the folder with the shards.
    manifests: of the shards, in their order.
    metadata: about the conversion; becomes `builder.info.metadata`.
  """
  info = builder.info
  info.set_file_format('tfrecord')
  info.set_splits(
      tfds.core.splits.SplitDict([
          tfds.core.SplitInfo(
              name=split,
              shard_lengths=[manifest['episodes'] for manifest in manifests],
              num_bytes=sum(manifest['record_bytes'] for manifest in manifests),
              filename_template=tfds.core.ShardedFileTemplate(
                  data_dir=work.dataset,
                  dataset_name=builder.name,
                  split=split,
                  filetype_suffix='tfrecord',
              ),
          )
      ])
  )
  info.metadata[METADATA_KEY] = dict(metadata)
  info.write_to_directory(work.dataset)
  _remove_strangers(work.dataset, [manifest['shard'] for manifest in manifests])
  os.rename(work.dataset, os.fspath(builder.data_path))


def _remove_strangers(directory: str, shards: Sequence[str]) -> None:
  """Removes shards of an earlier division of the log."""
  for name in os.listdir(directory):
    if '.tfrecord-' in name and name not in shards:
      os.remove(os.path.join(directory, name))


def published_metadata(version_dir: str) -> Optional[dict[str, Any]]:
  """What `publish` was given for a finished dataset; None if there is none."""
  path = os.path.join(version_dir, 'metadata.json')
  metadata = work_directory.read_json(path)
  return None if metadata is None else metadata.get(METADATA_KEY)
