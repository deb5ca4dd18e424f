"""Stacks an environment's frames into what a network sees."""

import numpy as np


class FrameStacker:
  """The last frames of one episode, oldest first, on the last axis.

  Before an episode's first frame there are zeros, as in Dopamine's replay.
  """

  def __init__(self, frame_shape: tuple[int, ...], stack_size: int):
    self._stack = np.zeros((*frame_shape, stack_size), np.uint8)

  def reset(self, frame: np.ndarray) -> np.ndarray:
    self._stack[...] = 0
    return self.push(frame)

  def push(self, frame: np.ndarray) -> np.ndarray:
    """Adds a frame; returns the stack [..., stack_size], overwritten next time."""
    self._stack[..., :-1] = self._stack[..., 1:]
    self._stack[..., -1] = frame
    return self._stack
