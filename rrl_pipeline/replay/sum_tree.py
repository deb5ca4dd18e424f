"""Draws indices in proportion to their priorities, in logarithmic time.

A binary tree whose leaves are the priorities and whose other nodes are the sums
of their two children, as in Schaul et al., "Prioritized experience replay"
(ICLR 2016), appendix B.2.1. Nodes are always added up anew, never changed by a
difference, so that the sums depend on the leaves alone and not on their past.
"""

import numpy as np


class SumTree:
  """Priorities of `size` indices; at first all are 0. Not thread-safe."""

  def __init__(self, size: int):
    self._depth = max(size - 1, 0).bit_length()
    self._first_leaf = 1 << self._depth
    # Node i has the children 2i and 2i + 1; node 0 is not used.
    self._nodes = np.zeros(2 * self._first_leaf, np.float64)

  @property
  def total(self) -> float:
    return float(self._nodes[1])

  def get(self, indices: np.ndarray) -> np.ndarray:
    """The priorities float64 [B] of indices [B]."""
    return self._nodes[self._first_leaf + indices]

  def set(self, indices: np.ndarray, priorities: np.ndarray) -> None:
    """Changes priorities, each at least 0.

    Args:
      indices: [B]; of one that comes twice the last priority counts.
      priorities: [B], or one number for all.
    """
    nodes = self._nodes
    changed = self._first_leaf + indices
    nodes[changed] = priorities
    for _ in range(self._depth):
      changed = changed >> 1
      left = changed << 1
      nodes[changed] = nodes[left] + nodes[left + 1]

  def find(self, sums: np.ndarray) -> np.ndarray:
    """The indices int64 [B] at which the sum of priorities passes these.

    Args:
      sums: [B] in [0, total). Rounding never leads to a priority of 0.
    """
    nodes = self._nodes
    node = np.ones(len(sums), np.int64)
    rest = np.array(sums, np.float64)
    for _ in range(self._depth):
      node <<= 1
      left = nodes[node]
      is_right = (rest >= left) & (nodes[node + 1] > 0)
      rest -= np.where(is_right, left, 0)
      node += is_right
    return node - self._first_leaf
