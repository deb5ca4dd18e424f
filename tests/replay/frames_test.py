"""Tests of where frames are kept."""

import numpy as np
import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.replay import frames

_SLOTS = 5


@pytest.mark.parametrize('shape, dtype', [((3, 4), 'uint8'), ((2,), 'float32')])
@pytest.mark.parametrize('seed', range(10))
def test_both_kinds_are_an_array_that_is_filled(shape, dtype, seed):
  generator = np.random.default_rng(seed)
  expected = np.zeros((_SLOTS, *shape), dtype)
  filled = np.zeros(_SLOTS, bool)
  kept = (
      frames.PlainFrames(np.zeros_like(expected)),
      frames.CompressedFrames(_SLOTS, shape, dtype),
  )
  for count in (2, 0, 3):
    slots = generator.choice(_SLOTS, count, replace=False)
    put = generator.integers(0, 256, (count, *shape)).astype(dtype)
    expected[slots] = put
    filled[slots] = True
    for store in kept:
      store.put(slots, put)
  for _ in range(5):
    slots = generator.integers(0, _SLOTS, (2, 3))
    is_wanted = (generator.random((2, 3)) < 0.7) & filled[slots]
    wanted = expected[slots]
    wanted[~is_wanted] = 0
    for store in kept:
      taken = store.take(slots, is_wanted)
      assert (taken.dtype, taken.flags.c_contiguous) == (wanted.dtype, True)
      np.testing.assert_array_equal(taken, wanted)


def test_what_cannot_be_compressed_comes_back_too():
  noise = np.random.default_rng(0).integers(0, 256, (3, 84, 84), np.uint8)
  kept = frames.CompressedFrames(3, (84, 84), np.uint8)
  kept.put(np.arange(3), noise)
  # Views whose pixels do not lie one behind the other.
  kept.put(np.array([1]), noise[:1].transpose(0, 2, 1))
  taken = kept.take(np.arange(3), np.ones(3, bool))
  np.testing.assert_array_equal(taken[[0, 2]], noise[[0, 2]])
  np.testing.assert_array_equal(taken[1], noise[0].T)
  assert noise.nbytes < kept.num_bytes < 1.01 * noise.nbytes


@pytest.mark.parametrize('game, most', [('Pong', 400), ('Riverraid', 1_400)])
def test_a_million_frames_of_a_game_fit_two_gigabytes(game, most):
  environment = atari.AtariEnvironment(atari.AtariConfig(game=game), 0)
  timestep = environment.reset()
  kept = frames.CompressedFrames(30, (84, 84), np.uint8)
  for i in range(30):
    kept.put(np.array([i]), timestep.observation[np.newaxis])
    timestep = environment.step(i % 3)
  assert kept.num_bytes / 30 < most
