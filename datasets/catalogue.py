"""The catalogue of a folder of published datasets: index.json and index.html.

It holds nothing that is not in the datasets' own files, and is made from them
anew after each publication, so that it cannot lag behind for long.
"""

import json
import posixpath
import re
from typing import Any

import tensorflow_datasets as tfds

from rrl_pipeline.datasets import storage
from rrl_pipeline.reports import catalogue_page
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import statistics_file
from rrl_pipeline.rlds import verification

INDEX = 'index.json'
PAGE = 'index.html'
_FORMAT = 1
_CARD = 'card/index.html'
_PICTURE = 'card/frames.png'
_SENTENCE = re.compile(r'(?<=[.!?])\s')


def update(root: str) -> list[dict[str, Any]]:
  """Writes the catalogue of all datasets that are published below a folder.

  Args:
    root: the folder or bucket.

  Returns:
    The entries of index.json, in the order of names and versions.

  Raises:
    storage.StorageError: if the folder cannot be read or written.
  """
  entries = sorted(
      (_entry(root, path) for path in published(root)),
      key=lambda entry: (
          entry['name'], entry['config'], tfds.core.Version(entry['version'])
      ),
  )
  text = json.dumps(
      {'format': _FORMAT, 'datasets': entries}, indent=1, sort_keys=True
  )
  storage.write(
      posixpath.join(root, PAGE), catalogue_page.render(entries).encode()
  )
  storage.write(posixpath.join(root, INDEX), f'{text}\n'.encode())
  return entries


def published(root: str) -> list[str]:
  """The datasets that are complete below a folder, as relative paths."""
  found = []
  for pattern in ('*/*', '*/*/*'):  # Without and with a configuration.
    for path in storage.glob(
        posixpath.join(root, pattern, verification.CHECKSUMS_FILE)
    ):
      folder = posixpath.dirname(path)
      # Written last: what lacks it is on its way.
      if storage.exists(posixpath.join(folder, dataset_files.INFO_FILE)):
        relative = folder.removeprefix(root).strip('/')
        if not any(part.startswith('.') for part in relative.split('/')):
          found.append(relative)
  return found


def _entry(root: str, path: str) -> dict[str, Any]:
  """What the catalogue says of a dataset."""
  folder = posixpath.join(root, path)

  def load(name: str) -> Any:
    return json.loads(storage.read(posixpath.join(folder, name)))

  info = load(dataset_files.INFO_FILE)
  statistics = load(statistics_file.NAME)
  files = load(verification.CHECKSUMS_FILE)['files']
  config = info.get('configName', '')
  name = '/'.join(filter(None, (info['name'], config)))
  description = info.get('configDescription') or info['description']
  return {
      'name': info['name'],
      'config': config,
      'version': info['version'],
      'load_name': f'{name}:{info["version"]}',
      'path': path,
      'description': _SENTENCE.split(description.strip())[0],
      'license': info['redistributionInfo']['license'],
      'file_format': info['fileFormat'],
      'splits': list(statistics['splits']),
      'episodes': statistics['episodes'],
      'steps': statistics['steps'],
      'transitions': statistics['transitions'],
      'file_bytes': sum(file['size'] for file in files.values()),
      'episode_return': {
          key: statistics['episode_return'][key]
          for key in ('mean', 'min', 'max')
      },
      'card': posixpath.join(path, _CARD),
      'picture': posixpath.join(path, _PICTURE) if _PICTURE in files else '',
  }
