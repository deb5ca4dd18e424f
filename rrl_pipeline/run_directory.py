"""The directory of a run: its paths, whole-or-nothing writes, and its lock.

    run_dir/config.json            the settings, written before anything else
    run_dir/command.txt            the command that started the run
    run_dir/<stage>/DONE.json      written last: the stage is finished
    run_dir/<stage>/attempts.json  what began the stage, and its time so far
    run_dir/.lock                  held by the process that works here

A file appears under its name only when it is complete: it is written beside
its place, flushed to the disk and renamed. A process killed in between leaves
a temporary file, which `RunDirectory.sweep` removes.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import pathlib
import secrets
import socket
from typing import Any, BinaryIO, Iterator, Optional, Union

_TEMPORARY_SUFFIX = '.rrl_tmp'
# Descriptors of the locks that this process holds.
_held_locks: set[int] = set()


class LockedError(Exception):
  """Another process works in the run directory."""


@contextlib.contextmanager
def whole_file(path: Union[str, os.PathLike]) -> Iterator[BinaryIO]:
  """Gives a file to write; a crash leaves the old contents or the new ones.

  Raises:
    OSError: it could not be written; the error names the file.
  """
  path = pathlib.Path(path)
  temporary = path.parent / (
      f'.{path.name}.{secrets.token_hex(6)}{_TEMPORARY_SUFFIX}'
  )
  try:
    with open(temporary, 'xb') as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException as error:
    temporary.unlink(missing_ok=True)
    if isinstance(error, OSError) and error.errno and not error.filename:
      error.filename = os.fspath(path)  # A failed write does not say it.
    raise
  flush_directory(path.parent)


def write_bytes(path: Union[str, os.PathLike], data: bytes) -> None:
  """Writes a file so that a crash leaves its old contents or its new ones."""
  with whole_file(path) as file:
    file.write(data)


def write_json(path: Union[str, os.PathLike], value: Any) -> None:
  """Writes `value` as readable JSON with sorted keys, whole or not at all."""
  text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
  write_bytes(path, (text + '\n').encode('utf-8'))


def read_json(path: Union[str, os.PathLike]) -> Any:
  """Reads a file that `write_json` wrote.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not JSON.
  """
  data = pathlib.Path(path).read_bytes()
  try:
    return json.loads(data)
  except ValueError as error:
    raise ValueError(
        f'{path} is damaged: expected JSON, got {data[:40]!r} ({error});'
        ' restore or remove it'
    ) from error


@dataclasses.dataclass(frozen=True)
class RunDirectory:
  """The paths of one run.

  Attributes:
    root: the directory; it need not exist.
  """

  root: pathlib.Path

  @property
  def config(self) -> pathlib.Path:
    return self.root / 'config.json'

  @property
  def command(self) -> pathlib.Path:
    return self.root / 'command.txt'

  def stage(self, name: str) -> pathlib.Path:
    return self.root / name

  def done(self, stage: str) -> pathlib.Path:
    return self.stage(stage) / 'DONE.json'

  def attempts(self, stage: str) -> pathlib.Path:
    return self.stage(stage) / 'attempts.json'

  def read_done(self, stage: str) -> Optional[dict[str, Any]]:
    """Returns the marker of a finished stage, None if it is not finished."""
    try:
      return read_json(self.done(stage))
    except FileNotFoundError:
      return None

  def sweep(self) -> None:
    """Removes temporary files of killed processes; call it under the lock."""
    for path in self.root.rglob(f'.*{_TEMPORARY_SUFFIX}'):
      path.unlink(missing_ok=True)

  @contextlib.contextmanager
  def lock(self) -> Iterator[None]:
    """Keeps other processes out of the directory, which is made if need be.

    The kernel drops the lock when the process ends, however it ends, so a lock
    is never left behind. Processes forked meanwhile do not share it.

    Raises:
      LockedError: another process holds it.
      ValueError: the path is a file.
    """
    if self.root.exists() and not self.root.is_dir():
      raise ValueError(
          f'the run directory {self.root} is a file; choose another --run_dir'
      )
    self.root.mkdir(parents=True, exist_ok=True)
    path = self.root / '.lock'
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _held_locks.add(descriptor)
    try:
      try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
          raise
        raise LockedError(
            f'another process works in {self.root}: {_holder(path)}; wait for'
            ' it, stop it, or choose another --run_dir'
        ) from error
      os.ftruncate(descriptor, 0)
      os.pwrite(
          descriptor,
          f'pid {os.getpid()} on host {socket.gethostname()}\n'.encode(),
          0,
      )
      yield
    finally:
      _held_locks.discard(descriptor)
      os.close(descriptor)


def _holder(lock_path: pathlib.Path) -> str:
  return lock_path.read_text(encoding='utf-8').strip() or 'it is just starting'


def _close_locks_in_child() -> None:
  """Makes a lock end with the process that took it.

  A forked child shares the descriptor, and an orphaned worker would otherwise
  keep the lock of its killed parent.
  """
  for descriptor in _held_locks:
    os.close(descriptor)
  _held_locks.clear()


os.register_at_fork(after_in_child=_close_locks_in_child)


def flush_directory(directory: Union[str, os.PathLike]) -> None:
  """Makes a rename in `directory` outlive a power failure."""
  descriptor = os.open(directory, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
