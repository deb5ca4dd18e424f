"""Tests that serialised records are what TFDS itself would have written."""

import tracemalloc

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_generated_pb2 as example_pb2

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.testing import replay_logs


@pytest.mark.parametrize('end', list(types.EpisodeEnd))
@pytest.mark.parametrize('length', [1, 6])
@pytest.mark.parametrize('frame_encoding', schema.ENCODINGS)
def test_equal_to_the_serializer_of_tfds(end, length, frame_encoding):
  logged = replay_logs.random_episode(np.random.default_rng(0), length, end=end)
  span = reader.EpisodeSpan(1, 2, 33, length, 3, end, complete_start=False)
  encoder = encoding.make_encoder(
      observations.ObservationFormat((84, 84), frame_encoding), png.ZLIB
  )
  episode = encoding.encode(
      reader.EpisodeStream(
          span, logged.actions, logged.rewards, iter([logged.observations])
      ),
      encoder,
  )
  record = schema.to_record(episode, 'dataset/Größe_1', encoder.blank)
  features = schema.atari_features(frame_encoding)
  serializer = tfds.core.example_serializer.ExampleSerializer(
      features.get_serialized_info()
  )
  raw = dict(record)
  if frame_encoding == schema.RAW:  # TFDS takes such frames as arrays.
    raw[schema.STEPS] = {
        **record[schema.STEPS],
        schema.OBSERVATION: [
            np.frombuffer(frame, np.uint8).reshape(84, 84, 1)
            for frame in record[schema.STEPS][schema.OBSERVATION]
        ],
    }
  expected = serializer.serialize_example(features.encode_example(raw))
  found = tf_example.serialize(record)
  assert tf_example.parse(found) == tf_example.parse(expected)


def test_same_record_gives_same_bytes():
  record = {'a': np.int64(1), 'b': 'x', 'c': {'d': np.ones(3, np.float32)}}
  shuffled = {name: record[name] for name in ('c', 'b', 'a')}
  assert tf_example.serialize(record) == tf_example.serialize(shuffled)


@hypothesis.given(
    st.dictionaries(
        st.text(max_size=3).filter(lambda name: '/' not in name),
        st.one_of(
            st.lists(st.binary(max_size=200), max_size=5),
            st.lists(st.sampled_from([b'', b'x' * 127, b'y' * 20_000])),
            st.text(max_size=5),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(width=32, allow_nan=False),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_equal_to_what_protocol_buffers_write(record):
  """The frames are put together by hand, without a message object."""
  expected = example_pb2.Example()
  for name, value in record.items():
    feature = expected.features.feature[name]
    if isinstance(value, list):
      feature.bytes_list.value.extend(value)
    elif isinstance(value, str):
      feature.bytes_list.value.append(value.encode())
    elif isinstance(value, int):
      feature.int64_list.value.append(value)
    else:
      feature.float_list.value.append(value)
  found = tf_example.serialize(record)
  assert tf_example.parse(found) == expected
  for name in record:
    partial = tf_example.parse(found, without=[name])
    rest = tf_example.parse(found)
    del rest.features.feature[name]
    assert partial == rest
  # Nothing is there twice, or in a roundabout way.
  assert len(found) == expected.ByteSize()


def test_values_of_every_kind():
  feature = tf_example.parse(
      tf_example.serialize({
          'flag': np.array([True, False]),
          'number': 3,
          'text': 'ü',
          'group': {'frames': [b'a', b'b'], 'real': 0.5},
      })
  ).features.feature
  assert list(feature['flag'].int64_list.value) == [1, 0]
  assert list(feature['number'].int64_list.value) == [3]
  assert list(feature['text'].bytes_list.value) == ['ü'.encode()]
  assert list(feature['group/frames'].bytes_list.value) == [b'a', b'b']
  assert list(feature['group/real'].float_list.value) == [0.5]


def test_other_values_are_refused():
  with pytest.raises(TypeError, match='a/b is <U1, which is no feature'):
    tf_example.serialize({'a': {'b': ['x']}})


@hypothesis.given(st.integers(0, 300), st.integers(0, 5))
def test_raw_values_are_a_list_of_bytes(size, count):
  values = [bytes([i]) * size for i in range(count)]
  raw = tf_example.RawValues(size)
  raw.extend(values)
  assert len(raw) == count
  assert list(raw) == values
  record = {'a': 1, 'b': values, 'c': 'x', 'd': [b'y']}
  expected = tf_example.serialize(record)
  assert tf_example.serialize({**record, 'b': raw}) == expected
  assert not len(raw)


def test_raw_values_have_one_size():
  raw = tf_example.RawValues(2)
  with pytest.raises(ValueError, match='a value has 3 bytes; expected 2'):
    raw.append(b'abc')
  with pytest.raises(IndexError):
    raw[0]  # pylint: disable=pointless-statement


def test_raw_episode_is_in_memory_once():
  rows = 256
  span = reader.EpisodeSpan(
      0, 0, 0, 8 * rows, 0, types.EpisodeEnd.TERMINAL, complete_start=True
  )
  stream = reader.EpisodeStream(
      span,
      np.zeros(span.length, np.int32),
      np.zeros(span.length, np.float32),
      (np.zeros((rows, 84, 84), np.uint8) for _ in range(8)),
  )
  encoder = encoding.make_encoder(
      observations.ObservationFormat((84, 84), schema.RAW), None
  )
  tracemalloc.start()
  try:
    record = schema.to_record(
        encoding.encode(stream, encoder), '', encoder.blank
    )
    size = len(tf_example.serialize(record))
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  assert size > 8 * rows * 84 * 84
  # Besides, there is a block of frames, as it is and as bytes.
  assert peak < 1.5 * size
