"""Tests of reading TensorFlow agents of Dopamine, written as it writes them."""

import math
import pickle

import numpy as np
import pytest
import tensorflow as tf

from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.teachers import numpy_forward
from rrl_pipeline.teachers import tf_checkpoint

_FRAME, _ACTIONS, _FILTERS, _HIDDEN, _COSINES = 20, 3, 2, 4, 5
_FEATURES = 3 * 3 * _FILTERS
_OUTPUTS = {'dqn': 1, 'c51': 51, 'iqn': 1}
_QUANTILES = np.array([0.1, 0.35, 0.8], np.float32)


class _Network:
  """An agent's network as a graph, of plain variables with given names."""

  def __init__(self, scope, algorithm, is_slim):
    self._scope = scope
    self._parts = ('weights', 'biases') if is_slim else ('kernel', 'bias')
    self._algorithm = algorithm
    self._counts = {}
    self._is_slim = is_slim

  def _layer(self, kind, *shape):
    number = self._counts.get(kind, 0)
    self._counts[kind] = number + 1
    name = f'{self._scope}/{kind}' + (f'_{number}' if number else '')
    rng = np.random.default_rng(len(name) + number)
    return [
        tf.compat.v1.get_variable(
            f'{name}/{part}', dtype=tf.float32,
            initializer=(0.3 * rng.standard_normal(size)).astype(np.float32))
        for part, size in zip(self._parts, (shape, shape[-1:]))]

  def _dense(self, x, kind, units):
    kernel, bias = self._layer(kind, int(x.shape[-1]), units)
    return x @ kernel + bias

  def __call__(self, observation):
    """uint8 [1, H, W, 4] to values; IQN's, at _QUANTILES."""
    x = tf.cast(observation, tf.float32) / 255
    for size, stride in ((8, 4), (4, 2), (3, 1)):
      kernel, bias = self._layer('Conv', size, size, int(x.shape[-1]), _FILTERS)
      x = tf.nn.relu(tf.nn.conv2d(x, kernel, stride, 'SAME') + bias)
    x = tf.reshape(x, [1, _FEATURES])
    if self._algorithm == 'iqn':
      cosines = tf.cos(tf.range(1, _COSINES + 1, dtype=tf.float32) * math.pi
                       * _QUANTILES[:, np.newaxis])
      kind = 'fully_connected' if self._is_slim else 'dense'
      x = x * tf.nn.relu(self._dense(cosines, kind, _FEATURES))
    x = tf.nn.relu(self._dense(x, 'fully_connected', _HIDDEN))
    x = self._dense(x, 'fully_connected', _ACTIONS * _OUTPUTS[self._algorithm])
    if self._algorithm == 'c51':
      logits = tf.reshape(x, [-1, _ACTIONS, 51])
      x = tf.reduce_sum(
          tf.nn.softmax(logits) * tf.linspace(-10.0, 10.0, 51), axis=2)
    return x


def _observations():
  return np.random.default_rng(0).integers(
      0, 256, (2, _FRAME, _FRAME, 4), np.uint8)


def _write(folder, algorithm='dqn', is_slim=False, number=7, steps=250_000):
  """A checkpoint as Dopamine's agent writes it; returns values [2, ...]."""
  folder.mkdir(parents=True, exist_ok=True)
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    observation = tf.compat.v1.placeholder(
        tf.uint8, [1, _FRAME, _FRAME, 4], 'state_ph')
    outputs = _Network('Online', algorithm, is_slim)(observation)
    _Network('Target', algorithm, is_slim)(observation)
    tf.compat.v1.get_variable('Online/Conv/weights/RMSProp', [2])
    session.run(tf.compat.v1.global_variables_initializer())
    saver = tf.compat.v1.train.Saver(max_to_keep=None)
    saver.save(session, str(folder / 'tf_ckpt'), global_step=number)
    values = [session.run(outputs, {observation: o[np.newaxis]})
              for o in _observations()]
  if steps is not None:
    (folder / f'ckpt.{number}').write_bytes(pickle.dumps(
        {'state': np.zeros((1, 20, 20, 4), np.uint8), 'training_steps': steps}))
  (folder / f'sentinel_checkpoint_complete.{number}').touch()
  return np.stack(values)


def _read(path, **options):
  return tf_checkpoint.read(foreign_teacher.Question(path, _ACTIONS, **options))


@pytest.mark.parametrize('is_slim', [True, False], ids=['slim', 'keras'])
@pytest.mark.parametrize('algorithm', _OUTPUTS)
def test_an_agent_is_recognised_and_computes_what_it_did(
    tmp_path, algorithm, is_slim):
  folder = tmp_path / 'checkpoints'
  expected = _write(folder, algorithm, is_slim)
  assert tf_checkpoint.matches(tmp_path)
  found = _read(tmp_path)
  network = found.network
  assert (network.torso, network.algorithm) == ('nature', algorithm)
  assert found.actor_steps == 250_000
  foreign_network.check(network, 'a', _FRAME)
  if algorithm == 'iqn':
    values = numpy_forward.quantile_values(network, _observations(), _QUANTILES)
  else:
    values = numpy_forward.q_values(network, _observations(), _QUANTILES)
    expected = expected[:, 0]
  assert np.ptp(expected) > 0.01
  np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_is_given_by_any_of_its_names(tmp_path):
  _write(tmp_path, number=3, steps=None)
  for name in ('tf_ckpt-3', 'tf_ckpt-3.index', 'tf_ckpt-3.data-00000-of-00001'):
    assert tf_checkpoint.matches(tmp_path / name)
    found = _read(tmp_path / name)
    assert [file.name for file in found.files] == [
        'tf_ckpt-3.data-00000-of-00001', 'tf_ckpt-3.index']
    assert found.actor_steps is None
  with pytest.raises(ValueError, match='is not named tf_ckpt-N'):
    _read(tmp_path / 'model.ckpt')


def test_a_checkpoint_that_is_not_whole_is_refused(tmp_path):
  _write(tmp_path)
  data = tmp_path / 'tf_ckpt-7.data-00000-of-00001'
  contents = data.read_bytes()
  data.write_bytes(contents[:100])
  with pytest.raises(ValueError, match='cannot be read as a checkpoint') as e:
    _read(tmp_path)
  assert '\n' not in str(e.value)
  data.unlink()
  with pytest.raises(ValueError, match=r'not whole: .* found tf_ckpt-7\.index'):
    _read(tmp_path)
  data.write_bytes(contents)
  (tmp_path / 'tf_ckpt-7.index').write_bytes(b'nothing')
  with pytest.raises(ValueError, match='cannot be read as a checkpoint'):
    _read(tmp_path)


def test_other_checkpoints_of_tensorflow_are_refused(tmp_path):
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.compat.v1.get_variable('Online/Conv/kernel', [8, 8, 4, 2])
    session.run(tf.compat.v1.global_variables_initializer())
    saver = tf.compat.v1.train.Saver()
    saver.save(session, str(tmp_path / 'tf_ckpt'), global_step=1)
    with pytest.raises(ValueError, match='has no bias for a layer'):
      _read(tmp_path / 'tf_ckpt-1')
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.compat.v1.get_variable('dense/kernel', [2, 2])
    session.run(tf.compat.v1.global_variables_initializer())
    saver = tf.compat.v1.train.Saver()
    saver.save(session, str(tmp_path / 'tf_ckpt'), global_step=2)
  with pytest.raises(ValueError, match='has no variables Online/Conv/'):
    _read(tmp_path / 'tf_ckpt-2')
  (tmp_path / 'empty').mkdir()
  with pytest.raises(ValueError, match='holds no files tf_ckpt-N'):
    _read(tmp_path / 'empty')
