"""Where a store keeps its frames: as they are, or compressed one by one."""

import math
from typing import Protocol

from cramjam import lz4
import numpy as np


class Frames(Protocol):
  """A number of slots, each with a frame or nothing in it yet.

  Attributes:
    num_bytes: that the frames take.
  """

  num_bytes: int

  def put(self, slots: np.ndarray, frames: np.ndarray) -> None:
    """Puts frames [N, ...] into slots [N]."""

  def take(self, slots: np.ndarray, is_wanted: np.ndarray) -> np.ndarray:
    """Copies of the frames in slots, zeros where none is wanted.

    Args:
      slots: int64, of any shape.
      is_wanted: bool, of the same shape.

    Returns:
      An array in C order whose first axes are those of `slots`.
    """


class PlainFrames:
  """Frames as they are, in one array."""

  def __init__(self, frames: np.ndarray):
    """Keeps this very array, which may be a read-only mapped file."""
    self._frames = frames

  @property
  def num_bytes(self) -> int:
    return self._frames.nbytes

  def put(self, slots: np.ndarray, frames: np.ndarray) -> None:
    self._frames[slots] = frames

  def take(self, slots: np.ndarray, is_wanted: np.ndarray) -> np.ndarray:
    # `take` copies frame by frame; indexing with brackets is slower, and more
    # so for a memory-mapped array.
    taken = np.asarray(self._frames).take(slots, axis=0, mode='clip')
    if not is_wanted.all():
      taken[~is_wanted] = 0
    return taken


class CompressedFrames:
  """Frames compressed by LZ4, each on its own and without loss.

  Of the 7,056 bytes of an Atari frame 300 are left in Pong, 1,000 in Riverraid.
  It is decompressed in about a microsecond, little longer than it takes to be
  copied. Stronger methods make half as much of it, but take ten times as long.
  """

  def __init__(
      self, num_slots: int, shape: tuple[int, ...], dtype: np.dtype
  ):
    self._shape = tuple(shape)
    self._dtype = np.dtype(dtype)
    self._frame_bytes = self._dtype.itemsize * math.prod(shape)
    self._blocks = np.empty(num_slots, object)

  @property
  def num_bytes(self) -> int:
    return sum(len(block) for block in self._blocks if block is not None)

  def put(self, slots: np.ndarray, frames: np.ndarray) -> None:
    pixels = np.ascontiguousarray(frames, self._dtype)
    for slot, frame in zip(slots.tolist(), self._bytes(pixels)):
      self._blocks[slot] = bytes(lz4.compress_block(frame, store_size=False))

  def take(self, slots: np.ndarray, is_wanted: np.ndarray) -> np.ndarray:
    taken = np.empty((*slots.shape, *self._shape), self._dtype)
    frames = self._bytes(taken)
    wanted = np.flatnonzero(is_wanted)
    if len(wanted) < slots.size:
      taken[~is_wanted] = 0
    for i, block in zip(wanted.tolist(), self._blocks[slots.flat[wanted]]):
      lz4.decompress_block_into(
          block, frames[i], output_len=self._frame_bytes
      )
    return taken

  def _bytes(self, frames: np.ndarray) -> np.ndarray:
    """A view uint8 [N, frame bytes] of frames in C order."""
    return frames.reshape(-1).view(np.uint8).reshape(-1, self._frame_bytes)
