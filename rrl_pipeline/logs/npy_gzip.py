"""Reads gzip'd .npy arrays: whole when small, as a stream of rows when not.

Python's gzip checks the checksum of a file only when it is read to its end, and
`np.load` stops before that: a damaged file would pass. Everything here reads to
the end. The trailer of a file also gives its length, so a file that was cut is
found before it is read.
"""

import contextlib
import gzip
import io
import math
import os
import struct
from typing import Iterator
import zlib

import numpy as np

from rrl_pipeline.logs import reader

try:
  from isal import igzip  # Seven times as fast as the standard library.
  from isal import isal_zlib

  _open = igzip.open
  _DECOMPRESSION_ERRORS = (zlib.error, isal_zlib.error)
except ImportError:
  _open = gzip.open
  _DECOMPRESSION_ERRORS = (zlib.error,)

_TRAILER = struct.Struct('<II')  # CRC-32 and length modulo 2^32 (RFC 1952).


@contextlib.contextmanager
def named_errors(path: str) -> Iterator[None]:
  """Turns what a damaged file raises into an error that names the file."""
  try:
    yield
  except FileNotFoundError as error:
    raise reader.LogError(f'{path} does not exist') from error
  except (EOFError, gzip.BadGzipFile, *_DECOMPRESSION_ERRORS) as error:
    raise reader.LogError(
        f'{path} is not a complete gzip file ({error}); copy it again from '
        'where it was written, or leave its checkpoint out with --checkpoints'
    ) from error


def source_file(path: str) -> reader.SourceFile:
  """What identifies the file's contents, without reading them."""
  _, crc32 = _trailer(path)
  return reader.SourceFile(os.path.basename(path), os.path.getsize(path), crc32)


def _trailer(path: str) -> tuple[int, int]:
  """The decompressed length modulo 2^32 and the CRC-32 a file claims."""
  with named_errors(path), open(path, 'rb') as file:
    file.seek(0, io.SEEK_END)
    if file.tell() < _TRAILER.size:
      raise EOFError(f'it has only {file.tell()} bytes')
    file.seek(-_TRAILER.size, io.SEEK_END)
    crc32, length = _TRAILER.unpack(file.read(_TRAILER.size))
  return length, crc32


def _read_header(file, path: str) -> tuple[tuple[int, ...], np.dtype]:
  """Reads the .npy header; returns the array's shape and dtype."""
  try:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran_order, dtype = read(file)
  except (ValueError, KeyError) as error:
    raise reader.LogError(
        f'{path} does not hold a NumPy array ({error})'
    ) from error
  if fortran_order and len(shape) > 1 or dtype.hasobject:
    raise reader.LogError(
        f'{path} holds a {dtype} array in '
        f'{"Fortran" if fortran_order else "C"} order; expected numbers in C '
        'order'
    )
  return shape, dtype


def read_bytes(path: str) -> bytes:
  """The decompressed contents of a small file, checksum checked."""
  _trailer(path)  # An empty file would pass for an empty archive.
  with named_errors(path), _open(path, 'rb') as file:
    return file.read()


def read_array(path: str) -> np.ndarray:
  """Loads an array whole, checksum checked."""
  contents = io.BytesIO(read_bytes(path))
  shape, dtype = _read_header(contents, path)
  data = contents.read()
  expected = math.prod(shape) * dtype.itemsize
  if len(data) != expected:
    raise reader.LogError(
        f'{path} holds {len(data)} bytes of data; its header says {expected}'
    )
  return np.frombuffer(data, dtype).reshape(shape)


class RowStream:
  """Reads an array's rows once, from the first to the last.

  Attributes:
    shape: of the whole array.
    dtype: of the array.
    position: the row that comes next.
  """

  def __init__(self, path: str):
    """Opens the file and reads its header.

    Raises:
      reader.LogError: if the file is missing, is no gzip'd array, or is shorter
        or longer than its header says.
    """
    self._path = path
    length, _ = _trailer(path)
    with named_errors(path):
      self._file = _open(path, 'rb')
      self.shape, self.dtype = _read_header(self._file, path)
    if not self.shape:
      self.close()
      raise reader.LogError(f'{path} holds a single number, not an array')
    self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
    expected = self._file.tell() + self.shape[0] * self._row_bytes
    if expected % 2**32 != length:
      self.close()
      raise reader.LogError(
          f'{path} was cut or damaged: its array {self.shape} takes '
          f'{expected} bytes, but the file ends with a length of {length} '
          'modulo 2^32; copy it again from where it was written, or leave its '
          'checkpoint out with --checkpoints'
      )
    self.position = 0

  def close(self) -> None:
    self._file.close()

  def read(self, count: int) -> np.ndarray:
    """The next `count` rows, as a new array [count, ...]."""
    rows = np.empty((count, *self.shape[1:]), self.dtype)
    self.read_into(rows)
    return rows

  def read_into(self, rows: np.ndarray) -> None:
    """Fills `rows`, C-contiguous and of the file's dtype, with what follows."""
    self._fill(memoryview(rows).cast('B'))
    self.position += len(rows)

  def skip(self, count: int) -> None:
    """Passes over the next `count` rows."""
    scratch = memoryview(bytearray(min(count * self._row_bytes, 1 << 20)))
    remaining = count * self._row_bytes
    while remaining:
      self._fill(scratch[:remaining])
      remaining -= min(remaining, len(scratch))
    self.position += count

  def finish(self) -> None:
    """Reads to the end, which checks the checksum, and closes the file."""
    self.skip(self.shape[0] - self.position)
    surplus = 0
    with named_errors(self._path):
      while data := self._file.read(1 << 20):
        surplus += len(data)
    self.close()
    if surplus:
      raise reader.LogError(
          f'{self._path} holds {surplus} bytes more than its array {self.shape}'
      )

  def _fill(self, buffer: memoryview) -> None:
    filled = 0
    with named_errors(self._path):
      while filled < len(buffer):
        count = self._file.readinto(buffer[filled:])
        if not count:
          raise EOFError(f'it ends in row {self.position}')
        filled += count
