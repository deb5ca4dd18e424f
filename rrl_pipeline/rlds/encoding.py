"""Turns the observations of an episode into what is stored, block by block.

One block of them is in memory at a time; of the whole episode only what is
stored, once: as PNG a thirtieth of the size of its frames.
"""

import hashlib
from typing import Iterable, Optional, Protocol
import zlib

import google_crc32c
import numpy as np

from rrl_pipeline.logs import bounds as bounds_lib
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example


class ObservationEncoder(Protocol):
  """Makes observations of one shape what is stored.

  Attributes:
    blank: an observation of zeros as it is stored.
  """

  blank: bytes

  def make_list(self) -> list[bytes] | tf_example.RawValues:
    """An empty list for what is stored of the observations of an episode."""

  def encode_block(self, block: np.ndarray) -> Iterable[bytes]:
    """What is stored of each observation of a block [N, ...]."""


class RawEncoder:
  """Stores observations as they are, in C order.

  Attributes:
    blank: the bytes of an observation of zeros.
  """

  def __init__(self, num_bytes: int):
    """Makes an encoder of observations of that size."""
    self.blank = bytes(num_bytes)

  def make_list(self) -> tf_example.RawValues:
    """An empty list of raw observations."""
    return tf_example.RawValues(len(self.blank))

  def encode_block(self, block: np.ndarray) -> list[bytes]:
    """The bytes of each observation of a block [N, ...]."""
    return [observation.tobytes() for observation in block]


class ZlibEncoder:
  """Stores each observation compressed, as TFDS itself does.

  Attributes:
    blank: an observation of zeros, compressed.
  """

  def __init__(self, num_bytes: int):
    """Makes an encoder of observations of that size."""
    self.blank = zlib.compress(bytes(num_bytes))

  def make_list(self) -> list[bytes]:
    """An empty list of compressed observations."""
    return []

  def encode_block(self, block: np.ndarray) -> list[bytes]:
    """The compressed bytes of each observation of a block [N, ...]."""
    return [zlib.compress(observation.tobytes()) for observation in block]


def make_encoder(
    observation: observations.ObservationFormat, compressor: Optional[str]
) -> ObservationEncoder:
  """The encoder of observations of a format.

  Args:
    observation: the format.
    compressor: of PNG; see `png.PngEncoder`. None if nothing becomes PNG.

  Raises:
    ValueError: if the compressor is not known.
  """
  if observation.encoding == schema.RAW:
    return RawEncoder(observation.num_bytes)
  if observation.encoding == schema.ZLIB:
    return ZlibEncoder(observation.num_bytes)
  return png.PngEncoder(observation.shape, compressor)


def encode(
    stream: reader.EpisodeStream,
    encoder: ObservationEncoder,
    bounds: Optional[bounds_lib.Bounds] = None,
    with_metadata: bool = False,
) -> schema.EncodedEpisode:
  """Takes the observations of an episode from its log.

  Args:
    stream: an episode.
    encoder: for observations of its shape and dtype.
    bounds: what range the environment declares for them, if it does.
    with_metadata: whether the dataset holds the metadata of episodes.

  Raises:
    reader.LogError: if the log is damaged.
  """
  frames = encoder.make_list()
  checksums = []
  is_blank = []
  is_finite = []
  is_outside = []
  for block in stream.frames:
    frames.extend(encoder.encode_block(block))
    checksums.append(_checksums(block))
    is_blank.append(_is_blank(block, checksums[-1]))
    if block.dtype.kind == 'f':
      axes = tuple(range(1, block.ndim))
      is_finite.append(np.isfinite(block).all(axis=axes))
    if bounds is not None:
      is_outside.append(bounds.are_left_by(block))
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
      is_finite=np.concatenate(is_finite) if is_finite else None,
      is_outside=np.concatenate(is_outside) if is_outside else None,
      metadata=dict(stream.metadata) if with_metadata else None,
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
