"""Tests of stacking frames."""

from dm_env import specs
import numpy as np

from rrl_pipeline.environments import wrappers

_FRAME = specs.Array((2, 3), np.uint8)


def _frame(value: int) -> np.ndarray:
  return np.full((2, 3), value, np.uint8)


def test_frames_are_stacked_last_with_zeros_before_the_first():
  stacker = wrappers.FrameStacker(_FRAME, 4)
  stacks = [stacker.reset(_frame(1)).copy()]
  stacks += [stacker.push(_frame(value)).copy() for value in (2, 3, 4, 5)]
  assert stacks[0].shape == (2, 3, 4) and stacks[0].dtype == np.uint8
  assert [stack[1, 2].tolist() for stack in stacks] == [
      [0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5],
  ]
  for stack in stacks:
    assert (stack == stack[0, 0]).all()


def test_a_new_episode_forgets_the_one_before():
  stacker = wrappers.FrameStacker(_FRAME, 3)
  stacker.reset(_frame(7))
  stacker.push(_frame(8))
  assert stacker.reset(_frame(9))[0, 0].tolist() == [0, 0, 9]


def test_a_stack_of_one_is_the_frame():
  stacker = wrappers.FrameStacker(_FRAME, 1)
  assert stacker.reset(_frame(7)).tolist() == _frame(7)[..., None].tolist()
  assert stacker.push(_frame(8))[0, 0].tolist() == [8]


def test_a_vector_that_is_not_stacked_is_given_as_it_is():
  stacker = wrappers.FrameStacker(specs.Array((5,), np.float32), 1)
  vectors = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
  for vector, function in zip(vectors, (stacker.reset, stacker.push)):
    observation = function(vector)
    assert observation.dtype == np.float32
    np.testing.assert_array_equal(observation, vector)
