"""Tests of files of named arrays."""

import gc
import os

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

from rrl_pipeline.training import array_file

_ARRAYS = hnp.arrays(
    hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)
)


@given(
    arrays=st.dictionaries(
        st.sampled_from(['a', 'network/conv_0/kernel', 'é 1']), _ARRAYS
    ),
    compressed=st.booleans(),
)
def test_what_is_read_is_what_was_written(tmp_path_factory, arrays, compressed):
  path = tmp_path_factory.getbasetemp() / 'arrays.npz'
  array_file.write(path, arrays, compressed)
  found = array_file.read(path)
  assert found.keys() == arrays.keys()
  with np.load(path) as loaded:
    for name, array in arrays.items():
      for each in (found[name], loaded[name]):
        assert (each.dtype, each.shape) == (array.dtype, array.shape)
        assert each.tobytes() == array.tobytes()


def test_the_same_arrays_give_the_same_bytes(tmp_path):
  for name in ('a', 'b'):
    array_file.write(tmp_path / name, {'x': np.arange(9)}, compressed=True)
  assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


def test_objects_are_neither_written_nor_read(tmp_path):
  objects = {'x': np.array([print], dtype=object)}
  with pytest.raises(ValueError, match='cannot be saved'):
    array_file.write(tmp_path / 'a', objects)
  assert not os.listdir(tmp_path)
  np.savez(tmp_path / 'b.npz', **objects)
  with pytest.raises(ValueError, match='no file of arrays.*allow_pickle=False'):
    array_file.read(tmp_path / 'b.npz')


@pytest.mark.parametrize('length', [0, 10, 200])
def test_a_damaged_file_is_named(tmp_path, length):
  path = tmp_path / 'a.npz'
  array_file.write(path, {'x': np.arange(99)})
  path.write_bytes(path.read_bytes()[:length])
  with pytest.raises(ValueError, match=f'{path} is no file of arrays '):
    array_file.read(path)


@pytest.mark.filterwarnings('error')
def test_a_full_disk_is_one_error(tmp_path, monkeypatch):
  path = tmp_path / 'a.npz'
  array_file.write(path, {'x': np.zeros(3)})
  before = path.read_bytes()

  def full(*unused_arguments):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  with pytest.raises(OSError, match='No space left on device') as raised:
    array_file.write(path, {'x': np.zeros(10**6)})
  assert raised.value.filename == str(path)
  assert path.read_bytes() == before and os.listdir(tmp_path) == ['a.npz']
  monkeypatch.setattr(
      array_file.run_directory, 'whole_file', lambda _: open('/dev/full', 'wb')
  )
  with pytest.raises(OSError, match='No space left on device'):
    array_file.write('any', {'x': np.zeros(10**6), 'y': np.zeros(3)})
  del raised
  gc.collect()  # What is left of the archive has nothing more to say.
