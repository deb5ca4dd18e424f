"""Turns the frames of a logged episode into what is stored, block by block.

One block of frames is in memory at a time; of the whole episode only what is
stored, once: as PNG a thirtieth of its size.
"""

import hashlib
from typing import Iterable, Protocol

import google_crc32c
import numpy as np

from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example


class FrameEncoder(Protocol):
  """Makes frames of one shape what is stored.

  Attributes:
    blank: a frame of zeros as it is stored.
  """

  blank: bytes

  def make_list(self) -> list[bytes] | tf_example.RawValues:
    """An empty list for what is stored of the frames of an episode."""

  def encode_block(self, block: np.ndarray) -> Iterable[bytes]:
    """What is stored of each frame of a block, uint8 [N, height, width]."""


class RawEncoder:
  """Stores frames as they are, line by line.

  Attributes:
    blank: the bytes of a frame of zeros.
  """

  def __init__(self, shape: tuple[int, int]):
    self.blank = bytes(shape[0] * shape[1])

  def make_list(self) -> tf_example.RawValues:
    """An empty list of raw frames."""
    return tf_example.RawValues(len(self.blank))

  def encode_block(self, block: np.ndarray) -> list[bytes]:
    """The bytes of each frame of a block, uint8 [N, height, width]."""
    return [frame.tobytes() for frame in block]


def make_encoder(
    encoding: str, shape: tuple[int, int], compressor: str
) -> FrameEncoder:
  """The encoder of frames of a shape.

  Args:
    encoding: one of `schema.ENCODINGS`.
    shape: height and width.
    compressor: of PNG; see `png.PngEncoder`.

  Raises:
    ValueError: if the encoding or the compressor is not known.
  """
  schema.check_encoding(encoding)
  if encoding == schema.RAW:
    return RawEncoder(shape)
  return png.PngEncoder(shape, compressor)


def encode(
    stream: reader.EpisodeStream, encoder: FrameEncoder
) -> schema.EncodedEpisode:
  """Takes the frames of an episode from its log.

  Args:
    stream: an episode of frames [height, width], uint8.
    encoder: for frames of that shape.

  Raises:
    reader.LogError: if the log is damaged.
  """
  frames = encoder.make_list()
  checksums = []
  is_blank = []
  for block in stream.frames:
    frames.extend(encoder.encode_block(block))
    checksums.append(_checksums(block))
    is_blank.append(_is_blank(block, checksums[-1]))
  checksums = np.concatenate(checksums)
  # Hashing frames with SHA-256 would cost half as much as encoding them.
  digest = hashlib.sha256(checksums.astype('<u4').tobytes())
  digest.update(stream.actions.astype('<i8').tobytes())
  digest.update(stream.rewards.astype('<f4').tobytes())
  return schema.EncodedEpisode(
      span=stream.span,
      frames=frames,
      actions=stream.actions,
      rewards=stream.rewards,
      checksums=checksums,
      is_blank=np.concatenate(is_blank),
      content_sha256=digest.hexdigest(),
  )


def _checksums(block: np.ndarray) -> np.ndarray:
  """[N] uint32: the CRC-32C of each frame."""
  data = np.ascontiguousarray(block).view()
  data.flags.writeable = False  # The package takes only what cannot change.
  return np.fromiter(
      (google_crc32c.value(frame) for frame in data), np.uint32, len(data)
  )


def _is_blank(block: np.ndarray, checksums: np.ndarray) -> np.ndarray:
  """[N] bool: whether a frame is all zero; looks only at likely ones."""
  size = block[0].size
  found = checksums == google_crc32c.value(bytes(size))
  for i in np.flatnonzero(found):
    found[i] = not block[i].any()
  return found
