"""Decoded rows of a dataset in files that several runs read at once.

    <directory>/frames-<key>/frames.npy    [N, ...], mapped by its readers
    <directory>/frames-<key>/columns.npz   the other columns of the rows

The folder appears under its name only when it is complete. Whoever comes first
writes it, and holds a lock meanwhile; others wait for it and then read. It is
never changed afterwards, so readers need no lock, and the operating system
keeps each page in memory once, for however many processes.
"""

import fcntl
import math
import os
import pathlib
import shutil
from typing import Callable, Iterable

import numpy as np

from rrl_pipeline.replay import frame_store

_FRAMES = 'frames.npy'
_COLUMNS = 'columns.npz'
_KEY_DIGITS = 16


def folder(directory: str | os.PathLike, key: str) -> pathlib.Path:
  """Where the rows with this key are, or will be."""
  return pathlib.Path(directory) / f'frames-{key[:_KEY_DIGITS]}'


def open_rows(
    directory: str | os.PathLike,
    key: str,
    num_rows: int,
    frame_shape: tuple[int, ...],
    frame_dtype: np.dtype,
    decode: Callable[[], Iterable[frame_store.Rows]],
) -> frame_store.Rows:
  """All rows of a dataset, decoded at most once for all who share a directory.

  Args:
    directory: of the files; made if need be.
    key: hexadecimal digits that tell these rows from any others.
    num_rows: N.
    frame_shape: of one observation.
    frame_dtype: of one observation.
    decode: gives the rows, in order and N in all; called if they are not there.

  Returns:
    The rows; the observations are a read-only map of the file, the other
    columns are in memory.

  Raises:
    ValueError: if the directory cannot be written, or its disk is too small.
  """
  path = folder(directory, key)
  if not path.exists():
    _write(path, num_rows, (frame_shape, np.dtype(frame_dtype)), decode)
  frames = np.load(path / _FRAMES, mmap_mode='r', allow_pickle=False)
  with np.load(path / _COLUMNS, allow_pickle=False) as columns:
    return frame_store.Rows(observation=frames, **columns)


def _write(path, num_rows, frame, decode) -> None:
  """Writes the folder, unless another process did meanwhile."""
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = open(path.with_suffix('.lock'), 'wb')
  except OSError as error:
    raise ValueError(
        f'Decoded frames cannot be written to {path.parent}'
        f' ({error.strerror}). Give another directory with --set'
        ' offline.cache_dir=DIR.'
    ) from error
  with lock:
    # Dropped by the kernel when the process ends, however it ends.
    fcntl.flock(lock, fcntl.LOCK_EX)
    if path.exists():
      return
    temporary = path.with_suffix('.incomplete')
    # Of a process that was killed; whoever holds the lock may remove it.
    shutil.rmtree(temporary, ignore_errors=True)
    shape, dtype = frame
    _check_space(path.parent, num_rows * math.prod(shape) * dtype.itemsize)
    temporary.mkdir()
    try:
      _fill(temporary, num_rows, frame, decode)
      os.rename(temporary, path)
    except BaseException:
      shutil.rmtree(temporary, ignore_errors=True)
      raise


def _check_space(directory: pathlib.Path, needed: int) -> None:
  free = shutil.disk_usage(directory).free
  if needed > free:
    raise ValueError(
        f'The decoded frames take {needed / 1e9:.1f} GB, but {directory} has'
        f' {free / 1e9:.1f} GB left. Give another directory with --set'
        ' offline.cache_dir=DIR, or sample through a pool in memory with --set'
        ' offline.max_disk_gib=0.'
    )


def _fill(directory, num_rows, frame, decode) -> None:
  shape, dtype = frame
  frames = np.lib.format.open_memmap(
      directory / _FRAMES,
      mode='w+',
      dtype=dtype,
      shape=(num_rows, *shape),
  )
  columns = []
  start = 0
  for rows in decode():
    stop = start + len(rows.action)
    frames[start:stop] = rows.observation
    columns.append(rows._replace(observation=None))
    start = stop
  if start != num_rows:
    raise ValueError(f'Decoded {start} rows instead of {num_rows}.')
  frames.flush()
  with open(directory / _COLUMNS, 'wb') as file:
    np.savez(
        file,
        **{
            name: np.concatenate([getattr(rows, name) for rows in columns])
            for name in frame_store.Rows._fields
            if name != 'observation'
        },
    )
    file.flush()
    os.fsync(file.fileno())
