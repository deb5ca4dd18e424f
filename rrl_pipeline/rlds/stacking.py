"""Stacked observations of an episode of single frames, block by block."""

from typing import Iterator

import numpy as np


def stacks(
    frames: Iterator[np.ndarray], stack_size: int
) -> Iterator[np.ndarray]:
  """The stacks that end in each frame, as a learner's frame store forms them.

  Before the first frame there are zeros, which is what an agent sees at the
  true start of an episode.

  Args:
    frames: blocks [N, H, W] of consecutive frames of one episode.
    stack_size: frames in a stack, the newest last.

  Yields:
    For each block a view [N, H, W, stack].
  """
  before = None
  for block in frames:
    if before is None:
      before = np.zeros((stack_size - 1, *block.shape[1:]), block.dtype)
    joined = np.concatenate([before, block])
    yield np.lib.stride_tricks.sliding_window_view(joined, stack_size, axis=0)
    before = joined[len(block) :]
