"""Tests of reading gzip'd arrays, damaged ones above all."""

import gzip
import io

import numpy as np
import pytest

from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader

ARRAY = np.arange(1000 * 6, dtype=np.uint8).reshape(1000, 2, 3)


@pytest.fixture(autouse=True, params=['isal', 'gzip'])
def fixture_decompressor(request, monkeypatch):
  """Every test runs with ISA-L and with the standard library."""
  if request.param == 'isal':
    pytest.importorskip('isal')
  else:
    monkeypatch.setattr(npy_gzip, '_open', gzip.open)


def _write(path, array=ARRAY, change=lambda data: data):
  """Writes a gzip'd array; `change` damages its compressed bytes."""
  contents = io.BytesIO()
  np.save(contents, array)
  path.write_bytes(change(gzip.compress(contents.getvalue())))
  return str(path)


def _read_as_stream(path):
  stream = npy_gzip.RowStream(path)
  rows = stream.read(stream.shape[0])
  stream.finish()
  return rows


READERS = pytest.mark.parametrize(
    'read', [npy_gzip.read_array, _read_as_stream], ids=['whole', 'stream']
)


@READERS
def test_array_is_read(tmp_path, read):
  result = read(_write(tmp_path / 'a.gz'))
  np.testing.assert_array_equal(result, ARRAY)
  assert result.dtype == ARRAY.dtype


def test_stream_reads_and_skips_in_any_steps(tmp_path):
  stream = npy_gzip.RowStream(_write(tmp_path / 'a.gz'))
  assert stream.shape == (1000, 2, 3)
  np.testing.assert_array_equal(stream.read(3), ARRAY[:3])
  stream.skip(500)
  assert stream.position == 503
  np.testing.assert_array_equal(stream.read(97), ARRAY[503:600])
  stream.finish()


def test_long_skip_lands_on_its_row(tmp_path):
  array = np.arange(600_000, dtype=np.int32)
  stream = npy_gzip.RowStream(_write(tmp_path / 'a.gz', array))
  stream.skip(599_999)  # Several of the buffers that are skipped through.
  assert stream.read(1).tolist() == [599_999]


def _flip_bit_of_checksum(data):
  return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


@READERS
def test_wrong_checksum_is_found(tmp_path, read):
  path = _write(tmp_path / 'a.gz', change=_flip_bit_of_checksum)
  # NumPy alone would not have noticed.
  np.testing.assert_array_equal(np.load(gzip.open(path)), ARRAY)
  with pytest.raises(reader.LogError, match='a.gz is not a complete gzip file'):
    read(path)


@READERS
def test_changed_data_is_found(tmp_path, read):
  def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]

  path = _write(tmp_path / 'a.gz', change=flip)
  with pytest.raises(reader.LogError, match='a.gz is not a complete gzip file'):
    read(path)


@READERS
@pytest.mark.parametrize('cut', [1, 8, 100])
def test_cut_file_is_found(tmp_path, read, cut):
  path = _write(tmp_path / 'a.gz', change=lambda data: data[:-cut])
  with pytest.raises(reader.LogError, match='copy it again') as error:
    read(path)
  assert path in str(error.value)


def test_cut_file_is_found_before_it_is_read(tmp_path):
  array = np.random.default_rng(0).integers(0, 256, (1000, 84, 84), np.uint8)
  path = _write(tmp_path / 'a.gz', array, lambda data: data[:-100])
  with pytest.raises(reader.LogError, match='was cut or damaged'):
    npy_gzip.RowStream(path)


@READERS
@pytest.mark.parametrize('contents', [b'', b'short', b'this is not gzip'])
def test_other_files_are_refused(tmp_path, read, contents):
  path = tmp_path / 'a.gz'
  path.write_bytes(contents)
  with pytest.raises(reader.LogError, match='a.gz is not a complete gzip file'):
    read(str(path))


@READERS
def test_missing_file_is_named(tmp_path, read):
  with pytest.raises(reader.LogError, match='a.gz does not exist'):
    read(str(tmp_path / 'a.gz'))


@READERS
def test_gzip_of_something_else_is_refused(tmp_path, read):
  path = tmp_path / 'a.gz'
  path.write_bytes(gzip.compress(b'no array here, just a line of text'))
  with pytest.raises(reader.LogError, match='does not hold a NumPy array'):
    read(str(path))


@READERS
def test_array_of_objects_is_refused(tmp_path, read):
  path = _write(tmp_path / 'a.gz', np.array([{}, []], dtype=object))
  with pytest.raises(reader.LogError, match='holds a object array'):
    read(path)


@READERS
def test_surplus_data_are_found(tmp_path, read):
  path = tmp_path / 'a.gz'
  contents = io.BytesIO()
  np.save(contents, ARRAY)
  # Two of the ways in which a file may hold more than its header says.
  path.write_bytes(gzip.compress(contents.getvalue() + b'more'))
  with pytest.raises(reader.LogError, match='cut or damaged|its header says'):
    read(str(path))
  path.write_bytes(
      gzip.compress(b'') + gzip.compress(contents.getvalue()) * 2
  )
  with pytest.raises(reader.LogError, match='bytes more than|its header says'):
    read(str(path))


def test_scalar_is_no_stream(tmp_path):
  path = _write(tmp_path / 'a.gz', np.array(7))
  with pytest.raises(reader.LogError, match='a single number, not an array'):
    npy_gzip.RowStream(path)


def test_source_file_tells_contents_apart(tmp_path):
  same = [_write(tmp_path / name) for name in ('a.gz', 'b.gz')]
  other = _write(tmp_path / 'c.gz', ARRAY + 1)
  first, second, third = map(npy_gzip.source_file, (*same, other))
  assert first.name == 'a.gz'
  assert (first.size, first.crc32) == (second.size, second.crc32)
  assert first.crc32 != third.crc32
