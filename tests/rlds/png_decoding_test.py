"""Tests of decoding frames from PNG files of three writers."""

import io

import hypothesis
from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest

from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import png_decoding
import tensorflow as tf


def _frame(kind, shape):
  if kind == 'noise':
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  if kind == 'slope':
    return np.add.outer(*map(np.arange, shape)).astype(np.uint8)
  return np.zeros(shape, np.uint8)


def _pillow(frame, **options):
  file = io.BytesIO()
  Image.fromarray(frame).save(file, 'PNG', **options)
  return file.getvalue()


@hypothesis.given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    kinds=st.lists(st.sampled_from(['noise', 'slope', 'zero']), max_size=4),
)
def test_frames_are_those_that_were_encoded(shape, kinds):
  frames = [_frame(kind, shape) for kind in kinds]
  expected = np.array(frames, np.uint8).reshape(-1, *shape)
  for encode in (
      png.PngEncoder(shape, png.ZLIB).encode,
      png.PngEncoder(shape, png.ISAL).encode,
      _pillow,
      lambda frame: tf.io.encode_png(frame[..., None]).numpy(),
  ):
    decoded = png_decoding.decode([encode(frame) for frame in frames], shape)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, expected)


def test_own_files_need_no_other_decoder(monkeypatch):
  monkeypatch.setattr(png_decoding, '_decode_any', None)
  for compressor in (png.ZLIB, png.ISAL):
    encoder = png.PngEncoder((84, 84), compressor)
    frame = _frame('slope', (84, 84))
    np.testing.assert_array_equal(
        png_decoding.decode([encoder.encode(frame)], (84, 84)), [frame]
    )


def _rgb():
  file = io.BytesIO()
  Image.new('RGB', (4, 4)).save(file, 'PNG')
  return file.getvalue()


@pytest.mark.parametrize(
    'image, message',
    [
        (b'', 'cannot be decoded'),
        (b'no image at all, but some text of more than sixty characters...',
         'cannot be decoded'),
        (png.PngEncoder((4, 4), png.ZLIB).blank[:-25], 'cannot be decoded'),
        (png.PngEncoder((5, 4), png.ZLIB).blank, r'\(5, 4\), expected .*4, 4'),
        (_rgb(), r'uint8 \(4, 4, 3\), expected uint8 \(4, 4\)'),
    ],
    ids=['empty', 'text', 'cut', 'other shape', 'colour'],
)
def test_other_data_is_refused(image, message):
  with pytest.raises(ValueError, match=message):
    png_decoding.decode([image], (4, 4))
