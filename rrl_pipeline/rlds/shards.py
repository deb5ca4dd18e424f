"""Reads any record of a TFDS shard by its number, without TensorFlow.

An `array_record` file has an index of its own. A `tfrecord` file has none, but
every record is preceded by its length, so one pass over these finds them all.
"""

import contextlib
import os
import struct
from typing import Protocol

import google_crc32c
import numpy as np

# A record: its length, a checksum of that, the data, a checksum of the data;
# see tfrecord.py.
_HEAD = struct.Struct('<QI')
_CRC = struct.Struct('<I')
_MASK_DELTA = 0xA282EAD8


class DamagedShardError(ValueError):
  """A shard that is not what was written."""


class Shard(Protocol):
  """A file of records."""

  def __len__(self) -> int:
    """The number of records."""

  def read(self, number: int) -> bytes:
    """A record.

    Raises:
      DamagedShardError: if its checksum does not fit.
    """


def open_shard(path: str | os.PathLike, file_format: str) -> Shard:
  """Opens a shard of format 'tfrecord' or 'array_record'.

  Raises:
    DamagedShardError: if it is missing, cut, or no such file.
    ValueError: if the format is another.
  """
  if file_format == 'tfrecord':
    return _TFRecordShard(path)
  if file_format == 'array_record':
    return _ArrayRecordShard(path)
  raise ValueError(
      f'{path} has the format {file_format!r}; expected tfrecord or'
      ' array_record. `tfds convert_format` converts others.'
  )


def _check(data: bytes, checksum: bytes, where: str) -> None:
  crc = google_crc32c.value(data)
  masked = ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
  if _CRC.unpack(checksum)[0] != masked:
    raise DamagedShardError(f'{where} has a wrong checksum')


class _TFRecordShard:
  """Knows where each record begins; opens the file when it reads."""

  def __init__(self, path: str | os.PathLike):
    self._path = os.fspath(path)
    starts, sizes = [], []
    try:
      with open(self._path, 'rb') as file:
        end = file.seek(0, os.SEEK_END)
        position = 0
        while position < end:
          file.seek(position)
          head = file.read(_HEAD.size)
          if len(head) < _HEAD.size:
            raise DamagedShardError(f'{path} was cut')
          _check(head[:8], head[8:], f'the length of a record in {path}')
          size, _ = _HEAD.unpack(head)
          starts.append(position + _HEAD.size)
          sizes.append(size)
          position += _HEAD.size + size + _CRC.size
    except OSError as error:
      raise DamagedShardError(f'{path}: {error.strerror}') from error
    if position != end:
      raise DamagedShardError(f'{path} was cut')
    self._starts = np.array(starts, np.int64)
    self._sizes = np.array(sizes, np.int64)

  def __len__(self) -> int:
    return len(self._starts)

  def read(self, number: int) -> bytes:
    size = int(self._sizes[number])
    with open(self._path, 'rb') as file:
      file.seek(self._starts[number])
      data = file.read(size + _CRC.size)
    if len(data) < size + _CRC.size:
      raise DamagedShardError(f'{self._path} was cut')
    _check(data[:size], data[size:], f'record {number} of {self._path}')
    return data[:size]


class _ArrayRecordShard:
  """Gives the errors of the package, which are of several kinds, one kind."""

  # By default a reader reads ahead, with 16 MB of memory for each core.
  _OPTIONS = 'readahead_buffer_size:0,max_parallelism:0'

  def __init__(self, path: str | os.PathLike):
    # Only who reads this format needs its package.
    # pylint: disable-next=g-import-not-at-top
    from array_record.python import array_record_module

    self._path = os.fspath(path)
    # The package takes a missing file for an empty one.
    if not os.path.exists(self._path):
      raise DamagedShardError(f'{path}: No such file')
    with self._errors():
      self._reader = array_record_module.ArrayRecordReader(
          self._path, self._OPTIONS
      )
      if not self._reader.ok():
        self._reader.read()  # Raises what is wrong.

  @contextlib.contextmanager
  def _errors(self):
    try:
      yield
    except (RuntimeError, IndexError) as error:
      raise DamagedShardError(f'{self._path}: {error}') from error

  def __len__(self) -> int:
    return self._reader.num_records()

  def read(self, number: int) -> bytes:
    with self._errors():
      return self._reader.read([number])[0]
