"""Tests of the optimisers against their formulas in NumPy."""

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import optimizer_config
from rrl_pipeline.agents import optimizers
import tensorflow as tf


def _adam(start, gradients, rates, epsilon):
  x, m, v = start.astype(float), 0.0, 0.0
  for t, (gradient, rate) in enumerate(zip(gradients, rates), start=1):
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    corrected = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    x = x - corrected * m / (np.sqrt(v) + epsilon)
  return x


def _rmsprop(start, gradients, rates, epsilon, decay):
  """Centred, with ε below the root: Graves (2013), equations 38 to 41."""
  x, mean, square = start.astype(float), 0.0, 0.0
  for gradient, rate in zip(gradients, rates):
    mean = decay * mean + (1 - decay) * gradient
    square = decay * square + (1 - decay) * gradient**2
    x = x - rate * gradient / np.sqrt(square - mean**2 + epsilon)
  return x


def _inputs():
  generator = np.random.default_rng(0)
  return (
      generator.normal(size=(3, 2)).astype(np.float32),
      generator.normal(0, 0.1, (6, 3, 2)).astype(np.float32),
      [1e-2, 1e-2, 1e-3, 1e-3, 1e-2, 1e-2],
  )


def _apply(optimizer, variable, gradients, rates):
  for gradient, rate in zip(gradients, rates):
    optimizer.learning_rate.assign(rate)
    optimizer.apply_gradients([(tf.constant(gradient), variable)])


_CONFIGS = [
    optimizer_config.AdamConfig(epsilon=1e-3),
    optimizer_config.RmspropConfig(decay=0.9, epsilon=1e-4),
]


def _expected(config, start, gradients, rates):
  if config.kind == 'adam':
    return _adam(start, gradients, rates, config.epsilon)
  return _rmsprop(start, gradients, rates, config.epsilon, config.decay)


@pytest.mark.parametrize('config', _CONFIGS, ids=lambda c: c.kind)
def test_six_steps_equal_numpy(config):
  start, gradients, rates = _inputs()
  variable = tf.Variable(start)
  optimizer = optimizers.make(config, 1.0, [variable])
  _apply(optimizer, variable, gradients, rates)
  np.testing.assert_allclose(
      variable, _expected(config, start, gradients, rates), rtol=1e-4
  )


@pytest.mark.parametrize('config', _CONFIGS, ids=lambda c: c.kind)
def test_a_reset_optimizer_is_a_new_one(config):
  start, gradients, rates = _inputs()
  variable = tf.Variable(start)
  optimizer = optimizers.make(config, 1.0, [variable])
  _apply(optimizer, variable, gradients, rates)
  optimizers.reset(optimizer)
  variable.assign(start)
  _apply(optimizer, variable, gradients[::-1], rates)
  np.testing.assert_allclose(
      variable, _expected(config, start, gradients[::-1], rates), rtol=1e-4
  )


def test_rmsprop_is_that_of_nature_dqn():
  config = optimizer_config.RmspropConfig()
  assert (config.decay, config.epsilon) == (0.95, 1e-5)


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: optimizer_config.AdamConfig(epsilon=0.0), 'epsilon must be'),
        (lambda: optimizer_config.RmspropConfig(decay=1.0), r'in \[0, 1\)'),
        (lambda: optimizer_config.RmspropConfig(epsilon=-1.0), 'got -1.0'),
    ],
)
def test_impossible_settings_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
