"""Files that appear whole or not at all."""

import contextlib
import os
import uuid
from typing import BinaryIO, Iterator

TEMPORARY_PREFIX = '.tmp-'


@contextlib.contextmanager
def replacing_path(path: str) -> Iterator[str]:
  """The path of a new file that takes the place of `path` after the block.

  The block must have closed the file. If it fails, `path` is as it was. A
  process that is killed may leave a file whose name begins with
  TEMPORARY_PREFIX beside it.
  """
  directory, name = os.path.split(path)
  temporary = os.path.join(
      directory, f'{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{name}'
  )
  try:
    yield temporary
    with open(temporary, 'rb') as file:
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):
      os.remove(temporary)
    raise


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
  """A new file that takes the place of `path` once it is on the disk.

  See `replacing_path` for what a failure leaves.
  """
  with replacing_path(path) as temporary, open(temporary, 'wb') as file:
    yield file


def remove_temporary_files(directory: str) -> None:
  """Removes what killed processes left in a directory."""
  for name in os.listdir(directory):
    if name.startswith(TEMPORARY_PREFIX):
      os.remove(os.path.join(directory, name))
