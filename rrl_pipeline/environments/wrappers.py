"""Stacks an environment's frames into what a network sees."""

from dm_env import specs
import numpy as np

from rrl_pipeline.replay import stacks


class FrameStacker:
  """The last frames of one episode, oldest first, on the last axis.

  Before an episode's first frame there are zeros, as in Dopamine's replay.
  Observations that are not stacked (see `stacks.stacked_shape`) have no such
  axis.
  """

  def __init__(self, frame_spec: specs.Array, stack_size: int):
    shape = (*frame_spec.shape, stack_size)
    self._stack = np.zeros(shape, frame_spec.dtype)
    self._observation = self._stack.reshape(
        stacks.stacked_shape(frame_spec.shape, stack_size)
    )

  def reset(self, frame: np.ndarray) -> np.ndarray:
    self._stack[...] = 0
    return self.push(frame)

  def push(self, frame: np.ndarray) -> np.ndarray:
    """Adds a frame; returns the observation, overwritten next time."""
    self._stack[..., :-1] = self._stack[..., 1:]
    self._stack[..., -1] = frame
    return self._observation
