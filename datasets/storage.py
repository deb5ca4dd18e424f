"""Files in a local folder or in a bucket, all through `tf.io.gfile`.

Paths are local, or begin with a scheme: gs://, and whatever else TensorFlow has
a file system for.
"""

import contextlib
import hashlib
import posixpath
from typing import Iterator

import tensorflow as tf

_CHUNK_BYTES = 1 << 24
_TEMPORARY_PREFIX = '.tmp-'


class StorageError(OSError):
  """A folder or bucket that cannot be read or written: says which and why."""


def is_local(path: str) -> bool:
  """Whether a rename of a folder there is one step."""
  return '://' not in path


@contextlib.contextmanager
def errors(path: str) -> Iterator[None]:
  """Makes TensorFlow's errors about a path a StorageError."""
  try:
    yield
  except tf.errors.UnimplementedError as error:
    raise StorageError(
        f'TensorFlow has no file system for {path} here: gs:// needs '
        'tensorflow-io-gcs-filesystem, s3:// needs tensorflow-io'
    ) from error
  except tf.errors.OpError as error:
    raise StorageError(f'{path}: {error.message}') from error


def checksum(path: str) -> dict:
  """Size and SHA-256 of a file, as `verification.file_checksums` has them."""
  digest = hashlib.sha256()
  size = 0
  with errors(path), tf.io.gfile.GFile(path, 'rb') as file:
    while chunk := file.read(_CHUNK_BYTES):
      digest.update(chunk)
      size += len(chunk)
  return {'size': size, 'sha256': digest.hexdigest()}


def checksums(directory: str) -> dict[str, dict]:
  """The checksum of every file below a folder, but hidden ones, by path."""
  return {
      name: checksum(posixpath.join(directory, name))
      for name in list_files(directory)
  }


def list_files(directory: str) -> list[str]:
  """The files below a folder, but hidden ones, as relative paths."""
  found = []
  with errors(directory):
    for folder, _, names in tf.io.gfile.walk(directory):
      inside = folder.removeprefix(directory).strip('/')
      found.extend(posixpath.join(inside, name) for name in names)
  return sorted(
      name
      for name in found
      if not any(part.startswith('.') for part in name.split('/'))
  )


def exists(path: str) -> bool:
  with errors(path):
    return tf.io.gfile.exists(path)


def read(path: str) -> bytes:
  with errors(path), tf.io.gfile.GFile(path, 'rb') as file:
    return file.read()


def write(path: str, data: bytes) -> None:
  """Writes a file that appears whole or not at all."""
  folder, name = posixpath.split(path)
  temporary = posixpath.join(folder, f'{_TEMPORARY_PREFIX}{name}')
  with errors(path):
    with tf.io.gfile.GFile(temporary, 'wb') as file:
      file.write(data)
    tf.io.gfile.rename(temporary, path, overwrite=True)


def copy(source: str, target: str) -> None:
  """Copies a file, making the folders on the way."""
  with errors(target):
    tf.io.gfile.makedirs(posixpath.dirname(target))
    tf.io.gfile.copy(source, target, overwrite=True)


def remove(path: str) -> None:
  with errors(path):
    tf.io.gfile.remove(path)


def rename(source: str, target: str) -> None:
  """Gives a local folder another name."""
  with errors(target):
    tf.io.gfile.rename(source, target)


def glob(pattern: str) -> list[str]:
  with errors(pattern):
    return sorted(tf.io.gfile.glob(pattern))
