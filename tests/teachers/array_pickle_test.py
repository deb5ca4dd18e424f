"""Tests of the unpickler: arrays come through, and nothing is ever run."""

import collections
import os
import pathlib
import pickle
import sys
import types

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
import numpy as np
import pytest

from rrl_pipeline.teachers import array_pickle

_SAMPLE = (pathlib.Path(__file__).parents[1] / 'testdata' / 'teachers'
           / 'dopamine' / 'dqn' / 'ckpt.3').read_bytes()
_NUMBERS = hypothesis_numpy.arrays(
    st.sampled_from(['<f4', '>f4', '<f8', '<i4', '|u1', '<i8', '|b1']),
    hypothesis_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0),
)


class _Calls:
  """Pickled as a call of a function."""

  def __init__(self, function, *arguments):
    self._call = function, arguments

  def __reduce__(self):
    return self._call


def _load(value, protocol=4):
  return array_pickle.load(pickle.dumps(value, protocol), 'a/ckpt.0')


def _refused(contents, match):
  with pytest.raises(ValueError, match=match) as caught:
    array_pickle.load(contents, 'a/ckpt.0')
  message = str(caught.value)
  assert message.startswith('a/ckpt.0 is not') and '\n' not in message
  assert len(message) < 500


@hypothesis.given(
    st.dictionaries(st.text(), _NUMBERS, max_size=3), st.integers(2, 5),
    st.booleans(),
)
def test_arrays_come_back(tree, protocol, is_fortran):
  if is_fortran:
    tree = {name: np.asfortranarray(array) for name, array in tree.items()}
  contents = {'online_params': {'params': tree}, 'state': (1, [2.5, None], 'a')}
  loaded = _load(contents, protocol)
  assert loaded['state'] == contents['state']
  found = array_pickle.arrays(loaded['online_params'], 'a')
  assert set(found) == {f'params/{name}' for name in tree}
  for name, array in tree.items():
    np.testing.assert_array_equal(found[f'params/{name}'], array)
    assert found[f'params/{name}'].dtype == array.dtype


def test_numbers_and_ordered_dictionaries_come_back():
  value = collections.OrderedDict(b=np.float64(-20.5), a=np.int32(3))
  assert _load(value) == {'b': -20.5, 'a': 3}


def test_the_checkpoint_of_a_jax_agent_is_read_without_jax():
  loaded = array_pickle.load(_SAMPLE, 'a')
  assert loaded['training_steps'] == 1234
  assert loaded['logs']['iteration_3'] == {'train_average_return': [-20.5]}
  found = array_pickle.arrays(loaded['online_params'], 'a')
  assert found['params/Conv_0/kernel'].shape == (8, 8, 4, 2)
  assert found['params/Dense_1/bias'].dtype == np.float32


@pytest.mark.parametrize('module, name', [
    ('jax._src.device_array', 'reconstruct_device_array'),
    ('jax._src.array', '_reconstruct_array'),
])
def test_arrays_of_jax_are_arrays(module, name, monkeypatch):
  def reconstruct():
    pass

  reconstruct.__module__, reconstruct.__qualname__ = module, name
  fake = types.ModuleType(module)
  setattr(fake, name, reconstruct)
  monkeypatch.setitem(sys.modules, module, fake)
  array = np.arange(6, dtype=np.float32).reshape(2, 3)
  aval_state = {'weak_type': False, 'named_shape': {}}
  contents = pickle.dumps(
      {'a': _Calls(reconstruct, *array.__reduce__(), aval_state)})
  found = array_pickle.arrays(array_pickle.load(contents, 'a'), 'a')
  np.testing.assert_array_equal(found['a'], array)


@pytest.mark.parametrize('contents', [
    # What FrozenDict.__reduce__ gives, and what pickle gives without it.
    b'cflax.core.frozen_dict\nFrozenDict\n((Va\nI1\ndtR.',
    b'\x80\x02cflax.core.frozen_dict\nFrozenDict\n)\x81N(V_dict\n(Va\nI1\nd'
    b'V_hash\nNd\x86b.',
])
def test_frozen_dictionaries_are_dictionaries(contents):
  assert array_pickle.load(contents, 'a') == {'a': 1}


@pytest.mark.parametrize('protocol', range(6))
@pytest.mark.parametrize('nest', [
    lambda x: x, lambda x: {'online_params': x}, lambda x: [(x,)],
    lambda x: {'optimizer_state': {'mu': [np.zeros(2), x]}},
])
def test_a_pickle_that_calls_a_function_is_refused(tmp_path, protocol, nest):
  mark = tmp_path / 'mark'
  contents = pickle.dumps(nest(_Calls(os.mkdir, str(mark))), protocol)
  _refused(contents, r'it asks for posix\.mkdir\. Only numbers, text, arrays')
  assert not mark.exists()
  pickle.loads(contents)  # It would have been made.
  assert mark.exists()


@pytest.mark.parametrize('contents', [
    b"cos\nsystem\n(S'touch mark'\ntR.",  # REDUCE
    b"(S'touch mark'\nios\nsystem\n.",  # INST
    b"(cos\nsystem\nS'touch mark'\no.",  # OBJ
    b'cbuiltins\neval\n(Vopen("mark", "w")\ntR.',
    b'c__builtin__\nexec\n(Vopen("mark", "w")\ntR.',
    b'cnumpy\nload\n(Vmark\ntR.',
    b'cnumpy.core.multiarray\nload\n(Vmark\ntR.',
    b'ctorch._utils\n_rebuild_tensor_v2\n(tR.',
    b'ccopyreg\n_reconstructor\n(tR.',
    b'\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.',
    # Functions of an allowed package, reached by way of another module.
    b'\x80\x04\x8c\x0bcollections\x8c\x0f_sys.modules.os\x93.',
])
def test_names_of_other_modules_are_refused(contents, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  _refused(contents, 'it asks for ')
  assert not list(tmp_path.iterdir())


def test_objects_of_the_writers_are_empty_and_never_imported(monkeypatch):
  imported = []
  find = __import__
  monkeypatch.setattr('builtins.__import__', lambda name, *a, **k: (
      imported.append(name), find(name, *a, **k))[1])
  loaded = array_pickle.load(
      b'(coptax.evil\nAdam\n(I1\ntRcjax.evil\nF\n)\x81(Vk\nI1\ndbcflax.evil\nG'
      b'\nl.', 'a')
  assert [type(item).__name__ for item in loaded] == [
      'Ignored', 'Ignored', 'type']
  assert not loaded[1].__dict__
  assert not any('evil' in name for name in imported)


@pytest.mark.parametrize('state', [
    (1, (2, 3), np.dtype('f4'), False, b'123'),
    (1, (-1,), np.dtype('f4'), False, b''),
    (1, (2,) * 40, np.dtype('u1'), False, b''),
    (1, (1 << 62,), np.dtype('f4'), False, b'1234'),
    (1, (1,), np.dtype('O'), False, [1]),
    (1, (1,), np.dtype('S4'), False, b'1234'),
    (1, (1,), 'f4', False, b'1234'),
    (1, (1,), np.dtype('f4'), False, 'text'),
    (1,),
])
def test_an_array_that_does_not_fit_its_bytes_is_refused(state):
  reconstruct, arguments, _ = np.zeros(1).__reduce__()

  class Array:

    def __reduce__(self):
      return reconstruct, arguments, state

  _refused(pickle.dumps(Array()), 'a checkpoint that can be read')


@pytest.mark.parametrize('contents', [
    b'', b'not a pickle', b'\x80\x04.', _SAMPLE[:-100], _SAMPLE[:50],
    # It remembers objects under numbers that would take all of memory.
    b'\x80\x02]r\xff\xff\xff\x7f.', b'\x80\x02]p999999999\n.',
    # It refers to something outside of it.
    b'\x80\x02X\x01\x00\x00\x00aQ.', b'Pa\n.',
    # It changes what others share.
    b'\x80\x02cnumpy\ndtype\n}X\x08\x00\x00\x00__call__Nsb.',
    b'\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aNsb.',
    b'\x80\x02cflax.core.frozen_dict\nFrozenDict\nN}X\x01\x00\x00\x00aNs\x86b.',
    b'\x80\x02\x82\x01.',
])
def test_damage_is_one_line(contents):
  _refused(contents, 'a/ckpt.0 is not a checkpoint')


@hypothesis.given(st.binary(max_size=60))
def test_any_bytes_give_one_line_or_a_value(contents):
  try:
    array_pickle.load(contents, 'a/ckpt.0')
  except ValueError as error:
    assert '\n' not in str(error)


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=200)
def test_a_damaged_checkpoint_gives_one_line_or_a_value(data):
  damaged = bytearray(_SAMPLE)
  for _ in range(data.draw(st.integers(1, 4))):
    # Most of what is not numbers lies at the beginning.
    i = data.draw(st.integers(0, 800) | st.integers(0, len(damaged) - 1))
    damaged[i] = data.draw(st.integers(0, 255))
  try:
    loaded = array_pickle.load(bytes(damaged), 'a/ckpt.0')
    array_pickle.arrays(loaded, 'a/ckpt.0')
  except ValueError as error:
    assert '\n' not in str(error)


def test_what_is_no_array_is_named():
  with pytest.raises(ValueError, match=r"a has no array at 'Dense/bias'"):
    array_pickle.arrays(_load({'Dense': {'bias': [1.0]}}), 'a')
  with pytest.raises(ValueError, match="a has no array at 'the top'"):
    array_pickle.arrays(None, 'a')


def test_dictionaries_that_hold_each_other_come_to_an_end():
  endless = {}
  endless['a'] = endless['b'] = endless
  with pytest.raises(ValueError, match='more than 1000 values'):
    array_pickle.arrays(_load(endless), 'a')
