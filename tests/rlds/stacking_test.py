"""Tests of stacking: the same as the frame store that learners draw from."""

import hypothesis
from hypothesis import strategies as st
import numpy as np

from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import stacking


@hypothesis.given(
    length=st.integers(1, 20),
    stack_size=st.integers(1, 5),
    cuts=st.sets(st.integers(1, 19)),
)
def test_stacks_are_those_of_the_frame_store(length, stack_size, cuts):
  frames = np.random.default_rng(length).integers(
      1, 256, (length, 2, 3), np.uint8
  )
  blocks = np.split(frames, sorted(c for c in cuts if c < length))
  got = list(stacking.stacks(iter(blocks), stack_size))
  assert [len(stack) for stack in got] == [len(block) for block in blocks]

  numbers = np.arange(length)
  store = frame_store.FrameStore(length, (2, 3), 1, stack_size)
  store.extend(
      frame_store.Rows(
          observation=frames,
          action=np.zeros(length, np.int32),
          reward=np.zeros(length, np.float32),
          is_first=numbers == 0,
          is_last=numbers == length - 1,
          is_terminal=np.zeros(length, bool),
          is_padded=np.ones(length, bool),
          teacher_values=np.zeros((length, 1), np.float32),
      )
  )
  np.testing.assert_array_equal(np.concatenate(got), store.stacks(numbers))
