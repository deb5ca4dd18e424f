"""Decodes grey frames from PNG, several times as fast as libpng where it can.

The PNG files that this package writes have no line filters (see png.py), so
what is left of their decoding is to inflate them and to drop each line's filter
byte. Any other image goes to Pillow.
"""

import io
import struct
from typing import Sequence
import zlib

import numpy as np
from PIL import Image

try:
  # ISA-L inflates twice as fast, where it is installed.
  from isal.isal_zlib import decompress as _decompress
  from isal.isal_zlib import error as _InflateError
except ImportError:
  from zlib import decompress as _decompress
  from zlib import error as _InflateError

# Signature and header of an image, and the head of its data.
_HEAD = struct.Struct('>8sI4sIIBBBBBII4s')
_CRC_SIZE = 4
_TAIL = struct.pack('>I4sI', 0, b'IEND', zlib.crc32(b'IEND'))


def decode(images: Sequence[bytes], shape: tuple[int, int]) -> np.ndarray:
  """The frames, uint8 [N, height, width].

  Args:
    images: N grey images, as a rule PNG.
    shape: height and width of each.

  Raises:
    ValueError: if one cannot be decoded or has another shape.
  """
  frames = np.empty((len(images), *shape), np.uint8)
  for i, image in enumerate(images):
    frame = _decode_unfiltered(image, shape)
    frames[i] = _decode_any(image, shape) if frame is None else frame
  return frames


def _decode_unfiltered(
    image: bytes, shape: tuple[int, int]
) -> np.ndarray | None:
  """The frame if the image is a PNG without filters, otherwise None."""
  height, width = shape
  if len(image) < _HEAD.size + _CRC_SIZE + len(_TAIL):
    return None
  (*_, image_width, image_height, depth, color, compression, filtering,
   interlace, _, size, kind) = _HEAD.unpack_from(image)
  if (
      (image_width, image_height) != (width, height)
      # 8 bits, grey, not interlaced, and all data in one chunk.
      or (depth, color, compression, filtering, interlace) != (8, 0, 0, 0, 0)
      or kind != b'IDAT'
      or _HEAD.size + size + _CRC_SIZE + len(_TAIL) != len(image)
      or not image.endswith(_TAIL)
  ):
    return None
  try:
    data = _decompress(image[_HEAD.size : _HEAD.size + size])
  except _InflateError:
    return None  # Pillow says what is wrong.
  if len(data) != height * (1 + width):
    return None
  lines = np.frombuffer(data, np.uint8).reshape(height, 1 + width)
  return None if lines[:, 0].any() else lines[:, 1:]


def _decode_any(image: bytes, shape: tuple[int, int]) -> np.ndarray:
  try:
    with Image.open(io.BytesIO(image)) as opened:
      frame = np.asarray(opened)
  except (OSError, SyntaxError, ValueError) as error:
    raise ValueError(f'a frame cannot be decoded: {error}') from error
  if frame.shape != shape or frame.dtype != np.uint8:
    raise ValueError(
        f'a frame is {frame.dtype} {frame.shape}, expected uint8 {shape}'
    )
  return frame
