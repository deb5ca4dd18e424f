"""Tests of the sum tree against a list and its cumulative sums."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline.replay import sum_tree

_PRIORITIES = st.sampled_from([0.0, 1e-5, 0.1, 1.0, 3.0, 1e4])


@hypothesis.given(
    st.integers(1, 20),
    st.lists(st.lists(st.tuples(st.integers(0, 19), _PRIORITIES), max_size=8),
             max_size=6),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=10),
)
def test_a_tree_is_a_list_of_priorities(size, updates, shares):
  tree = sum_tree.SumTree(size)
  expected = np.zeros(size)
  for update in updates:
    indices = np.array([i % size for i, _ in update], np.int64)
    priorities = np.array([p for _, p in update], np.float64)
    tree.set(indices, priorities)
    for i, priority in zip(indices, priorities):
      expected[i] = priority
  np.testing.assert_array_equal(tree.get(np.arange(size)), expected)
  assert tree.total == pytest.approx(expected.sum())
  # The past does not matter: not even the last bit of a sum.
  fresh = sum_tree.SumTree(size)
  fresh.set(np.arange(size), expected)
  assert fresh.total == tree.total
  if not tree.total:
    return
  sums = np.array(shares) * tree.total
  found = tree.find(sums)
  assert (expected[found] > 0).all()
  ends = np.cumsum(expected)
  slack = 1e-9 * tree.total
  assert (sums <= ends[found] + slack).all()
  assert (sums >= ends[found] - expected[found] - slack).all()


def test_sums_lead_to_hand_computed_indices():
  tree = sum_tree.SumTree(5)
  tree.set(np.arange(5), np.array([1.0, 0.0, 2.0, 0.5, 0.0]))
  assert tree.total == 3.5
  sums = np.array([0.0, 0.99, 1.0, 2.99, 3.0, 3.49, 3.5, 99.0])
  assert tree.find(sums).tolist() == [0, 0, 2, 2, 3, 3, 3, 3]


def test_an_index_that_comes_twice_has_its_last_priority():
  tree = sum_tree.SumTree(3)
  tree.set(np.array([1, 2, 1]), np.array([5.0, 1.0, 2.0]))
  assert tree.get(np.arange(3)).tolist() == [0, 2, 1]
  assert tree.total == 3
  tree.set(np.array([0, 1]), 0.5)
  assert tree.total == 2
  tree.set(np.array([], np.int64), np.array([]))
  assert tree.total == 2


def test_one_index_is_a_tree():
  tree = sum_tree.SumTree(1)
  tree.set(np.array([0]), np.array([2.0]))
  assert tree.total == 2
  assert tree.find(np.array([0.0, 1.5])).tolist() == [0, 0]
