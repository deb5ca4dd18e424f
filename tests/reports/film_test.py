"""Tests of the pictures of a play."""

import numpy as np
import pytest

from rrl_pipeline.reports import film


def test_pictures_are_shown_as_they_are():
  play = np.arange(60 * 4, dtype=np.uint8).reshape(60, 2, 2)
  made = film.make(play, frame_skip=4, seconds=2.0)
  assert made.fps == 15
  np.testing.assert_array_equal(made.frames, play[:30])


def test_each_channel_has_a_colour_and_later_ones_lie_on_top():
  play = np.zeros((3, 2, 2, 4), np.uint8)
  play[:, 0, 0, 1] = 255
  play[:, 0, 1, (1, 3)] = 255
  made = film.make(play, frame_skip=1, seconds=0.2)
  assert made.frames.shape == (2, 32, 32, 3)
  assert made.fps == 10
  cells = made.frames.reshape(2, 2, 16, 2, 16, 3)
  np.testing.assert_array_equal(
      cells, np.broadcast_to(cells[:, :, :1, :, :1], cells.shape)
  )
  second, top, empty = cells[0, 0, 0, 0, 0], cells[0, 0, 0, 1, 0], (20, 20, 20)
  np.testing.assert_array_equal(cells[0, 1, 0, :, 0], [empty, empty])
  assert len({tuple(second), tuple(top), empty}) == 3


def test_ten_channels_have_ten_colours():
  play = np.zeros((1, 1, 10, 10), np.uint8)
  play[0, 0, np.arange(10), np.arange(10)] = 255
  frames = film.colour_channels(play)
  assert len({tuple(pixel) for pixel in frames[0, 0]}) == 10


@pytest.mark.parametrize(
    'play',
    (
        np.zeros((5, 1099), np.float32),
        np.zeros((0, 84, 84), np.uint8),
        np.zeros((5, 7), np.uint8),
    ),
)
def test_what_is_no_picture_is_not_shown(play):
  assert film.make(play, frame_skip=1, seconds=1.0) is None
