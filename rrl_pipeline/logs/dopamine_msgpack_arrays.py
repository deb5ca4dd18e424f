"""Decodes the arrays in the MessagePack files of Dopamine 4.1 and later.

An array is a map of its shape, its bytes and, as text, its dtype
(`dopamine/jax/serialization.py`). A stack of frames is compressed with Snappy
and stored as an array of one record of the compressed bytes, the shape and the
dtype (`dopamine/jax/replay_memory/elements.py`). The text of a dtype is matched
against the few that there can be, never evaluated.
"""

import math
import re
from typing import Any

import cramjam
import numpy as np

_ARRAY_KEYS = {'shape', 'data', 'dtype'}
_PLAIN_DTYPE = re.compile(r"'([<>|=]?[biuf?]\d?)'")
_PACKED_DTYPE = re.compile(
    r"\[\('data', '\|u1', \((?P<data>\d+),\)\), "
    r"\('shape', '<i4', \((?P<axes>\d+),\)\), "
    r"\('dtype', '\|S(?P<dtype>\d+)'\)\]"
)
# Far more than any stack of frames: what claims more is damaged.
_MAX_BYTES = 1 << 26


class DecodingError(Exception):
  """What is wrong with an encoded value, to be said with its place."""


def _parts(value: Any) -> tuple[tuple[int, ...], bytes, str]:
  """Shape, bytes and dtype of an encoded array."""
  if not isinstance(value, dict) or not _ARRAY_KEYS <= set(value):
    raise DecodingError('it is not an array')
  shape, data, dtype = value['shape'], value['data'], value['dtype']
  if (
      not isinstance(shape, list)
      or not all(isinstance(n, int) and n >= 0 for n in shape)
      or not isinstance(data, bytes)
      or not isinstance(dtype, str)
  ):
    raise DecodingError('it is not an array of a known kind')
  return tuple(shape), data, dtype


def _array(shape: tuple[int, ...], data: bytes, dtype: np.dtype) -> np.ndarray:
  expected = math.prod(shape) * dtype.itemsize
  if len(data) != expected:
    raise DecodingError(
        f'it has {len(data)} bytes; expected {expected} for {dtype} {shape}'
    )
  return np.frombuffer(data, dtype).reshape(shape)


def _plain_dtype(text: str) -> np.dtype:
  match = _PLAIN_DTYPE.fullmatch(text)
  try:
    if match:
      return np.dtype(match[1])
  except TypeError:
    pass  # Such as '<i3'.
  raise DecodingError(f'its dtype is {text[:80]!r}')


def number(value: Any) -> Any:
  """A number, whether plain or an array without axes.

  Raises:
    DecodingError: if it is something else.
  """
  if isinstance(value, (bool, int, float)):
    return value
  shape, data, dtype = _parts(value)
  if shape:
    raise DecodingError(f'it has shape {shape}; expected a single number')
  return _array(shape, data, _plain_dtype(dtype)).item()


def stack(value: Any) -> np.ndarray:
  """A stack of frames, [..., stack size].

  Raises:
    DecodingError: if it is none, or is damaged.
  """
  shape, data, dtype = _parts(value)
  packed = _PACKED_DTYPE.fullmatch(dtype)
  if packed:
    frames = _unpack(data, *(int(n) for n in packed.groups()))
  else:
    frames = _array(shape, data, _plain_dtype(dtype))
    if value.get('order') == 'F':
      frames = frames.ravel().reshape(shape, order='F')
  if frames.ndim < 2 or frames.dtype != np.uint8:
    raise DecodingError(
        f'it holds {frames.dtype} {frames.shape}; expected a stack of uint8 '
        'frames'
    )
  return frames


def _unpack(
    data: bytes, data_bytes: int, num_axes: int, dtype_bytes: int
) -> np.ndarray:
  """Decompresses a record of compressed bytes, shape and dtype."""
  shape_end = data_bytes + 4 * num_axes
  if len(data) != shape_end + dtype_bytes:
    raise DecodingError(
        f'it has {len(data)} bytes; expected {shape_end + dtype_bytes}'
    )
  shape = tuple(np.frombuffer(data[data_bytes:shape_end], '<i4').tolist())
  text = data[shape_end:].decode('ascii', 'replace')
  dtype = _plain_dtype(f"'{text}'")
  if min(shape, default=0) < 1 or math.prod(shape) > _MAX_BYTES:
    raise DecodingError(f'its frames have shape {shape}')
  array = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
  try:
    length = cramjam.snappy.decompress_raw_into(data[:data_bytes], array)
  except cramjam.DecompressionError as error:
    raise DecodingError(
        f'it is not compressed with Snappy ({error})'
    ) from error
  if length != array.size:
    raise DecodingError(
        f'it has {length} bytes when decompressed; expected {array.size}'
    )
  return array.view(dtype).reshape(shape)
