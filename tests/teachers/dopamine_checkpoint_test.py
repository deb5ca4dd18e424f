"""Tests of reading JAX agents of Dopamine, against what they say themselves."""

import dataclasses
import pathlib
import pickle
import shutil

import numpy as np
import pytest

from rrl_pipeline.teachers import array_pickle
from rrl_pipeline.teachers import dopamine_checkpoint
from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.teachers import numpy_forward

_FOLDER = (pathlib.Path(__file__).parents[1] / 'testdata' / 'teachers'
           / 'dopamine')
_FRAME, _ACTIONS = 20, 3


def _question(path, **options):
  return foreign_teacher.Question(pathlib.Path(path), _ACTIONS, **options)


def _read(name, **options):
  return dopamine_checkpoint.read(
      _question(_FOLDER / name / 'ckpt.3', **options))


@pytest.fixture(scope='module', name='expected')
def fixture_expected():
  with np.load(_FOLDER / 'expected.npz') as arrays:
    return dict(arrays)


@pytest.mark.parametrize('name, torso, algorithm, is_dueling', [
    ('dqn', 'nature', 'dqn', False),
    ('impala', 'impala', 'dqn', False),
    ('rainbow', 'nature', 'c51', False),
    ('full_rainbow', 'nature', 'c51', True),
    ('iqn', 'nature', 'iqn', False),
])
def test_an_agent_is_recognised_and_computes_what_it_did(
    name, torso, algorithm, is_dueling, expected):
  found = _read(name)
  network = found.network
  assert (network.torso, network.algorithm) == (torso, algorithm)
  assert (network.dense.state_value is not None) == is_dueling
  assert (network.padding, network.stack_size) == ('same', 4)
  assert found.actor_steps == 1234
  foreign_network.check(network, name, _FRAME)
  observations = expected['observations']
  if name == 'iqn':
    values = numpy_forward.quantile_values(
        network, observations, expected['quantiles'])
    np.testing.assert_allclose(
        numpy_forward.q_values(network, observations, expected['quantiles']),
        expected[name].mean(axis=1), rtol=1e-4, atol=1e-5)
  else:
    values = numpy_forward.q_values(network, observations, np.zeros(1))
  assert np.ptp(expected[name]) > 0.1
  np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5)


def test_the_lineage_names_the_file():
  found = _read('full_rainbow')
  lineage = found.lineage()
  contents = (_FOLDER / 'full_rainbow' / 'ckpt.3').read_bytes()
  assert lineage['format'] == 'dopamine_jax'
  assert lineage['files'][0]['name'] == 'ckpt.3'
  assert lineage['files'][0]['bytes'] == len(contents)
  assert len(lineage['files'][0]['sha256']) == 64
  assert lineage['findings'] == [
      '3 convolutions with 2-2-2 filters: nature',
      'two output layers on one hidden layer: dueling',
      '153 outputs are 51 values per action: c51',
      'its 51 atoms are not in the file: taken as even from -10 to 10'
      ' (--v_max)',
      'its dense layers are noisy: the means are taken, as Dopamine does to'
      ' evaluate it',
  ]


def test_the_atoms_are_as_wide_as_asked():
  atoms = _read('rainbow', v_max=2.5).network.atoms
  np.testing.assert_array_equal(atoms, np.linspace(-2.5, 2.5, 51, dtype='f4'))


def test_the_newest_complete_checkpoint_of_a_folder_is_taken(tmp_path):
  folder = tmp_path / 'agent' / 'checkpoints'
  folder.mkdir(parents=True)
  for number in (9, 10, 11):
    shutil.copy(_FOLDER / 'dqn' / 'ckpt.3', folder / f'ckpt.{number}')
  assert dopamine_checkpoint.matches(folder.parent)
  with pytest.raises(ValueError, match=r'is complete: .*none for \[9, 10, 11'):
    dopamine_checkpoint.read(_question(folder))
  for number in (9, 10):
    (folder / f'sentinel_checkpoint_complete.{number}').touch()
  for path in (folder, folder.parent):
    found = dopamine_checkpoint.read(_question(path))
    assert [file.name for file in found.files] == ['ckpt.10']
    assert 'checkpoint 10, the newest complete' in found.findings[0]
  # The user may insist.
  found = dopamine_checkpoint.read(_question(folder / 'ckpt.11'))
  assert found.files == (folder / 'ckpt.11',)


def test_an_encoder_is_known_by_other_names_too(tmp_path, expected):
  path = _FOLDER / 'impala' / 'ckpt.3'
  content = array_pickle.load(path.read_bytes(), 'a')
  arrays = array_pickle.arrays(content['online_params'], 'a')
  params = {}
  for name, array in arrays.items():
    *folders, last = name.replace('_stacks_', 'Stack_').split('/')
    inner = params
    for folder in folders:
      inner = inner.setdefault(folder, {})
    inner[last] = array
  assert 'Stack_2' in params['params']['encoder']
  renamed = _save(tmp_path, {'online_params': params})
  network = dopamine_checkpoint.read(_question(renamed)).network
  np.testing.assert_allclose(
      numpy_forward.q_values(network, expected['observations'], np.zeros(1)),
      expected['impala'], rtol=1e-4, atol=1e-5)


def _save(folder, value):
  path = folder / 'ckpt.0'
  path.write_bytes(pickle.dumps(value))
  return path


def _layer(*shape):
  return {'kernel': np.zeros(shape, np.float32),
          'bias': np.zeros(shape[-1], np.float32)}


def _nature(**dense):
  return {'params': {'Conv_0': _layer(8, 8, 4, 2), 'Conv_1': _layer(4, 4, 2, 2),
                     'Conv_2': _layer(3, 3, 2, 2), **dense}}


@pytest.mark.parametrize('params, match', [
    ({'params': {'LSTM_0': _layer(3, 3)}},
     "2 arrays that no known .*'params/LSTM"),
    ({'params': {'Conv_0': _layer(8, 8, 4, 2)}},
     '1 convolutions and 0 dense layers; expected the 3 of'),
    (_nature(Dense_0=_layer(18, 4), Dense_1={'kernel': np.zeros((4, 3))}),
     'no bias of Dense_1, only kernel'),
    (_nature(Dense_0=_layer(18, 4), Dense_1=_layer(4, 4)),
     '4 outputs, which are no multiple of the 3 actions'),
    (_nature(Dense_0=_layer(18, 4), Dense_1=_layer(4, 21)),
     r"7 values per action, neither C51's 51 nor .* --algorithm"),
    (_nature(Dense_0=_layer(18, 4), Dense_1=_layer(5, 4), Dense_2=_layer(6, 3)),
     'do not belong together for 3 actions'),
    (_nature(Dense_0=_layer(18, 4), Dense_1={
        'kernel': np.zeros((4, 3), np.float32), 'bias': np.zeros((1, 3))}),
     r'kernel \(4, 3\) and a bias \(1, 3\)'),
    ([], 'has no array at'),
])
def test_other_networks_are_refused(tmp_path, params, match):
  path = _save(tmp_path, {'online_params': params})
  with pytest.raises(ValueError, match=match):
    dopamine_checkpoint.read(_question(path))


def test_quantiles_and_atoms_are_told_by_their_number_or_by_the_user(tmp_path):
  def read(count, algorithm=None):
    path = _save(tmp_path, {'online_params': _nature(
        Dense_0=_layer(18, 4), Dense_1=_layer(4, 3 * count))})
    return dopamine_checkpoint.read(
        _question(path, algorithm=algorithm)).network

  assert read(200).algorithm == 'quantile'
  assert read(200, 'c51').atoms.shape == (200,)
  assert read(32, 'quantile').algorithm == 'quantile'
  for count, algorithm in ((1, 'c51'), (51, 'dqn'), (51, 'iqn')):
    with pytest.raises(ValueError, match=f'is not of {algorithm}'):
      read(count, algorithm)
  with pytest.raises(ValueError, match='is not of c51: a dense layer from 64'):
    _read('iqn', algorithm='c51')


@pytest.mark.parametrize('change, match', [
    (lambda n: n.convolutions[1]._replace(kernel=np.zeros((3, 3, 2, 2), 'f4')),
     r'Convolution 1 .* shape \(3, 3, 2, 2\); expected \(4, 4, 2, 2\)'),
    (lambda n: n.convolutions[1]._replace(bias=np.zeros(5, 'f4')),
     r'Convolution 1 .* has a kernel \(4, 4, 2, 2\) and a bias \(5,\)'),
    (lambda n: n.convolutions[1]._replace(bias=np.zeros(2)), 'holds float64'),
    (lambda n: n.convolutions[1]._replace(bias=np.full(2, np.nan, 'f4')),
     'no finite float32'),
])
def test_layers_that_do_not_fit_are_named(change, match):

  network = _read('dqn').network
  layers = list(network.convolutions)
  layers[1] = change(network)
  network = dataclasses.replace(network, convolutions=tuple(layers))
  with pytest.raises(ValueError, match=match):
    foreign_network.check(network, 'a', _FRAME)


def test_frames_of_another_size_are_refused():
  with pytest.raises(ValueError, match=r'takes 18 inputs, but 242 come for '
                     r"frames of 84x84 and padding 'same'"):
    foreign_network.check(_read('dqn').network, 'a', 84)


def test_what_is_no_agent_is_refused(tmp_path):
  path = _save(tmp_path, {'state': 1, 'training_steps': 2})
  with pytest.raises(ValueError, match='no online_params, .*state, training_st'
                     '.* in files tf_ckpt-N'):
    dopamine_checkpoint.read(_question(path))
  with pytest.raises(ValueError, match='it holds int'):
    dopamine_checkpoint.read(_question(_save(tmp_path, 3)))
  (tmp_path / 'empty').mkdir()
  with pytest.raises(ValueError, match='holds no file ckpt.N'):
    dopamine_checkpoint.read(_question(tmp_path / 'empty'))
  assert not dopamine_checkpoint.matches(tmp_path / 'empty')
  assert not dopamine_checkpoint.matches(tmp_path / 'tf_ckpt-1.index')


@pytest.mark.parametrize('options, match', [
    ({'algorithm': 'rainbow'}, "must be one of .*got 'rainbow'"),
    ({'v_max': 0.0}, 'v_max must be positive'),
])
def test_questions_are_checked(options, match):
  with pytest.raises(ValueError, match=match):
    _question('a', **options)
