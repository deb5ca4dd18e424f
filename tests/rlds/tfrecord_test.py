"""Tests of TFRecord files, against TensorFlow's reader and writer."""

import pytest
import tensorflow as tf

from rrl_pipeline.rlds import tfrecord

RECORDS = [b'first', b'', b'x' * 100_000, bytes(range(256))]


def _write(path):
  with open(path, 'wb') as file:
    for record in RECORDS:
      tfrecord.write(file, record)
  return str(path)


def test_tensorflow_reads_what_is_written(tmp_path):
  dataset = tf.data.TFRecordDataset(_write(tmp_path / 'a'))
  assert list(dataset.as_numpy_iterator()) == RECORDS


def test_what_tensorflow_writes_is_read(tmp_path):
  path = str(tmp_path / 'a')
  with tf.io.TFRecordWriter(path) as writer:
    for record in RECORDS:
      writer.write(record)
  assert list(tfrecord.read(path)) == RECORDS


def test_empty_file_has_no_records(tmp_path):
  (tmp_path / 'a').write_bytes(b'')
  assert not list(tfrecord.read(str(tmp_path / 'a')))


@pytest.mark.parametrize('cut', [1, 4, 200, 260])
def test_cut_file(tmp_path, cut):
  path = tmp_path / 'a'
  _write(path)
  path.write_bytes(path.read_bytes()[:-cut])
  with pytest.raises(tfrecord.TFRecordError, match='was cut|checksum'):
    list(tfrecord.read(str(path)))


@pytest.mark.parametrize(
    'position,message', [(0, 'of a length'), (9, 'of a length'), (14, 'record')]
)
def test_changed_byte(tmp_path, position, message):
  path = tmp_path / 'a'
  _write(path)
  data = bytearray(path.read_bytes())
  data[position] ^= 1
  path.write_bytes(data)
  with pytest.raises(tfrecord.TFRecordError, match=f'checksum.*{message}'):
    list(tfrecord.read(str(path)))
