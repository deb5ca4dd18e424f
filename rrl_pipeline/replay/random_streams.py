"""Random numbers that depend on a seed and on a number in its stream only."""

import numpy as np


class RandomStreams:
  """Generators that start anew for each (seed, index).

  `at` gives the numbers of `Generator(Philox(key=[seed, index]))`, but takes a
  sixth of the time that it takes to make one. Not thread-safe.
  """

  def __init__(self):
    self._bits = np.random.Philox(key=[0, 0])
    self._start = self._bits.state
    self._generator = np.random.Generator(self._bits)

  def at(self, seed: int, index: int) -> np.random.Generator:
    """The generator of a seed and an index, valid until the next call."""
    self._start['state']['key'][...] = seed, index
    self._bits.state = self._start
    return self._generator
