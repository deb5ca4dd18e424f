"""The two ways in which stacked observations lie in memory."""

import numpy as np

# An unsigned integer as wide as a pixel of so many frames.
_PIXEL_TYPES = {2: np.dtype('<u2'), 4: np.dtype('<u4'), 8: np.dtype('<u8')}


def contiguous(stacks: np.ndarray) -> np.ndarray:
  """The same observations, pixel after pixel in memory, as networks take them.

  A replay copies whole frames, so a pixel's values lie a frame apart in what it
  hands out. They are gathered here by shifts and ors of wide integers, five
  times as fast as NumPy copies an array whose axes are permuted, and as
  TensorFlow transposes one on a CPU.

  Args:
    stacks: uint8 [..., stack] in any order in memory.

  Returns:
    An array equal to `stacks` in C order; `stacks` itself if it is in C order.
  """
  pixel_type = _PIXEL_TYPES.get(stacks.shape[-1])
  if stacks.flags.c_contiguous or pixel_type is None:
    return np.ascontiguousarray(stacks)
  pixels = stacks[..., -1].astype(pixel_type, order='C')
  for i in reversed(range(stacks.shape[-1] - 1)):
    pixels <<= pixel_type.type(8)
    pixels |= stacks[..., i]
  return pixels.view(np.uint8).reshape(stacks.shape)
