"""Proves that shards hold what the log held, and makes them a TFDS dataset."""

import collections
import hashlib
import itertools
import json
import os
from typing import Any, Iterator, Mapping, Optional, Sequence

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import validation

_REJECTS_FILE = 'rejects.jsonl'
_CAUTIONS_FILE = 'cautions.jsonl'
METADATA_KEY = 'conversion'


class ReconciliationError(RuntimeError):
  """What was written is not what should have been."""


class TooManyRejectedError(ValueError):
  """More episodes broke a rule than the user accepts."""


def check_shard(
    path: str, file_format: str, manifest: Mapping[str, Any]
) -> None:
  """Reads a shard back and compares it with its manifest.

  Beam's counters are no proof: they count attempts, and a runner was seen to
  report records that it had lost.

  Raises:
    ReconciliationError: if anything differs.
  """
  found = collections.Counter(
      episodes=0, steps=0, transitions=0, record_bytes=0
  )
  records = record_files.read(path, file_format)
  try:
    # Nothing may hold a record while the next is read: they can be large.
    while (counts := _count(next(records, None))) is not None:
      found.update(counts)
  except record_files.RecordFileError as error:
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


def _count(record: Optional[bytes]) -> Optional[dict[str, int]]:
  """What a record adds to the counts of a manifest."""
  if record is None:
    return None
  frames = f'{schema.STEPS}/{schema.OBSERVATION}'
  feature = tf_example.parse(record, without=(frames,)).features.feature
  actions = feature[f'{schema.STEPS}/{schema.ACTION}'].int64_list.value
  return {
      'episodes': 1,
      'steps': len(actions),
      'transitions': feature[schema.EPISODE_LENGTH].int64_list.value[0],
      'record_bytes': len(record),
  }


def collect_manifests(
    work: work_directory.WorkDirectory,
    units: Sequence[transforms.WorkUnit],
    index: reader.LogIndex,
    file_format: str,
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
    check_shard(work.shard(unit.shard), file_format, manifest)
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


def find_duplicates(
    units: Sequence[transforms.WorkUnit], manifests: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
  """Episodes too long to equal an earlier one, in any shard, by chance.

  Returns:
    What `conversion_plan.plan_units` takes: by the number of the unit and the
    index of the episode in it, which earlier episode it equals.
  """
  found = collections.defaultdict(dict)
  for unit, i, original in _equal_episodes(units, manifests):
    if unit.spans[i].length >= validation.DUPLICATE_STEPS:
      found[str(unit.index)][str(i)] = str(original)
  return dict(found)


def _equal_episodes(
    units: Sequence[transforms.WorkUnit], manifests: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[transforms.WorkUnit, int, reader.EpisodeSpan]]:
  """Episodes with the content of an earlier one: unit, index in it, earlier."""
  first = {}
  for unit, manifest in zip(units, manifests, strict=True):
    hashes = manifest['content_sha256']
    for i, (span, sha256) in enumerate(zip(unit.spans, hashes, strict=True)):
      if sha256 is None:  # It was rejected.
        continue
      original = first.setdefault(sha256, span)
      if original is not span:
        yield unit, i, original


def cautions(
    units: Sequence[transforms.WorkUnit], manifests: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
  """The odd episodes that were kept, as `transforms.finding` describes them.

  Short ones that equal an earlier one are among them.
  """
  by_episode = {
      (line['checkpoint'], line['episode']): {
          **line, 'reasons': dict(line['reasons'])
      }
      for manifest in manifests
      for line in manifest['cautions']
  }
  for unit, i, original in _equal_episodes(units, manifests):
    span = unit.spans[i]
    line = by_episode.setdefault(
        (span.checkpoint_id, span.episode_id), transforms.finding(span, {})
    )
    line['reasons'].update(transforms.duplicate(str(original)))
  return [by_episode[key] for key in sorted(by_episode)]


def rejected(
    units: Sequence[transforms.WorkUnit],
    manifests: Sequence[Mapping[str, Any]],
    duplicates: Mapping[str, Mapping[str, str]],
) -> list[dict[str, Any]]:
  """Episodes that were left out, and duplicates that will be, by unit."""
  found = []
  for unit, manifest in zip(units, manifests, strict=True):
    found.extend(manifest['rejected'])
    found.extend(
        transforms.finding(unit.spans[int(i)], transforms.duplicate(original))
        for i, original in duplicates.get(str(unit.index), {}).items()
    )
  return found


def check_rejected(
    work: work_directory.WorkDirectory,
    lines: Sequence[Mapping[str, Any]],
    episodes: int,
    max_rejected_fraction: float,
) -> None:
  """Lists the rejected episodes in a file, one JSON object in a line.

  Args:
    work: the folder with the shards.
    lines: about them, as `transforms.finding` describes them.
    episodes: number of all episodes of the log.
    max_rejected_fraction: of them, that may be rejected.

  Raises:
    TooManyRejectedError: if more are rejected, or all.
  """
  path = work.shard(_REJECTS_FILE)
  _write_lines(path, lines)
  if not lines:
    return
  fraction = len(lines) / episodes
  if fraction > max_rejected_fraction or len(lines) == episodes:
    first = lines[0]
    raise TooManyRejectedError(
        f'{len(lines)} of {episodes} episodes break a rule '
        f'({fraction:.2%}; --max_rejected_fraction={max_rejected_fraction:g}). '
        f'The first, episode {first["episode"]} of checkpoint '
        f'{first["checkpoint"]}: {"; ".join(first["reasons"].values())}. All '
        f'are listed in {path}'
    )


def write_cautions(
    work: work_directory.WorkDirectory, lines: Sequence[Mapping[str, Any]]
) -> None:
  """Lists the odd episodes like the rejected ones."""
  _write_lines(work.shard(_CAUTIONS_FILE), lines)


def count_cautions(lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
  """How many episodes are odd, by the rule that says so."""
  return dict(collections.Counter(r for line in lines for r in line['reasons']))


def _write_lines(path: str, lines: Sequence[Mapping[str, Any]]) -> None:
  """Writes one JSON object in a line; no lines, no file."""
  if not lines:
    if os.path.exists(path):
      os.remove(path)
    return
  with atomic.replacing(path) as file:
    for line in lines:
      file.write(json.dumps(line, sort_keys=True).encode() + b'\n')


def publish(
    builder: tfds.core.DatasetBuilder,
    work: work_directory.WorkDirectory,
    manifests: Sequence[Mapping[str, Any]],
    file_format: str,
    metadata: Mapping[str, Any],
) -> None:
  """Writes TFDS's metadata and gives the folder its final name.

  Args:
    builder: of the dataset in that format; its data path does not exist yet.
    work: the folder with the shards.
    manifests: of the shards, in their order.
    file_format: of the shards.
    metadata: about the conversion; becomes `builder.info.metadata`.
  """
  info = builder.info
  info.set_splits(
      tfds.core.splits.SplitDict([
          split_info(split, group, work, builder.name, file_format)
          for split, group in _by_split(manifests)
      ])
  )
  info.metadata[METADATA_KEY] = dict(metadata)
  info.write_to_directory(work.dataset)
  _remove_strangers(
      work.dataset,
      file_format,
      [manifest['shard'] for manifest in manifests],
  )
  os.rename(work.dataset, os.fspath(builder.data_path))


def split_info(
    split: str,
    manifests: Sequence[Mapping[str, Any]],
    work: work_directory.WorkDirectory,
    name: str,
    file_format: str,
) -> tfds.core.SplitInfo:
  """What TFDS's metadata say of a split.

  Args:
    split: its name.
    manifests: of its shards, in their order.
    work: the folder with the shards.
    name: of the dataset.
    file_format: of the shards.
  """
  return tfds.core.SplitInfo(
      name=split,
      shard_lengths=[manifest['episodes'] for manifest in manifests],
      num_bytes=sum(manifest['record_bytes'] for manifest in manifests),
      filename_template=tfds.core.ShardedFileTemplate(
          data_dir=work.dataset,
          dataset_name=name,
          split=split,
          filetype_suffix=file_format,
      ),
  )


def _by_split(
    manifests: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[Mapping[str, Any]]]]:
  """The manifests of each split, in the order of the log."""
  return [
      (split, list(group))
      for split, group in itertools.groupby(manifests, lambda m: m['split'])
  ]


def _remove_strangers(
    directory: str, file_format: str, shards: Sequence[str]
) -> None:
  """Removes shards of an earlier division of the log."""
  for name in os.listdir(directory):
    if f'.{file_format}-' in name and name not in shards:
      os.remove(os.path.join(directory, name))


def published_metadata(version_dir: str) -> Optional[dict[str, Any]]:
  """What `publish` was given for a finished dataset; None if there is none."""
  path = os.path.join(version_dir, 'metadata.json')
  metadata = work_directory.read_json(path)
  return None if metadata is None else metadata.get(METADATA_KEY)
