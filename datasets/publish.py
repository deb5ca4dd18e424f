"""Publishes a dataset in a folder or bucket from which others load it.

  python datasets/publish.py --to=gs://bucket/datasets \\
    --from=DATA/atari_replay/Pong_run_1/1.1.0
  python datasets/publish.py --to=gs://bucket/datasets --verify

The first checks the dataset, copies it and adds it to the catalogue, which is
index.html and index.json in --to. A published version is never overwritten. An
interrupted copy is not seen by anyone; the same command again completes it. The
second reads everything that is published again and compares checksums.

  TFDS_DATA_DIR=gs://bucket/datasets python -c "
  import tensorflow_datasets as tfds
  dataset = tfds.load('atari_replay/Pong_run_1', split='train')"
"""

import argparse
import json
import os
import posixpath
import sys
from typing import Optional, Sequence

from rrl_pipeline.datasets import catalogue
from rrl_pipeline.datasets import storage
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import verification

_FORMAT = 1
# Without these TFDS sees no dataset, so they come last, in this order.
_LAST = (
    verification.CHECKSUMS_FILE,
    dataset_files.FEATURES_FILE,
    dataset_files.INFO_FILE,
)


class PublicationError(ValueError):
  """A dataset that cannot be published: says what is wrong with it."""


def publish(source: str, root: str) -> str:
  """Checks a dataset, copies it, and brings the catalogue up to date.

  Args:
    source: version folder of the dataset, local.
    root: folder or bucket to publish in.

  Returns:
    The path of the published version.

  Raises:
    PublicationError: if the dataset is damaged, lacks what others need, or
      another one is published under its name and version.
    dataset_files.DatasetError: if there is no dataset.
    storage.StorageError: if `root` cannot be written.
  """
  root = root.rstrip('/')
  dataset = dataset_files.Dataset(os.path.abspath(source))
  problems = [
      *verification.damage(dataset),
      *verification.missing_for_publication(dataset),
  ]
  if problems:
    raise PublicationError(
        f'{dataset.path} cannot be published:\n' + '\n'.join(problems)
    )
  files = verification.file_checksums(dataset.path)
  files.pop(verification.CHECKSUMS_FILE, None)  # Of a copy of a published one.
  target = posixpath.join(root, dataset.full_name)
  if storage.exists(posixpath.join(target, dataset_files.INFO_FILE)):
    _check_same(target, files)
  else:
    _copy(dataset, files, target)
  catalogue.update(root)
  return target


def _check_same(target: str, files: dict[str, dict]) -> None:
  """Raises PublicationError unless what is published are these files."""
  differing = ['it was put there by other means']
  path = posixpath.join(target, verification.CHECKSUMS_FILE)
  if storage.exists(path):
    published = json.loads(storage.read(path))['files']
    differing = list(verification.checksum_differences(published, files))
  if differing:
    raise PublicationError(
        f'{target} is published already, and differs: {differing[0]}'
        + (f', and {len(differing) - 1} more' if differing[1:] else '')
        + '. A published version does not change: give the dataset another '
        'version, configuration or run'
    )


def _copy(
    dataset: dataset_files.Dataset, files: dict[str, dict], target: str
) -> None:
  """Copies a dataset so that it is seen at `target` whole or not at all.

  A local folder gets its name when it is complete. In a bucket, where renaming
  a folder is copying it, the files without which it is none come last.
  """
  staging = target
  if storage.is_local(target):
    folder, version = posixpath.split(target)
    staging = posixpath.join(folder, f'.publishing-{version}')
  checksums = json.dumps(
      {'format': _FORMAT, 'dataset': dataset.full_name, 'files': files},
      indent=1,
      sort_keys=True,
  )
  there = set(storage.list_files(staging)) if storage.exists(staging) else set()
  for name in sorted(there - set(files)):
    storage.remove(posixpath.join(staging, name))
  for name in sorted(files, key=lambda n: (n in _LAST, n == _LAST[-1], n)):
    path = posixpath.join(staging, name)
    if name == dataset_files.FEATURES_FILE:
      storage.write(
          posixpath.join(staging, verification.CHECKSUMS_FILE),
          f'{checksums}\n'.encode(),
      )
    if name in there:
      if storage.checksum(path) == files[name]:
        continue
      storage.remove(path)  # What an interrupted copy left.
    original = os.path.join(dataset.path, name)
    if name == dataset_files.INFO_FILE:
      storage.write(path, storage.read(original))
    else:
      storage.copy(original, path)
    found = storage.checksum(path)
    if found != files[name]:
      raise PublicationError(
          f'{path} was copied, but has the SHA-256 {found["sha256"]} instead '
          f'of {files[name]["sha256"]}; give the same command again'
      )
  if staging != target:
    storage.rename(staging, target)


def verify(root: str) -> list[str]:
  """What is wrong with a folder of published datasets; empty if nothing is.

  Args:
    root: the folder or bucket.

  Raises:
    PublicationError: if nothing is published there.
    storage.StorageError: if it cannot be read.
  """
  root = root.rstrip('/')
  index = posixpath.join(root, catalogue.INDEX)
  if not storage.exists(index):
    raise PublicationError(
        f'{root} holds no catalogue ({catalogue.INDEX}): nothing has been '
        'published there'
    )
  listed = {
      entry['path'] for entry in json.loads(storage.read(index))['datasets']
  }
  published = set(catalogue.published(root))
  found = [f'{path}: it is not in the catalogue' for path in sorted(
      published - listed)]
  for path in sorted(listed):
    if path not in published:
      found.append(f'{path}: the catalogue lists it, but it is not there')
      continue
    folder = posixpath.join(root, path)
    checksums = storage.checksums(folder)
    del checksums[verification.CHECKSUMS_FILE]
    text = storage.read(posixpath.join(folder, verification.CHECKSUMS_FILE))
    found.extend(
        f'{path}: {line}'
        for line in verification.checksum_differences(
            json.loads(text)['files'], checksums
        )
    )
  return found


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns its exit code."""
  parser = argparse.ArgumentParser(
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
  )
  parser.add_argument(
      '--from', dest='source', help='version folder of the dataset'
  )
  parser.add_argument(
      '--to', dest='root', required=True, help='folder or bucket to publish in'
  )
  parser.add_argument(
      '--verify',
      action='store_true',
      help='compare all that is published in --to with its checksums',
  )
  flags = parser.parse_args(argv)
  if not flags.source and not flags.verify:
    parser.error('give --from, --verify or both')
  try:
    if flags.source:
      print(f'published: {publish(flags.source, flags.root)}')
    if flags.verify:
      found = verify(flags.root)
      if found:
        raise PublicationError(
            f'{len(found)} files or datasets are not as published:\n'
            + '\n'.join(found)
        )
      print(f'verified: {flags.root}')
  except (ValueError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print('interrupted; the same command again goes on', file=sys.stderr)
    return 130
  return 0


if __name__ == '__main__':
  sys.exit(main())
