"""Files that appear whole or not at all."""

import contextlib
import os
import uuid
from typing import BinaryIO, Iterator

TEMPORARY_PREFIX = '.tmp-'


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
  """A file that takes the place of `path` once it has been written to disk.

  If the block fails, `path` is as it was. A process that is killed may leave a
  file whose name begins with TEMPORARY_PREFIX beside it.
  """
  directory, name = os.path.split(path)
  temporary = os.path.join(
      directory, f'{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{name}'
  )
  try:
    with open(temporary, 'wb') as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):
      os.remove(temporary)
    raise


def remove_temporary_files(directory: str) -> None:
  """Removes what killed processes left in a directory."""
  for name in os.listdir(directory):
    if name.startswith(TEMPORARY_PREFIX):
      os.remove(os.path.join(directory, name))
