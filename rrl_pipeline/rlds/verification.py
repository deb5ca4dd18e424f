"""Tells whether a dataset on disk is what it says it is.

TFDS has no checksums of its own, and reads whatever records are there. Here the
files are held against everything that is known of them: the lengths and sizes
in dataset_info.json, the checksums that the conversion or the publication wrote
down, the hash that each episode carries, and the statistics.
"""

import hashlib
import json
import os
from typing import Iterator

from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import statistics_file
from rrl_pipeline.rlds import stored_episodes

CHECKSUMS_FILE = 'checksums.json'
CARD_README = os.path.join('card', 'README.md')
_COMPUTE = 'python beam_jobs/compute_statistics.py --dataset_dir='


def damage(
    dataset: dataset_files.Dataset, decode_frames: bool = False
) -> list[str]:
  """What is wrong with the files of a dataset; empty if nothing is.

  Args:
    dataset: which one.
    decode_frames: whether to decode every frame and compute the episodes'
      hashes anew. Files whose checksum is known need that only to find errors
      of whoever wrote the checksum.
  """
  found = list(_strangers(dataset))
  known = {
      shard['shard']: shard['sha256']
      for shard in dataset.conversion.get('shards', ())
  }
  num_bytes = dict.fromkeys(dataset.info.splits, 0)
  intact = True
  for shard in dataset.shards:
    decode = decode_frames or shard.name not in known
    try:
      num_bytes[shard.split] += _check_shard(dataset, shard, decode)
    except (
        dataset_files.DatasetError,
        stored_episodes.EpisodeError,
    ) as error:
      found.append(str(error))
      intact = False
      continue
    if shard.name in known:
      sha256 = file_sha256(dataset.shard_path(shard))
      if sha256 != known[shard.name]:
        found.append(
            f'{shard.name} has the SHA-256 {sha256}; the metadata of the '
            f'conversion says {known[shard.name]}'
        )
  if intact:
    for split, size in num_bytes.items():
      expected = dataset.info.splits[split].num_bytes
      if size != expected:
        found.append(
            f'the records of split {split!r} have {size} bytes; '
            f'{dataset_files.INFO_FILE} says {expected}'
        )
  return [*found, *_statistics(dataset), *_checksums(dataset)]


def _check_shard(
    dataset: dataset_files.Dataset, shard: dataset_files.Shard, decode: bool
) -> int:
  """Reads a shard back; returns the size of its records.

  Raises:
    ValueError: if it is not what it should be.
  """
  size = 0
  count = 0
  for episode in dataset.episodes(shard):
    count += 1
    size += episode.num_bytes
    stored = episode.value(schema.CONTENT_SHA256)
    if decode:
      computed = episode.content_sha256(episode.frame_blocks())
      if stored not in (None, computed):
        raise stored_episodes.EpisodeError(
            f'{episode.where}: its contents have the hash {computed}; the '
            f'record says {stored}'
        )
  if count != shard.num_episodes:
    raise dataset_files.DatasetError(
        f'{shard.name} holds {count} records; {dataset_files.INFO_FILE} says '
        f'{shard.num_episodes}'
    )
  return size


def _strangers(dataset: dataset_files.Dataset) -> Iterator[str]:
  """Files that look like shards, but are none of the dataset."""
  shards = {shard.name for shard in dataset.shards}
  for name in sorted(os.listdir(dataset.path)):
    if f'.{dataset.file_format}-' in name and name not in shards:
      yield f'{name} is no file of the dataset: remove it'


def _statistics(dataset: dataset_files.Dataset) -> Iterator[str]:
  """Where the statistics, if there are any, tell of another dataset."""
  if not os.path.exists(os.path.join(dataset.path, statistics_file.NAME)):
    return
  try:
    statistics = statistics_file.read(dataset.path)
  except dataset_files.DatasetError as error:
    yield str(error)
    return
  for name, split in dataset.info.splits.items():
    said = statistics['splits'].get(name, {})
    for what, expected in (
        ('episodes', split.num_examples),
        ('record_bytes', split.num_bytes),
    ):
      if said.get(what) != expected:
        yield (
            f'{statistics_file.NAME} says that split {name!r} has '
            f'{said.get(what)} {what}; {dataset_files.INFO_FILE} says '
            f'{expected}: make it anew with {_COMPUTE}{dataset.path}'
        )


def _checksums(dataset: dataset_files.Dataset) -> Iterator[str]:
  """Where the files of a published dataset are not those published."""
  path = os.path.join(dataset.path, CHECKSUMS_FILE)
  if not os.path.exists(path):
    return
  with open(path, encoding='utf-8') as file:
    published = json.load(file)['files']
  found = file_checksums(dataset.path)
  found.pop(CHECKSUMS_FILE)
  yield from checksum_differences(published, found)


def checksum_differences(
    published: dict[str, dict], found: dict[str, dict]
) -> Iterator[str]:
  """What differs between two results of `file_checksums`, line by line."""
  for name in sorted({*published, *found}):
    if name not in found:
      yield f'{name} is missing'
    elif name not in published:
      yield f'{name} was not published'
    elif found[name] != published[name]:
      yield (
          f'{name} has {found[name]["size"]} bytes and the SHA-256 '
          f'{found[name]["sha256"]}; published were '
          f'{published[name]["size"]} bytes, {published[name]["sha256"]}'
      )


def file_checksums(directory: str) -> dict[str, dict]:
  """Size and SHA-256 of every file below a directory, but hidden ones.

  Returns:
    {'size': bytes, 'sha256': hexadecimal digits} by relative path.
  """
  found = {}
  for folder, folders, names in os.walk(directory):
    folders[:] = [name for name in folders if not name.startswith('.')]
    for name in names:
      if not name.startswith('.'):
        path = os.path.join(folder, name)
        found[os.path.relpath(path, directory)] = {
            'size': os.path.getsize(path),
            'sha256': file_sha256(path),
        }
  return dict(sorted(found.items()))


def file_sha256(path: str) -> str:
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def missing_for_publication(dataset: dataset_files.Dataset) -> list[str]:
  """What a dataset that others are to use still lacks."""
  found = []
  command = f'{_COMPUTE}{dataset.path}'
  if not dataset.license:
    found.append(
        f'no licence is given: {command} --license=NAME, such as CC-BY-4.0'
    )
  for name in (statistics_file.NAME, CARD_README):
    if not os.path.exists(os.path.join(dataset.path, name)):
      found.append(f'there is no {name}: {command}')
  path = os.path.join(dataset.path, CARD_README)
  if dataset.license and os.path.exists(path):
    with open(path, encoding='utf-8') as file:
      if dataset.license not in file.read():
        found.append(
            f'{CARD_README} does not name the licence {dataset.license}: '
            f'{command}'
        )
  return found
