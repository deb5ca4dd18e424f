"""Tests of the losses of distributions of returns against NumPy loops."""

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import losses
import tensorflow as tf

_B, _A, _M = 5, 3, 7
_SUPPORT = np.linspace(-2, 2, _M)


def _softmax(x):
  e = np.exp(x - x.max(axis=-1, keepdims=True))
  return e / e.sum(axis=-1, keepdims=True)


def _project(returns, probabilities, support):
  """Algorithm 1 of Bellemare et al. (2017), as it is printed there."""
  step = support[1] - support[0]
  projected = np.zeros_like(support)
  for z, p in zip(returns, probabilities):
    b = (min(max(z, support[0]), support[-1]) - support[0]) / step
    b = round(b, 9)  # Or an atom would be hit by rounding only.
    lower, upper = int(np.floor(b)), int(np.ceil(b))
    if lower == upper:
      projected[lower] += p
    else:
      projected[lower] += p * (upper - b)
      projected[upper] += p * (b - lower)
  return projected


def _quantile_td(
    quantiles, fractions, actions, rewards, discounts, targets, selector, kappa
):
  """Equation 10 of Dabney et al. (2018), one pair of quantiles at a time."""
  result = []
  for b, action in enumerate(actions):
    samples = rewards[b] + discounts[b] * targets[b, selector[b].argmax()]
    total = 0.0
    for theta, tau in zip(quantiles[b, action], fractions[b]):
      for sample in samples:
        u = sample - theta
        if abs(u) <= kappa:
          huber = 0.5 * u**2
        else:
          huber = kappa * (abs(u) - 0.5 * kappa)
        total += abs(tau - (u < 0)) * huber / kappa / len(samples)
    result.append(total)
  return np.array(result)


def _inputs(seed, quantiles=_M, targets=_M):
  generator = np.random.default_rng(seed)
  return {
      'tm1': generator.normal(0, 1.5, (_B, _A, quantiles)),
      'actions': generator.integers(0, _A, _B),
      'rewards': generator.normal(0, 1, _B),
      'discounts': np.array([0.97, 0, 0.97, 0.5, 1.0]),
      't': generator.normal(0, 1.5, (_B, _A, targets)),
      'selector': generator.normal(0, 1, (_B, _A)),
  }


def _tensors(*arrays):
  return [
      tf.constant(x, tf.int32 if x.dtype.kind == 'i' else tf.float32)
      for x in arrays
  ]


@pytest.mark.parametrize('seed', range(3))
def test_the_projection_equals_the_published_algorithm(seed):
  generator = np.random.default_rng(seed)
  # On atoms, between them, and beyond both ends.
  returns = np.concatenate(
      [generator.normal(0, 2, (4, 5)), generator.choice(_SUPPORT, (4, 5))], 1
  )
  probabilities = generator.dirichlet(np.ones(10), 4)
  projected = losses.project(*_tensors(returns, probabilities, _SUPPORT))
  expected = [_project(z, p, _SUPPORT) for z, p in zip(returns, probabilities)]
  np.testing.assert_allclose(projected, expected, atol=1e-6)
  np.testing.assert_allclose(tf.reduce_sum(projected, 1), np.ones(4), rtol=1e-6)


def test_a_projection_keeps_the_mean_of_returns_within_the_support():
  generator = np.random.default_rng(0)
  returns = generator.uniform(-2, 2, (4, 9))
  probabilities = generator.dirichlet(np.ones(9), 4)
  projected = losses.project(*_tensors(returns, probabilities, _SUPPORT))
  np.testing.assert_allclose(
      projected.numpy() @ _SUPPORT, (returns * probabilities).sum(1), atol=1e-5
  )


def test_categorical_td_equals_a_loop():
  x = _inputs(0)
  loss = losses.categorical_td(
      *_tensors(x['tm1'], x['actions'], x['rewards'], x['discounts'], x['t'],
                x['selector'], _SUPPORT)
  )
  expected = []
  for b, action in enumerate(x['actions']):
    target = _project(
        x['rewards'][b] + x['discounts'][b] * _SUPPORT,
        _softmax(x['t'][b, x['selector'][b].argmax()]),
        _SUPPORT,
    )
    expected.append(-(target * np.log(_softmax(x['tm1'][b, action]))).sum())
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_terminal_transition_makes_a_target_of_one_return():
  loss = losses.categorical_td(
      tf.constant([[np.log([0.2, 0.5, 0.3])]], tf.float32),
      tf.constant([0]),
      tf.constant([0.5]),
      tf.constant([0.0]),
      tf.random.stateless_normal([1, 1, 3], [0, 0]),
      tf.zeros([1, 1]),
      tf.constant([-1.0, 0.0, 1.0]),
  )
  np.testing.assert_allclose(
      loss, [-0.5 * np.log(0.5) - 0.5 * np.log(0.3)], rtol=1e-5
  )


@pytest.mark.parametrize('kappa', [0.5, 1.0, 2.0])
@pytest.mark.parametrize('quantiles, targets', [(_M, _M), (4, 9)])
def test_quantile_td_equals_a_loop(kappa, quantiles, targets):
  x = _inputs(1, quantiles, targets)
  fractions = np.random.default_rng(2).random((_B, quantiles))
  loss = losses.quantile_td(
      *_tensors(x['tm1'], fractions, x['actions'], x['rewards'],
                x['discounts'], x['t'], x['selector']),
      kappa,
  )
  expected = _quantile_td(
      x['tm1'], fractions, x['actions'], x['rewards'], x['discounts'], x['t'],
      x['selector'], kappa,
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_quantile_regression_finds_the_quantiles():
  # A small κ is quantile regression proper; the samples are 0, 1, …, 99.
  midpoints = tf.constant([[0.1, 0.3, 0.5, 0.7, 0.9]])
  samples = tf.reshape(tf.range(100, dtype=tf.float32), [1, 1, 100])
  quantiles = tf.Variable(tf.zeros([1, 1, 5]))
  optimizer = tf.keras.optimizers.legacy.SGD(5.0)

  @tf.function
  def descend():
    with tf.GradientTape() as tape:
      loss = losses.quantile_td(
          quantiles, midpoints, tf.constant([0]), tf.constant([0.0]),
          tf.constant([1.0]), samples, tf.zeros([1, 1]), 0.01,
      )
    optimizer.apply_gradients([(tape.gradient(loss, quantiles), quantiles)])

  for _ in range(300):
    descend()
  np.testing.assert_allclose(
      quantiles[0, 0], [9.5, 29.5, 49.5, 69.5, 89.5], atol=1.0
  )


@pytest.mark.parametrize('name', ['categorical', 'quantile'])
def test_gradients_reach_the_taken_action_of_the_online_network_only(name):
  x = _inputs(3)
  tm1, actions, rewards, discounts, t, selector = _tensors(*x.values())
  with tf.GradientTape(persistent=True) as tape:
    tape.watch([tm1, t, selector])
    if name == 'categorical':
      loss = losses.categorical_td(
          tm1, actions, rewards, discounts, t, selector,
          tf.constant(_SUPPORT, tf.float32),
      )
    else:
      loss = losses.quantile_td(
          tm1, tf.fill([1, _M], 0.5), actions, rewards, discounts, t, selector,
          1.0,
      )
  gradient = tape.gradient(loss, tm1).numpy()
  taken = np.eye(_A)[x['actions']].astype(bool)
  assert np.abs(gradient[taken]).sum(axis=1).all()
  assert not gradient[~taken].any()
  assert tape.gradient(loss, t) is None
  assert tape.gradient(loss, selector) is None


@pytest.mark.parametrize(
    'function, position, name, rank',
    [
        (losses.categorical_td, 0, 'logits_tm1', 3),
        (losses.categorical_td, 1, 'a_tm1', 1),
        (losses.categorical_td, 2, 'r_t', 1),
        (losses.categorical_td, 4, 'logits_t', 3),
        (losses.categorical_td, 6, 'support', 1),
        (losses.quantile_td, 0, 'quantiles_tm1', 3),
        (losses.quantile_td, 1, 'fractions_tm1', 2),
        (losses.quantile_td, 4, 'discount_t', 1),
        (losses.quantile_td, 5, 'quantiles_t', 3),
        (losses.quantile_td, 6, 'q_t_selector', 2),
    ],
)
def test_an_input_of_another_rank_is_named(function, position, name, rank):
  x = _inputs(0)
  common = [x['actions'], x['rewards'], x['discounts'], x['t'], x['selector']]
  if function is losses.categorical_td:
    inputs = _tensors(x['tm1'], *common, _SUPPORT)
  else:
    inputs = [*_tensors(x['tm1'], np.full((1, _M), 0.5), *common), 1.0]
  inputs[position] = inputs[position][..., None]
  with pytest.raises(ValueError, match=f'{name} must have rank {rank}, got'):
    function(*inputs)
