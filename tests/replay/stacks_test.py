"""Tests of the order of stacked observations in memory."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline.replay import stacks


@hypothesis.given(
    batch=st.integers(0, 3),
    frame_shape=st.lists(st.integers(1, 5), max_size=2),
    stack_size=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_values_stay_and_order_changes(batch, frame_shape, stack_size, seed):
  frames = np.random.default_rng(seed).integers(
      0, 256, (batch, stack_size, *frame_shape), np.uint8
  )
  result = stacks.contiguous(np.moveaxis(frames, 1, -1))
  assert result.flags.c_contiguous and result.dtype == np.uint8
  np.testing.assert_array_equal(np.moveaxis(result, -1, 1), frames)


@pytest.mark.parametrize('stack_size', [3, 4])
def test_what_is_in_order_is_not_copied(stack_size):
  array = np.ones((2, 5, stack_size), np.uint8)
  assert np.shares_memory(stacks.contiguous(array), array)
