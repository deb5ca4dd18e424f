"""Tests of the encodings of frames and of other arrays."""

import io
import zlib

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
import numpy as np
from PIL import Image
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import encoding as encoding_lib
from rrl_pipeline.rlds import observations
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
  observation = observations.ObservationFormat(_SHAPE, encoding)
  encoder = encoding_lib.make_encoder(observation, png.ZLIB)
  stored = encoder.encode_block(array)
  decoded = observation.decode(stored)
  assert decoded.dtype == np.uint8
  np.testing.assert_array_equal(decoded, array)


def test_png_files_by_other_programs_are_read():
  array = _RNG.integers(0, 256, _SHAPE, np.uint8)
  files = [_png(array), _png(array, compress_level=9, optimize=True)]
  np.testing.assert_array_equal(
      observations.ObservationFormat(_SHAPE, schema.PNG).decode(files),
      [array, array],
  )


@pytest.mark.parametrize('encoding', schema.ENCODINGS)
def test_encodings_of_the_schema_are_recognised(encoding):
  observation = _features(encoding)[schema.OBSERVATION]
  assert observations.format_of(observation) == (
      observations.ObservationFormat((84, 84), encoding)
  )


def test_images_without_a_format_are_png():
  image = tfds.features.Image(shape=(9, 9, 1))
  assert observations.format_of(image).encoding == schema.PNG


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
    observations.ObservationFormat(_SHAPE, encoding).decode([stored])


@pytest.mark.parametrize(
    'feature',
    [
        tfds.features.Image(shape=(84, 84, 3)),
        tfds.features.Image(shape=(84, 84, 4)),
        tfds.features.Image(shape=(84, 84, 1), encoding_format='jpeg'),
        tfds.features.Tensor(shape=(84, 84, 1), dtype=np.uint8),
        tfds.features.Tensor(
            shape=(None, 3), dtype=np.float32, encoding='bytes'
        ),
        tfds.features.Tensor(shape=(3,), dtype=np.uint32, encoding='zlib'),
        tfds.features.Tensor(shape=(9, 9, 1), dtype=np.uint8, encoding='zlib'),
        tfds.features.Scalar(np.int64),
    ],
)
def test_other_observations_are_refused(feature):
  with pytest.raises(ValueError, match='expected single grey frames'):
    observations.format_of(feature)


_TENSORS = [
    ((7,), 'float32'), ((10, 10, 4), 'uint8'), ((2, 3), 'float32'),
    ((), 'int64'), ((4, 4, 1), 'int16'), ((3,), 'bool'),
]


@pytest.mark.parametrize('shape, dtype', _TENSORS)
@hypothesis.given(data=st.data())
def test_arrays_survive_bit_by_bit(shape, dtype, data):
  array = data.draw(hypothesis_numpy.arrays(dtype, (3, *shape)))
  for encoding in schema.TENSOR_ENCODINGS:
    observation = observations.ObservationFormat(shape, encoding, dtype)
    encoder = encoding_lib.make_encoder(observation, None)
    stored = encoder.encode_block(array)
    decoded = observation.decode(stored)
    assert (decoded.shape, decoded.dtype) == (array.shape, array.dtype)
    assert decoded.tobytes() == array.tobytes()
    # TFDS reads and writes the same bytes.
    feature = observation.feature()
    assert feature.encode_example(array[0]) == stored[0]
    np.testing.assert_array_equal(
        feature.decode_example_np(stored[0]), array[0]
    )
    assert not observation.decode([encoder.blank]).any()
    assert observations.format_of(feature) == observation


@pytest.mark.parametrize(
    'shape, encoding, dtype, message',
    [
        ((7,), 'png', 'float32', "'png'; expected 'zlib' or 'raw'"),
        ((7, 7), 'zlib', 'uint8', "'zlib'; expected 'png' or 'raw'"),
        ((7,), 'zlib', 'complex64', 'observations are complex64'),
        ((7, 7, 1), 'zlib', 'uint8', r'\(7, 7, 1\) are frames of one channel'),
    ],
)
def test_formats_that_no_dataset_has(shape, encoding, dtype, message):
  with pytest.raises(ValueError, match=message):
    observations.ObservationFormat(shape, encoding, dtype)


@pytest.mark.parametrize(
    'stored, message',
    [
        (b'garbage', 'an observation cannot be decoded'),
        (zlib.compress(bytes(27)), 'has 27 bytes; expected 7 of float32'),
    ],
)
def test_a_bad_array_is_named(stored, message):
  observation = observations.ObservationFormat((7,), 'zlib', 'float32')
  with pytest.raises(ValueError, match=message):
    observation.decode([stored])
