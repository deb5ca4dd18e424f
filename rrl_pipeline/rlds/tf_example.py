"""Serialises records as tf.train.Example, without TensorFlow.

The result is, as a message, what TFDS's own `ExampleSerializer` makes of the
same record, but goes past its per-step Python code, which costs as much as
encoding the frames. Lists of bytes, the frames, are put together by hand: in a
message object they would be in memory twice more.

The format (`tensorflow/core/example/{example,feature}.proto`): an Example holds
Features, these a map from names to values, of which each entry is a message of
name and value. Protocol buffers write a message within another as its field's
tag, its length and its contents.
"""

import io
from typing import Any, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from tensorflow_datasets.proto import tf_example_generated_pb2 as example_pb2
from tensorflow_datasets.proto import tf_feature_generated_pb2 as feature_pb2

# Fields 1 and 2 of a message, each with a length.
_FIRST = b'\x0a'
_SECOND = b'\x12'


class RawValues(Sequence[bytes]):
  """A list of bytes of one size, which becomes a record without a copy.

  The values are kept as Protocol buffers write them. Of an episode of raw
  frames, the largest there is, a list and the record made of it would be twice
  as much in memory.
  """

  def __init__(self, size: int):
    """Makes an empty list of values of `size` bytes."""
    self._size = size
    self._head = _FIRST + _varint(size)
    self._buffer = io.BytesIO()

  def __len__(self) -> int:
    return self.num_bytes // (len(self._head) + self._size)

  def __getitem__(self, index: int) -> bytes:
    position = range(len(self))[index] * (len(self._head) + self._size)
    start = position + len(self._head)
    return bytes(self._buffer.getbuffer()[start : start + self._size])

  @property
  def num_bytes(self) -> int:
    """Of the values as they are kept."""
    return self._buffer.getbuffer().nbytes

  def append(self, value: bytes) -> None:
    if len(value) != self._size:
      raise ValueError(
          f'a value has {len(value)} bytes; expected {self._size}'
      )
    self._buffer.write(self._head)
    self._buffer.write(value)

  def extend(self, values: Iterable[bytes]) -> None:
    for value in values:
      self.append(value)

  def enclose(self, before: bytes, after: bytes) -> bytes:
    """What is kept, between two others; the list is empty afterwards."""
    buffer, self._buffer = self._buffer, io.BytesIO()
    size = buffer.getbuffer().nbytes
    buffer.write(before)  # Makes room, for now at the end.
    buffer.write(after)
    with buffer.getbuffer() as view:
      end = len(before) + size
      view[len(before) : end] = view[:size]
      view[: len(before)] = before
      view[end:] = after
    return buffer.getvalue()  # The buffer itself.


def serialize(record: Mapping[str, Any]) -> bytes:
  """Serialises a record.

  Args:
    record: fields by name; a nested mapping is a group of fields. A value is a
      string, a list of bytes, or a number or array of numbers. One list may be
      `RawValues`; it is empty afterwards.

  Returns:
    The same bytes for the same record.

  Raises:
    TypeError: if a value is of another type.
  """
  features = feature_pb2.Features()
  parts = []
  raw_values = None
  # Maps have no order of their own; here and below, their keys are sorted.
  for name, value in sorted(_fields(record, ''), key=lambda field: field[0]):
    if isinstance(value, RawValues):
      parts.append(features.SerializeToString(deterministic=True))
      parts.append(_entry_head(name, value.num_bytes))
      features = feature_pb2.Features()
      raw_values, num_before = value, len(parts)
    elif isinstance(value, list) and all(isinstance(v, bytes) for v in value):
      parts.append(features.SerializeToString(deterministic=True))
      parts += _bytes_entry(name, value)
      features = feature_pb2.Features()
    else:
      _set(features.feature[name], name, value)
  parts.append(features.SerializeToString(deterministic=True))
  size = sum(map(len, parts))
  if raw_values is None:
    return b''.join((_FIRST, _varint(size), *parts))
  size += raw_values.num_bytes
  return raw_values.enclose(
      b''.join((_FIRST, _varint(size), *parts[:num_before])),
      b''.join(parts[num_before:]),
  )


def _fields(
    record: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Any]]:
  for name, value in record.items():
    if isinstance(value, Mapping):
      yield from _fields(value, f'{prefix}{name}/')
    else:
      yield f'{prefix}{name}', value


def _varint(number: int) -> bytes:
  """A length, seven bits in a byte, the lowest first."""
  found = bytearray()
  while number > 0x7F:
    found.append(number & 0x7F | 0x80)
    number >>= 7
  found.append(number)
  return bytes(found)


def _bytes_entry(name: str, values: Sequence[bytes]) -> list[bytes]:
  """Pieces of the entry of a list of bytes."""
  heads = {n: _FIRST + _varint(n) for n in set(map(len, values))}
  pieces = [piece for v in values for piece in (heads[len(v)], v)]
  length = sum(map(len, values)) + sum(len(heads[len(v)]) for v in values)
  return [_entry_head(name, length), *pieces]


def _entry_head(name: str, length: int) -> bytes:
  """What comes before the values of a list of bytes, `length` bytes in all."""
  key = name.encode()
  # The list is the first field of the value, which is the second of the entry.
  opening = _FIRST + _varint(length)
  opening = _SECOND + _varint(len(opening) + length) + opening
  opening = _FIRST + _varint(len(key)) + key + opening
  return _FIRST + _varint(len(opening) + length) + opening


def _set(feature: feature_pb2.Feature, name: str, value: Any) -> None:
  if isinstance(value, str):
    feature.bytes_list.value.append(value.encode())
    return
  array = np.asarray(value)
  if array.dtype.kind in 'iub':
    feature.int64_list.value.extend(array.astype(np.int64).ravel().tolist())
  elif array.dtype.kind == 'f':
    feature.float_list.value.extend(array.ravel().tolist())
  else:
    raise TypeError(f'{name} is {array.dtype}, which is no feature')


def parse(
    serialized: bytes, without: Collection[str] = ()
) -> example_pb2.Example:
  """The example that was serialised.

  Args:
    serialized: the example.
    without: names of features to leave out; no copy of them is made.
  """
  if not without:
    return example_pb2.Example.FromString(serialized)
  names = {name.encode() for name in without}
  kept = feature_pb2.Features()
  for features in _contents(memoryview(serialized)):
    for entry in _contents(features):
      if bytes(next(_contents(entry))) not in names:
        kept.MergeFromString(_FIRST + _varint(len(entry)) + bytes(entry))
  return example_pb2.Example(features=kept)


def _contents(message: memoryview) -> Iterator[memoryview]:
  """The contents of a message's fields, all of which have a length."""
  position = 0
  while position < len(message):
    position += 1  # The tag.
    length = shift = 0
    while True:
      byte = message[position]
      position += 1
      length |= (byte & 0x7F) << shift
      shift += 7
      if byte < 0x80:
        break
    yield message[position : position + length]
    position += length
