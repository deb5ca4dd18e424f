"""Reads and writes TFRecord files, without TensorFlow.

The format (`tensorflow/core/lib/io/record_writer.h`): for each record its
length as uint64, the masked CRC-32C of that, the data, the masked CRC-32C of
the data; all little-endian.
"""

import struct
from typing import BinaryIO, Iterator

import google_crc32c

_LENGTH = struct.Struct('<Q')
_CRC = struct.Struct('<I')
_MASK_DELTA = 0xA282EAD8


class TFRecordError(ValueError):
  """A TFRecord file that is damaged."""


def _masked_crc(data: bytes) -> int:
  crc = google_crc32c.value(data)
  return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def write(file: BinaryIO, record: bytes) -> None:
  """Appends a record."""
  length = _LENGTH.pack(len(record))
  file.write(length)
  file.write(_CRC.pack(_masked_crc(length)))
  file.write(record)
  file.write(_CRC.pack(_masked_crc(record)))


def read(path: str) -> Iterator[bytes]:
  """The records of a file.

  Raises:
    TFRecordError: if the file was cut or a checksum does not fit.
  """
  with open(path, 'rb') as file:
    while length := file.read(_LENGTH.size):
      try:
        if _CRC.unpack(file.read(_CRC.size))[0] != _masked_crc(length):
          raise TFRecordError(f'{path}: the checksum of a length is wrong')
        (size,) = _LENGTH.unpack(length)
        record = file.read(size)
        if _CRC.unpack(file.read(_CRC.size))[0] != _masked_crc(record):
          raise TFRecordError(f'{path}: the checksum of a record is wrong')
      except struct.error as error:
        raise TFRecordError(f'{path} was cut') from error
      yield record
      del record  # Before the next one is read: it can be large.
