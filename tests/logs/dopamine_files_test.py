"""Tests of the files of a Dopamine checkpoint, wrong ones above all."""

import gzip
import io
import os
import pathlib
import pickle

import numpy as np
import pytest

from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader
from rrl_pipeline.testing import replay_logs

SAMPLES = pathlib.Path(__file__).parents[1] / 'testdata' / 'dopamine'


@pytest.fixture(name='log')
def fixture_log(tmp_path):
  """A small log of one checkpoint."""
  rng = np.random.default_rng(0)
  replay_logs.write_log(
      str(tmp_path), [replay_logs.random_episode(rng, 5, (2, 3))], capacity=20
  )
  return str(tmp_path)


def _open(directory, number=0):
  elements = files.list_checkpoints(directory).elements[number]
  return files.open_checkpoint(directory, number, elements)


def _overwrite(directory, element, array):
  contents = io.BytesIO()
  np.save(contents, array)
  pathlib.Path(files.path_of(directory, element, 0)).write_bytes(
      gzip.compress(contents.getvalue())
  )


def test_sample_is_listed_and_opened():
  directory = str(SAMPLES / 'wrapped' / 'checkpoints')
  listing = files.list_checkpoints(directory)
  assert tuple(listing.elements) == (0, 1, 2)
  assert listing.sentinels == {0, 1, 2}
  checkpoint = _open(directory, 2)
  assert checkpoint.capacity == 10000
  assert checkpoint.add_count == 19262
  assert checkpoint.oldest_add == 9262
  assert checkpoint.frame_shape == (84, 84)
  assert checkpoint.has_end_indices


def test_end_indices_of_sample_are_read():
  path = files.path_of(
      str(SAMPLES / 'unwrapped' / 'checkpoints'), files.EPISODE_END_INDICES, 0
  )
  # 3 entries of padding, then 1034 steps: the first end is in slot 1036.
  assert files.read_end_indices(path, 20000) == {
      1036, 1863, 2814, 3807, 4836, 5710, 6583,
  }


def test_directory_must_exist(tmp_path):
  with pytest.raises(reader.LogError, match='nowhere does not exist'):
    files.list_checkpoints(str(tmp_path / 'nowhere'))


def test_directory_must_hold_a_log(tmp_path):
  (tmp_path / 'notes.txt').write_text('')
  with pytest.raises(
      reader.LogError,
      match=r'no Dopamine replay checkpoint: expected .* found notes.txt$',
  ):
    files.list_checkpoints(str(tmp_path))


@pytest.mark.parametrize('element', [files.REWARD, files.ADD_COUNT])
def test_missing_array_is_named(log, element):
  os.remove(files.path_of(log, element, 0))
  with pytest.raises(reader.LogError, match='is incomplete: .* missing') as e:
    _open(log)
  assert f'{element}_ckpt.0.gz' in str(e.value)


def test_arrays_must_be_of_one_length(log):
  _overwrite(log, files.REWARD, np.zeros(19, np.float32))
  with pytest.raises(
      reader.LogError, match=r'differ in length: .*action 20.*reward 19'
  ):
    _open(log)


@pytest.mark.parametrize(
    'element,dtype,expected',
    [
        (files.REWARD, np.float64, 'float64; expected float32'),
        (files.ACTION, np.int64, 'int64; expected int32'),
        (files.TERMINAL, bool, 'bool; expected uint8'),
    ],
)
def test_arrays_must_be_of_their_dtypes(log, element, dtype, expected):
  _overwrite(log, element, np.zeros(20, dtype))
  with pytest.raises(reader.LogError, match=expected):
    _open(log)


def test_actions_must_be_single_numbers(log):
  _overwrite(log, files.ACTION, np.zeros((20, 2), np.int32))
  with pytest.raises(reader.LogError, match='expected one number for each'):
    _open(log)


def test_arrays_must_have_slots(log):
  stored = (files.OBSERVATION, files.ACTION, files.REWARD, files.TERMINAL)
  for element in stored:
    path = files.path_of(log, element, 0)
    _overwrite(log, element, npy_gzip.read_array(path)[:0])
  with pytest.raises(reader.LogError, match='are empty; expected at least one'):
    _open(log)


@pytest.mark.parametrize(
    'count',
    [np.array(-1), np.array([3]), np.array(0.5), np.array(2**63, np.uint64)],
)
def test_add_count_must_be_a_count(log, count):
  _overwrite(log, files.ADD_COUNT, count)
  with pytest.raises(reader.LogError, match='expected a count of entries'):
    _open(log)


class _Evil:

  def __reduce__(self):
    return os.system, ('touch /tmp/this_must_not_happen',)


@pytest.mark.parametrize(
    'value', [_Evil(), [1, 2], {1, 'a'}, {20}, {-1}, {0.5}, None]
)
def test_end_indices_may_hold_slots_only(tmp_path, value):
  path = tmp_path / 'indices.gz'
  path.write_bytes(gzip.compress(pickle.dumps(value)))
  with pytest.raises(reader.LogError, match='indices.gz (is not|does not)'):
    files.read_end_indices(str(path), capacity=20)
  assert not os.path.exists('/tmp/this_must_not_happen')


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_end_indices_of_any_protocol_are_read(tmp_path, protocol):
  path = tmp_path / 'indices.gz'
  path.write_bytes(gzip.compress(pickle.dumps({1, 2}, protocol)))
  assert files.read_end_indices(str(path), capacity=20) == {1, 2}


def test_end_indices_may_be_empty(tmp_path):
  path = tmp_path / 'indices.gz'
  path.write_bytes(gzip.compress(pickle.dumps(set())))
  assert not files.read_end_indices(str(path), capacity=20)


def test_pickle_may_be_damaged(tmp_path):
  path = tmp_path / 'indices.gz'
  path.write_bytes(gzip.compress(pickle.dumps({1, 2})[:-2]))
  with pytest.raises(reader.LogError, match='is not a pickled set of integers'):
    files.read_end_indices(str(path), capacity=20)


def test_metadata_must_be_an_object(tmp_path):
  assert not files.read_metadata(str(tmp_path))
  path = tmp_path / files.METADATA_FILE
  path.write_text('{"epsilon": 0.1}')
  assert files.read_metadata(str(tmp_path)) == {'epsilon': 0.1}
  path.write_text('[1]')
  with pytest.raises(reader.LogError, match='does not hold a JSON object'):
    files.read_metadata(str(tmp_path))
  path.write_text('{')
  with pytest.raises(reader.LogError, match='is not JSON'):
    files.read_metadata(str(tmp_path))
