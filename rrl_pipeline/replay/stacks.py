"""Stacked observations: their shape, and how they lie in memory."""

import numpy as np

# An unsigned integer as wide as a pixel of so many frames.
_PIXEL_TYPES = {2: np.dtype('<u2'), 4: np.dtype('<u4'), 8: np.dtype('<u8')}


def is_image(shape: tuple[int, ...]) -> bool:
  """Whether frames of this shape are grey images [H, W], which are stacked.

  Of other observations an agent sees one at a time, unless it asks for more.
  """
  return len(shape) == 2


def stacked_shape(
    frame_shape: tuple[int, ...], stack_size: int
) -> tuple[int, ...]:
  """The shape of an observation of an agent.

  Frames are stacked on a new last axis: images [H, W] become [H, W, stack], as
  convolutions take them, also where the stack is of one. A single observation
  of any other rank is what an agent sees, as it is.
  """
  if stack_size == 1 and not is_image(frame_shape):
    return tuple(frame_shape)
  return (*frame_shape, stack_size)


def stack(frames: np.ndarray) -> np.ndarray:
  """A view [B, …] of frames [B, stack, …], shaped as `stacked_shape` says."""
  if frames.shape[1] == 1 and not is_image(frames.shape[2:]):
    return frames[:, 0]
  return np.moveaxis(frames, 1, -1)


def contiguous(stacks: np.ndarray) -> np.ndarray:
  """The same observations, pixel after pixel in memory, as networks take them.

  A replay copies whole frames, so a pixel's values lie a frame apart in what it
  hands out. They are gathered here by shifts and ors of wide integers, five
  times as fast as NumPy copies an array whose axes are permuted, and as
  TensorFlow transposes one on a CPU.

  Args:
    stacks: [..., stack] in any order in memory.

  Returns:
    An array equal to `stacks` in C order; `stacks` itself if it is in C order.
  """
  if stacks.flags.c_contiguous or stacks.dtype != np.uint8:
    return np.ascontiguousarray(stacks)
  pixel_type = _PIXEL_TYPES.get(stacks.shape[-1])
  if pixel_type is None:
    return np.ascontiguousarray(stacks)
  pixels = stacks[..., -1].astype(pixel_type, order='C')
  for i in reversed(range(stacks.shape[-1] - 1)):
    pixels <<= pixel_type.type(8)
    pixels |= stacks[..., i]
  return pixels.view(np.uint8).reshape(stacks.shape)
