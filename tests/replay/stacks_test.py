"""Tests of stacked observations: their shape, and their order in memory."""

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


@pytest.mark.parametrize(
    'frame_shape, stack_size, expected',
    (
        ((84, 84), 4, (84, 84, 4)),
        ((84, 84), 1, (84, 84, 1)),
        ((10, 10, 4), 1, (10, 10, 4)),
        ((1099,), 1, (1099,)),
        ((1099,), 3, (1099, 3)),
    ),
)
def test_stacks_have_the_stated_shape(frame_shape, stack_size, expected):
  assert stacks.stacked_shape(frame_shape, stack_size) == expected
  frames = np.zeros((2, stack_size, *frame_shape))
  assert stacks.stack(frames).shape == (2, *expected)
