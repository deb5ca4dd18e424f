"""Tests of the film, by reading it back."""

import io

import numpy as np
from PIL import Image
import pytest

from rrl_pipeline.reports import gif


def _read(data):
  """Returns the images, their durations in milliseconds and the loop count."""
  image = Image.open(io.BytesIO(data))
  images, durations = [], []
  for index in range(image.n_frames):
    image.seek(index)
    durations.append(image.info['duration'])
    images.append(np.asarray(image.convert('RGB')))
  return images, durations, image.info.get('loop')


def _noise(number, seed=0):
  generator = np.random.default_rng(seed)
  return generator.integers(0, 256, (number, 32, 32), dtype=np.uint8)


def test_grey_frames_read_back_exactly():
  frames = _noise(6)
  images, durations, loop = _read(gif.encode_gif(frames, fps=10))
  for image, frame in zip(images, frames, strict=True):
    np.testing.assert_array_equal(image, np.repeat(frame[..., None], 3, -1))
  assert durations == [100] * 6
  assert loop == 0


def test_rounding_does_not_change_the_speed():
  _, durations, _ = _read(gif.encode_gif(_noise(30), fps=15))
  assert sum(durations) == 2000


def test_colour_frames_keep_their_colours():
  frames = np.zeros((3, 20, 20, 3), np.uint8)
  frames[0, :, :] = (200, 30, 40)
  frames[1, :, :] = (20, 160, 90)
  frames[2, :10] = (10, 20, 220)
  images, _, _ = _read(gif.encode_gif(frames, fps=5))
  for image, frame in zip(images, frames, strict=True):
    assert np.abs(image.astype(int) - frame).max() <= 8


def test_a_film_that_is_too_big_loses_frames_but_not_time():
  frames = _noise(32)
  whole = gif.encode_gif(frames, fps=10)
  short = gif.encode_gif(frames, fps=10, max_bytes=len(whole) // 2)
  assert len(short) <= len(whole) // 2
  images, durations, _ = _read(short)
  assert sum(durations) == 3200
  stride = 32 // len(images)
  for image, frame in zip(images, frames[::stride], strict=True):
    np.testing.assert_array_equal(image[..., 0], frame)


def test_fast_play_is_thinned_to_what_players_can_show():
  images, durations, _ = _read(gif.encode_gif(_noise(20), fps=100))
  assert len(images) == 10
  assert durations == [20] * 10


def test_equal_frames_give_equal_bytes():
  assert gif.encode_gif(_noise(5), 10) == gif.encode_gif(_noise(5), 10)


def test_a_still_reads_back():
  frame = _noise(1)[0]
  still = Image.open(io.BytesIO(gif.encode_still(frame)))
  np.testing.assert_array_equal(np.asarray(still), frame)


@pytest.mark.parametrize(
    'frames, fps, message',
    (
        (np.zeros((2, 4, 4)), 10, r'got float64 \[2, 4, 4\]'),
        (np.zeros((0, 4, 4), np.uint8), 10, r'got uint8 \[0, 4, 4\]'),
        (np.zeros((4, 4), np.uint8), 10, r'got uint8 \[4, 4\]'),
        (np.zeros((2, 4, 4, 4), np.uint8), 10, r'got uint8 \[2, 4, 4, 4\]'),
        (np.zeros((2, 4, 4), np.uint8), 0, 'fps must be positive, got 0'),
    ),
)
def test_bad_frames_are_refused(frames, fps, message):
  with pytest.raises(ValueError, match=message):
    gif.encode_gif(frames, fps)
