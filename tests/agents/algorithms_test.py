"""Tests of the algorithms: from predictions to losses and priorities."""

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import algorithms
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import losses
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import heads
import tensorflow as tf

_BATCH, _ACTIONS, _SIZE = 6, 3, 5
_ALGORITHMS = [
    algorithm_config.DqnConfig(),
    algorithm_config.C51Config(num_atoms=11, v_max=2.0),
    algorithm_config.QuantileConfig(num_quantiles=7),
    algorithm_config.IqnConfig(
        num_fractions=5,
        num_target_fractions=4,
        num_value_fractions=3,
        embedding_size=8,
    ),
]


def _network(config, seed=0):
  return builder.make_value_network(
      network_config.MlpConfig(hidden_sizes=(8, 6)), config, (_SIZE,),
      'float32', _ACTIONS, seed,
  )


def _batch():
  generator = np.random.default_rng(0)
  return [
      tf.constant(x)
      for x in (
          generator.integers(0, _ACTIONS, _BATCH).astype(np.int32),
          generator.normal(0, 1, _BATCH).astype(np.float32),
          np.array([0.9, 0, 0.9, 0.9, 0.5, 0.9], np.float32),
      )
  ]


def _observations(seed):
  return tf.random.stateless_normal([_BATCH, _SIZE], [seed, 0])


def _loss(config):
  algorithm = algorithms.make(config)
  online, target = _network(config, 0), _network(config, 1)
  tm1, fractions = algorithms.predict(
      online, _observations(0), algorithm.num_online_fractions, [0, 1]
  )
  t, _ = algorithms.predict(
      target, _observations(1), algorithm.num_target_fractions, [0, 2]
  )
  return (
      algorithm.td_loss(tm1, fractions, *_batch(), t, t.values), tm1,
      fractions, t,
  )


@pytest.mark.parametrize('config', _ALGORITHMS, ids=lambda c: c.kind)
def test_each_transition_has_a_loss_and_a_priority(config):
  (loss, priorities), *_ = _loss(config)
  assert loss.shape == priorities.shape == (_BATCH,)
  assert loss.dtype == priorities.dtype == tf.float32
  assert (loss.numpy() > 0).all() and (priorities.numpy() > 0).all()
  if config.kind == 'dqn':
    error = priorities.numpy()
    expected = np.where(error <= 1, error**2 / 2, error - 0.5)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
  else:
    np.testing.assert_allclose(priorities, np.sqrt(loss), rtol=1e-5)


@pytest.mark.parametrize('config', _ALGORITHMS, ids=lambda c: c.kind)
def test_the_loss_is_that_of_the_predicted_distribution(config):
  (loss, _), tm1, fractions, t = _loss(config)
  a, r, discount = _batch()
  if config.kind == 'dqn':
    expected = losses.huber(losses.n_step_td_errors(
        tm1.values, a, r, discount, t.values, t.values
    ))
  elif config.kind == 'c51':
    expected = losses.categorical_td(
        tm1.distribution, a, r, discount, t.distribution, t.values,
        tf.linspace(-2.0, 2.0, 11),
    )
  else:
    if fractions is None:
      fractions = tf.constant([[1, 3, 5, 7, 9, 11, 13]], tf.float32) / 14
    expected = losses.quantile_td(
        tm1.distribution, fractions, a, r, discount, t.distribution, t.values,
        1.0,
    )
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize('config', _ALGORITHMS, ids=lambda c: c.kind)
def test_terminal_transitions_teach_their_rewards(config):
  # Learning one batch of terminal transitions by heart: the values become the
  # rewards, whatever the loss.
  algorithm, network = algorithms.make(config), _network(config)
  optimizer = tf.keras.optimizers.legacy.Adam(1e-2)
  x, (a, r, _) = _observations(0), _batch()
  r = tf.clip_by_value(r, -1.5, 1.5)

  @tf.function
  def learn(index):
    seed = tf.stack([0, index])
    with tf.GradientTape() as tape:
      predictions, fractions = algorithms.predict(
          network, x, algorithm.num_online_fractions, seed
      )
      target, _ = algorithms.predict(
          network, x, algorithm.num_target_fractions, seed
      )
      loss = tf.reduce_mean(algorithm.td_loss(
          predictions, fractions, a, r, tf.zeros([_BATCH]), target,
          target.values,
      ).loss)
    variables = network.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

  for i in range(300):
    learn(tf.constant(i))
  values = tf.gather(network.values(x), a, axis=1, batch_dims=1)
  np.testing.assert_allclose(values, r, atol=0.1)


def test_fractions_depend_on_the_seed_only():
  config = _ALGORITHMS[-1]
  draws = [
      algorithms.predict(_network(config), _observations(0), 5, [0, seed])[1]
      for seed in (1, 1, 2)
  ]
  np.testing.assert_array_equal(draws[0], draws[1])
  assert draws[0].shape == (_BATCH, 5)
  assert not np.array_equal(draws[0], draws[2])
  assert 0 <= draws[0].numpy().min() <= draws[0].numpy().max() < 1


def test_the_published_defaults():
  c51, iqn = algorithm_config.C51Config(), algorithm_config.IqnConfig()
  support = c51.support()
  assert len(support) == 51
  assert (support[0], support[25], support[-1]) == (-10, 0, pytest.approx(10))
  assert algorithm_config.QuantileConfig().num_quantiles == 200
  assert (iqn.num_fractions, iqn.num_target_fractions) == (64, 64)
  assert (iqn.num_value_fractions, iqn.embedding_size) == (32, 64)
  assert not algorithm_config.DqnConfig().double_q


@pytest.mark.parametrize('double_q', [False, True])
def test_only_double_q_learning_asks_the_online_network(double_q):
  config = algorithm_config.DqnConfig(double_q=double_q)
  assert algorithms.make(config).selects_online == double_q
  assert isinstance(algorithms.make(config).head(2), heads.QValueHead)


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: algorithm_config.C51Config(num_atoms=1), 'at least 2, got 1'),
        (lambda: algorithm_config.C51Config(v_max=0.0), 'v_max must be positi'),
        (lambda: algorithm_config.QuantileConfig(num_quantiles=0), 'positive'),
        (lambda: algorithm_config.QuantileConfig(kappa=0.0), 'kappa must be'),
        (lambda: algorithm_config.IqnConfig(num_fractions=0), 'num_fractions'),
        (lambda: algorithm_config.IqnConfig(kappa=-1.0), 'got -1.0'),
    ],
)
def test_impossible_settings_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
