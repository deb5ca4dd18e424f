"""A model of the replay buffer of Dopamine 4.1, to test its reader against.

It shares no code with the reader. The elements are made from whole episodes, by
what comes out in the end, not by a sliding window as in Dopamine itself.
"""

import os
from typing import Optional

import cramjam
import msgpack
import numpy as np

from rrl_pipeline import types


class MsgpackLog:
  """A buffer of the newest transitions.

  Attributes:
    elements: all that were ever added.
  """

  def __init__(self, capacity: int, stack_size: int = 4, compress: bool = True):
    self.elements = []
    self._capacity = capacity
    self._stack_size = stack_size
    self._compress = compress

  def add_episode(self, episode: types.Episode) -> None:
    """Adds what Dopamine would add; no end is marked unless it is terminal."""
    last = len(episode.actions) - 1
    terminal = episode.end is types.EpisodeEnd.TERMINAL
    for t in range(last):
      copies = 1
      if terminal and t == last - 1:
        copies = min(self._stack_size, last)
      for blackened in range(copies):
        state = self._stack(episode.observations, t)
        next_state = self._stack(episode.observations, t + 1)
        if blackened:
          held = min(self._stack_size, last) - blackened
          state[..., : self._stack_size - held] = 0
          next_state[..., : self._stack_size - held - 1] = 0
        self.elements.append([
            state,
            np.int32(episode.actions[t]),
            float(episode.rewards[t]),
            next_state,
            terminal and t == last - 1,
            terminal and t == last - 1,
        ])

  def _stack(self, frames: np.ndarray, t: int) -> np.ndarray:
    """The frames up to the one of step t, on the last axis."""
    stack = np.zeros((*frames.shape[1:], self._stack_size), np.uint8)
    for age in range(min(t + 1, self._stack_size)):
      stack[..., self._stack_size - 1 - age] = frames[t - age]
    return stack

  def state(self, add_count: Optional[int] = None) -> dict:
    """What the file holds, its arrays encoded.

    Args:
      add_count: how many elements had been added; all if None.
    """
    if add_count is None:
      add_count = len(self.elements)
    first = max(0, add_count - self._capacity)
    keys = list(range(first, add_count))
    return {
        'add_count': add_count,
        'memory': {
            'keys': keys,
            'values': [
                [self._encode(value) for value in element]
                for element in self.elements[first:add_count]
            ],
            'treedef': b'a pickle that must never be loaded',
        },
        'sampling_distribution': {
            'key_by_index': keys,
            'index_by_key': {key: i for i, key in enumerate(keys)},
            'rng_state': {'state': {'integer': str(2**100)}},
        },
        'transition_accumulator': {'trajectory': [], 'treedef': b'nor this'},
    }

  def save(
      self, directory: str, number: int, add_count: Optional[int] = None
  ) -> None:
    """Writes a checkpoint."""
    write(directory, number, msgpack.packb(self.state(add_count)))

  def _encode(self, value):
    if isinstance(value, np.ndarray) and self._compress:
      return packed_stack(value)
    if isinstance(value, (np.ndarray, np.generic)):
      return {
          'shape': value.shape,
          'data': value.tobytes(),
          'dtype': repr(value.dtype.str),
      }
    return value


def packed_stack(stack: np.ndarray) -> dict:
  """A stack as a record of its compressed bytes, its shape and its dtype."""
  data = bytes(cramjam.snappy.compress_raw(stack.tobytes()))
  shape = np.array(stack.shape, '<i4').tobytes()
  dtype = stack.dtype.str.encode()
  return {
      'shape': (),
      'data': data + shape + dtype,
      'dtype': (
          f"[('data', '|u1', ({len(data)},)), ('shape', '<i4', "
          f"({stack.ndim},)), ('dtype', '|S{len(dtype)}')]"
      ),
  }


def write(directory: str, number: int, contents: bytes) -> str:
  """Writes the file of a checkpoint; returns its path."""
  folder = os.path.join(directory, str(number), 'replay')
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, 'checkpoint.msgpack')
  with open(path, 'wb') as file:
    file.write(contents)
  return path
