"""Tests of the two encodings of frames."""

import io

import hypothesis
from hypothesis.extra import numpy as hypothesis_numpy
import numpy as np
from PIL import Image
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import encoding as encoding_lib
from rrl_pipeline.rlds import frames
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema

_SHAPE = (5, 7)
_RNG = np.random.default_rng(0)


def _png(array, **options):
  file = io.BytesIO()
  Image.fromarray(array).save(file, 'PNG', **options)
  return file.getvalue()


def _features(encoding):
  return schema.atari_features(encoding)[schema.STEPS].feature


@pytest.mark.parametrize('encoding', schema.ENCODINGS)
@hypothesis.given(array=hypothesis_numpy.arrays(np.uint8, (3, *_SHAPE)))
def test_frames_survive(encoding, array):
  encoder = encoding_lib.make_encoder(encoding, _SHAPE, png.ZLIB)
  stored = encoder.encode_block(array)
  decoded = frames.decode(stored, encoding, _SHAPE)
  assert decoded.dtype == np.uint8
  np.testing.assert_array_equal(decoded, array)


def test_png_files_by_other_programs_are_read():
  array = _RNG.integers(0, 256, _SHAPE, np.uint8)
  files = [_png(array), _png(array, compress_level=9, optimize=True)]
  np.testing.assert_array_equal(
      frames.decode(files, schema.PNG, _SHAPE), [array, array]
  )


@pytest.mark.parametrize('encoding', schema.ENCODINGS)
def test_encodings_of_the_schema_are_recognised(encoding):
  observation = _features(encoding)[schema.OBSERVATION]
  assert frames.encoding_of(observation) == encoding


def test_images_without_a_format_are_png():
  assert frames.encoding_of(tfds.features.Image(shape=(9, 9, 1))) == schema.PNG


def _cut(data):
  return data[: len(data) // 2]


@pytest.mark.parametrize(
    'encoding, stored, message',
    [
        (schema.RAW, b'abc', 'a raw frame has 3 bytes; expected 5 × 7'),
        (schema.PNG, b'', 'a frame cannot be decoded'),
        (schema.PNG, b'garbage', 'a frame cannot be decoded'),
        (
            schema.PNG,
            _cut(_png(_RNG.integers(0, 256, _SHAPE, np.uint8))),
            'a frame cannot be decoded',
        ),
        (
            schema.PNG,
            _png(np.zeros((7, 5), np.uint8)),
            r'a frame is uint8 \(7, 5\), expected uint8 \(5, 7\)',
        ),
        (
            schema.PNG,
            _png(np.zeros((*_SHAPE, 3), np.uint8)),
            r'a frame is uint8 \(5, 7, 3\)',
        ),
    ],
)
def test_a_bad_frame_is_named(encoding, stored, message):
  with pytest.raises(ValueError, match=message):
    frames.decode([stored], encoding, _SHAPE)


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
