"""Tests of the PNG writer, against Pillow's reader."""

import io
import sys

import hypothesis
from hypothesis.extra import numpy as hypothesis_numpy
import numpy as np
import PIL.Image
import pytest

from rrl_pipeline.rlds import png

COMPRESSORS = pytest.mark.parametrize('compressor', [png.ZLIB, png.ISAL])


@pytest.fixture(autouse=True)
def fixture_needs_isal(request):
  if getattr(request.node, 'callspec', None) is not None and (
      request.node.callspec.params.get('compressor') == png.ISAL
  ):
    pytest.importorskip('isal')


def _decode(data):
  return np.asarray(PIL.Image.open(io.BytesIO(data)))


@COMPRESSORS
@hypothesis.settings(
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture,
                           hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(
    hypothesis_numpy.arrays(
        np.uint8, hypothesis_numpy.array_shapes(min_dims=2, max_dims=2)
    )
)
def test_frame_is_kept_bit_for_bit(compressor, frame):
  data = png.PngEncoder(frame.shape, compressor).encode(frame)
  assert PIL.Image.open(io.BytesIO(data)).mode == 'L'
  np.testing.assert_array_equal(_decode(data), frame)


@COMPRESSORS
def test_encoder_keeps_nothing_of_the_frame_before(compressor):
  rng = np.random.default_rng(0)
  encoder = png.PngEncoder((84, 84), compressor)
  for _ in range(3):
    frame = rng.integers(0, 256, (84, 84), np.uint8)
    np.testing.assert_array_equal(_decode(encoder.encode(frame)), frame)
  assert not _decode(encoder.blank).any()


@COMPRESSORS
def test_same_frame_gives_same_bytes(compressor):
  frame = np.arange(84 * 84, dtype=np.uint8).reshape(84, 84)
  first = png.PngEncoder((84, 84), compressor).encode(frame)
  assert png.PngEncoder((84, 84), compressor).encode(frame) == first


def test_unknown_compressor():
  with pytest.raises(ValueError, match="'lzma'; expected 'zlib' or 'isal'"):
    png.PngEncoder((84, 84), 'lzma')


def test_without_isal(monkeypatch):
  monkeypatch.setitem(sys.modules, 'isal', None)
  assert png.default_compressor() == png.ZLIB
  with pytest.raises(ValueError, match="pip install isal, or choose 'zlib'"):
    png.PngEncoder((84, 84), png.ISAL)
