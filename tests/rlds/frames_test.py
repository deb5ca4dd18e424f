"""Tests of the two encodings of frames."""

import io

import hypothesis
from hypothesis.extra import numpy as hypothesis_numpy
import numpy as np
from PIL import Image
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import frames

_SHAPE = (5, 7)
_RNG = np.random.default_rng(0)


def _png(array, **options):
  file = io.BytesIO()
  Image.fromarray(array).save(file, 'PNG', **options)
  return file.getvalue()


@pytest.mark.parametrize('encoding', frames.ENCODINGS)
@hypothesis.given(
    array=hypothesis_numpy.arrays(np.uint8, (3, *_SHAPE))
)
def test_frames_survive(encoding, array):
  codec = frames.FrameCodec(encoding, _SHAPE)
  stored = [codec.encode(frame) for frame in array]
  decoded = codec.decode(stored)
  assert decoded.dtype == np.uint8
  np.testing.assert_array_equal(decoded, array)


def test_png_files_by_other_programs_are_read():
  array = _RNG.integers(0, 256, _SHAPE, np.uint8)
  files = [_png(array), _png(array, compress_level=9, optimize=True)]
  decoded = frames.FrameCodec(frames.PNG, _SHAPE).decode(files)
  np.testing.assert_array_equal(decoded, [array, array])


@pytest.mark.parametrize('encoding', frames.ENCODINGS)
def test_the_feature_reads_what_the_codec_writes(encoding):
  array = _RNG.integers(0, 256, _SHAPE, np.uint8)
  feature = frames.feature(encoding, _SHAPE)
  stored = frames.FrameCodec(encoding, _SHAPE).encode(array)
  decoded = feature.decode_example(stored)
  np.testing.assert_array_equal(np.asarray(decoded)[..., 0], array)
  assert frames.encoding_of(feature) == encoding


def _cut(data):
  return data[: len(data) // 2]


@pytest.mark.parametrize(
    'encoding, stored, message',
    [
        (frames.RAW, b'abc', 'a raw frame has 3 bytes; expected 5 × 7'),
        (frames.PNG, b'', 'no readable PNG'),
        (frames.PNG, b'garbage', 'no readable PNG'),
        (
            frames.PNG,
            _cut(_png(_RNG.integers(0, 256, _SHAPE, np.uint8))),
            'no readable PNG',
        ),
        (
            frames.PNG,
            _png(np.zeros((7, 5), np.uint8)),
            r'mode L and shape \(7, 5\); expected grey \(L\) and \(5, 7\)',
        ),
        (
            frames.PNG,
            _png(np.zeros((*_SHAPE, 3), np.uint8)),
            'mode RGB and shape',
        ),
    ],
)
def test_a_bad_frame_is_named(encoding, stored, message):
  with pytest.raises(frames.FrameError, match=message):
    frames.FrameCodec(encoding, _SHAPE).decode([stored])


def test_encodings_are_two():
  with pytest.raises(ValueError, match="'jpeg'; expected one of png, raw"):
    frames.FrameCodec('jpeg', _SHAPE)
  with pytest.raises(ValueError, match='PNG compressor'):
    frames.FrameCodec(frames.PNG, _SHAPE, 'zip').encode(
        np.zeros(_SHAPE, np.uint8)
    )


@pytest.mark.parametrize(
    'feature',
    [
        tfds.features.Image(shape=(84, 84, 3)),
        tfds.features.Image(shape=(84, 84, 4)),
        tfds.features.Image(shape=(84, 84, 1), encoding_format='jpeg'),
        tfds.features.Tensor(shape=(84, 84, 1), dtype=np.uint8),
        tfds.features.Tensor(
            shape=(84, 84, 1), dtype=np.float32, encoding='bytes'
        ),
        tfds.features.Scalar(np.int64),
    ],
)
def test_other_observations_are_refused(feature):
  with pytest.raises(ValueError, match='expected single grey frames'):
    frames.encoding_of(feature)
