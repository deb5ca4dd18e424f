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

from typing import Any, Collection, Iterator, Mapping, Sequence

import numpy as np
from tensorflow_datasets.proto import tf_example_generated_pb2 as example_pb2
from tensorflow_datasets.proto import tf_feature_generated_pb2 as feature_pb2

# Fields 1 and 2 of a message, each with a length.
_FIRST = b'\x0a'
_SECOND = b'\x12'


def serialize(record: Mapping[str, Any]) -> bytes:
  """Serialises a record.

  Args:
    record: fields by name; a nested mapping is a group of fields. A value is a
      string, a list of bytes, or a number or array of numbers.

  Returns:
    The same bytes for the same record.

  Raises:
    TypeError: if a value is of another type.
  """
  features = feature_pb2.Features()
  parts = []
  # Maps have no order of their own; here and below, their keys are sorted.
  for name, value in sorted(_fields(record, '')):
    if isinstance(value, list) and all(isinstance(v, bytes) for v in value):
      parts.append(features.SerializeToString(deterministic=True))
      parts += _bytes_entry(name, value)
      features = feature_pb2.Features()
    else:
      _set(features.feature[name], name, value)
  parts.append(features.SerializeToString(deterministic=True))
  return b''.join((_FIRST, _varint(sum(map(len, parts))), *parts))


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
  key = name.encode()
  # The list is the first field of the value, which is the second of the entry.
  opening = _FIRST + _varint(length)
  opening = _SECOND + _varint(len(opening) + length) + opening
  opening = _FIRST + _varint(len(key)) + key + opening
  return [_FIRST + _varint(len(opening) + length) + opening, *pieces]


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
