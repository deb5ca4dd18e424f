"""Tests of files of records, against TensorFlow's and TFDS's readers."""

import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_datasets.core import file_adapters

from rrl_pipeline.rlds import record_files

RECORDS = [b'first', b'', b'x' * 100_000, bytes(range(256))]
ALL_FORMATS = pytest.mark.parametrize('file_format', record_files.FILE_FORMATS)


def _write(path, file_format, records):
  with record_files.open_writer(str(path), file_format) as writer:
    for record in records:
      writer.write(record)
  return str(path)


@ALL_FORMATS
@hypothesis.settings(
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture,
                           hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(records=st.lists(st.binary(max_size=300), max_size=6))
def test_what_is_written_is_read(tmp_path, file_format, records):
  path = _write(tmp_path / 'a', file_format, records)
  assert list(record_files.read(path, file_format)) == records


def test_tensorflow_reads_tfrecord(tmp_path):
  path = _write(tmp_path / 'a', record_files.TFRECORD, RECORDS)
  dataset = tf.data.TFRecordDataset(path)
  assert list(dataset.as_numpy_iterator()) == RECORDS


def test_tfds_writes_the_same_array_record(tmp_path):
  path = _write(tmp_path / 'a', record_files.ARRAY_RECORD, RECORDS)
  file_adapters.ArrayRecordFileAdapter.write_examples(
      tmp_path / 'b', list(enumerate(RECORDS))
  )
  assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
  assert file_adapters.ArrayRecordFileAdapter.num_examples(path) == 4


@ALL_FORMATS
def test_same_records_give_same_bytes(tmp_path, file_format):
  rng = np.random.default_rng(0)
  records = [rng.integers(0, 3, 200_000, np.uint8).tobytes() for _ in range(9)]
  contents = {
      pathlib.Path(_write(tmp_path / name, file_format, records)).read_bytes()
      for name in 'abc'
  }
  assert len(contents) == 1


@ALL_FORMATS
def test_file_appears_only_when_it_is_whole(tmp_path, file_format):
  path = _write(tmp_path / 'a', file_format, [b'old'])
  with pytest.raises(KeyError):
    with record_files.open_writer(path, file_format) as writer:
      writer.write(b'new')
      assert list(record_files.read(path, file_format)) == [b'old']
      raise KeyError
  assert list(record_files.read(path, file_format)) == [b'old']
  assert os.listdir(tmp_path) == ['a']


@ALL_FORMATS
@pytest.mark.parametrize('cut', [1, 200, 70_000])
def test_cut_file(tmp_path, file_format, cut):
  rng = np.random.default_rng(0)
  records = [rng.bytes(60_000) for _ in range(4)]
  path = _write(tmp_path / 'a', file_format, records)
  os.truncate(path, os.path.getsize(path) - cut)
  with pytest.raises(record_files.RecordFileError, match=path):
    list(record_files.read(path, file_format))


@ALL_FORMATS
def test_changed_byte(tmp_path, file_format):
  rng = np.random.default_rng(0)
  path = _write(
      tmp_path / 'a', file_format, [rng.bytes(60_000) for _ in range(4)]
  )
  data = bytearray((tmp_path / 'a').read_bytes())
  data[100_000] ^= 1
  (tmp_path / 'a').write_bytes(data)
  with pytest.raises(record_files.RecordFileError, match=path):
    list(record_files.read(path, file_format))


@ALL_FORMATS
def test_missing_file(tmp_path, file_format):
  path = str(tmp_path / 'a')
  with pytest.raises(FileNotFoundError, match=path):
    list(record_files.read(path, file_format))
  with pytest.raises(FileNotFoundError):
    _write(tmp_path / 'missing' / 'a', file_format, RECORDS)


@ALL_FORMATS
def test_full_disk_is_an_os_error(tmp_path, file_format):
  """The limit on a file's size stands in for a full disk."""
  previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
  try:
    with pytest.raises(OSError) as error:
      _write(
          tmp_path / 'a', file_format,
          [np.random.default_rng(0).bytes(700_000)] * 4,
      )
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, previous)
  assert error.value.errno == errno.EFBIG
  assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    'file_format,reason',
    [
        ('parquet', ': the Parquet writer of TFDS loses records'),
        ('riegeli', ': Riegeli has no package'),
        ('tfrecords', "'tfrecords'; expected 'tfrecord' or 'array_record'$"),
    ],
)
def test_other_formats_are_refused(tmp_path, file_format, reason):
  with pytest.raises(ValueError, match=reason):
    _write(tmp_path / 'a', file_format, [])
  with pytest.raises(ValueError, match=reason):
    list(record_files.read(str(tmp_path / 'a'), file_format))


def test_neither_format_loads_tensorflow(tmp_path):
  program = f'''
import sys
from rrl_pipeline.rlds import record_files
for file_format in record_files.FILE_FORMATS:
  path = {str(tmp_path)!r} + file_format
  with record_files.open_writer(path, file_format) as writer:
    writer.write(b'a')
  print(list(record_files.read(path, file_format)))
print('tensorflow' in sys.modules)
'''
  result = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True,
      check=True,
  )
  assert result.stdout.split() == ["[b'a']", "[b'a']", 'False']
