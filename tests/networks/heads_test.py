"""Tests of the heads against NumPy, on top of a torso of known layers."""

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.networks import config
from rrl_pipeline.networks import factory
from rrl_pipeline.networks import heads
import tensorflow as tf

_SIZE, _ACTIONS, _BATCH = 6, 3, 4
_SUPPORT = (-2.0, -1.0, 0.0, 1.0, 2.0)
_TORSO = config.MlpConfig(hidden_sizes=(7, 5))


def _network(head, seed=0):
  network = factory.make(_TORSO, head, (_SIZE,), 'float32', seed)
  generator = np.random.default_rng(seed)
  for variable in network.variables:
    if variable.shape.rank == 1:
      variable.assign(generator.normal(0, 0.3, variable.shape))
  return network


def _observations():
  return np.random.default_rng(1).normal(size=(_BATCH, _SIZE)).astype('float32')


def _dense(network, name, x):
  layer = network.values.get_layer(name)
  return x @ layer.kernel.numpy().astype(float) + layer.bias.numpy()


def _relu(x):
  return np.maximum(x, 0)


def _below_the_head(network, x):
  features = _relu(_dense(network, 'hidden_0', x))
  return _relu(_dense(network, 'hidden_1', features))


def _softmax(x):
  e = np.exp(x - x.max(axis=-1, keepdims=True))
  return e / e.sum(axis=-1, keepdims=True)


def test_q_values():
  network, x = _network(heads.QValueHead(_ACTIONS)), _observations()
  expected = _dense(network, 'q_values', _below_the_head(network, x))
  predictions = network.predict(x)
  np.testing.assert_allclose(predictions.values, expected, rtol=1e-5)
  np.testing.assert_allclose(network.values(x), expected, rtol=1e-5)
  assert predictions.distribution is None


def test_a_categorical_head_expects_the_mean_of_its_support():
  network = _network(heads.CategoricalHead(_ACTIONS, _SUPPORT))
  x = _observations()
  logits = _dense(network, 'logits', _below_the_head(network, x))
  logits = logits.reshape(_BATCH, _ACTIONS, 5)
  predictions = network.predict(x)
  np.testing.assert_allclose(predictions.distribution, logits, atol=1e-5)
  expected = _softmax(logits) @ np.array(_SUPPORT)
  np.testing.assert_allclose(predictions.values, expected, atol=1e-5)
  np.testing.assert_allclose(network.values(x), expected, atol=1e-5)


def test_a_quantile_head_expects_the_mean_of_its_quantiles():
  network, x = _network(heads.QuantileHead(_ACTIONS, 11)), _observations()
  quantiles = _dense(network, 'quantiles', _below_the_head(network, x))
  quantiles = quantiles.reshape(_BATCH, _ACTIONS, 11)
  predictions = network.predict(x)
  np.testing.assert_allclose(predictions.distribution, quantiles, atol=1e-5)
  np.testing.assert_allclose(
      network.values(x), quantiles.mean(axis=2), atol=1e-5
  )


def _implicit_quantiles(network, x, fractions):
  """Equation 4 of Dabney et al. (2018), with i from 1 on, one at a time."""
  features = _relu(_dense(network, 'hidden_0', x))
  result = np.empty((_BATCH, _ACTIONS, fractions.shape[1]))
  for b in range(_BATCH):
    for m, tau in enumerate(fractions[b]):
      cosines = np.array([np.cos(np.pi * i * tau) for i in range(1, 9)])
      embedded = _relu(_dense(network, 'embedding', cosines))
      hidden = _relu(_dense(network, 'hidden_1', features[b] * embedded))
      result[b, :, m] = _dense(network, 'quantiles', hidden)
  return result


def test_implicit_quantiles_at_given_fractions():
  network = _network(heads.ImplicitQuantileHead(_ACTIONS, 4, 8))
  x = _observations()
  fractions = np.random.default_rng(2).random((_BATCH, 6)).astype('float32')
  predictions = network.predict(x, fractions)
  np.testing.assert_allclose(
      predictions.distribution,
      _implicit_quantiles(network, x, fractions),
      atol=1e-5,
  )
  # The expected values are those of evenly spaced fractions all the same.
  even = np.tile([0.125, 0.375, 0.625, 0.875], (_BATCH, 1))
  expected = _implicit_quantiles(network, x, even).mean(axis=2)
  np.testing.assert_allclose(predictions.values, expected, atol=1e-5)
  np.testing.assert_allclose(network.values(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    'head',
    [
        heads.QValueHead(_ACTIONS),
        heads.CategoricalHead(_ACTIONS, _SUPPORT),
        heads.QuantileHead(_ACTIONS, 11),
        heads.ImplicitQuantileHead(_ACTIONS, 4, 8),
    ],
)
def test_every_head_can_be_saved_and_read_without_its_source(head, tmp_path):
  network, x = _network(head), _observations()
  exported = tf.Module()
  exported.network = network.values
  exported.values = tf.function(
      network.values, input_signature=[tf.TensorSpec([None, _SIZE])]
  )
  tf.saved_model.save(exported, str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))
  np.testing.assert_allclose(loaded.values(x), network.values(x), rtol=1e-6)
  # In the same order, or a student could not begin with these weights.
  for a, b in zip(
      loaded.network.variables, network.variables, strict=True
  ):
    assert a.name == b.name
    np.testing.assert_array_equal(a, b)
