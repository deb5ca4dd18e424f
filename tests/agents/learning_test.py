"""Tests of the learner against a NumPy re-implementation of its steps."""

import dataclasses

from acme import types
import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import algorithms
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import optimizer_config
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import torso
from rrl_pipeline.networks import value_network
import tensorflow as tf

_SHAPE, _INPUTS, _ACTIONS, _BATCH = (2, 1, 3), 6, 4, 8
_CONFIG = config_lib.AgentConfig(
    batch_size=_BATCH, target_update_period=3, 
    optimizer=optimizer_config.AdamConfig(epsilon=1e-2),
)


def _linear_network(
    seed: int, algorithm=algorithm_config.DqnConfig()
) -> value_network.ValueNetwork:
  network = value_network.ValueNetwork(
      _SHAPE,
      'uint8',
      torso.Torso(
          encode=tf.keras.layers.Flatten(),
          make_hidden=lambda _: lambda x: x,
          seeds=torso.LayerSeeds(seed, 8),
          initializer=torso.glorot,
          dtype='float32',
      ),
      algorithms.make(algorithm).head(_ACTIONS),
  )
  generator = np.random.default_rng(seed)
  for variable in network.variables:
    if variable.shape.rank == 1:
      variable.assign(generator.normal(0, 0.05, variable.shape))
  return network


def _learner(config=_CONFIG) -> learning.Learner:
  return learning.Learner(
      *(_linear_network(seed, config.algorithm) for seed in (0, 1)), config
  )


def _batch(seed: int) -> types.Transition:
  generator = np.random.default_rng(seed)
  observation, next_observation = generator.integers(
      0, 256, (2, _BATCH, *_SHAPE), np.uint8
  )
  return types.Transition(
      observation=observation,
      action=generator.integers(0, _ACTIONS, _BATCH).astype(np.int32),
      # Errors on both sides of Huber's kink.
      reward=generator.normal(0, 1.5, _BATCH).astype(np.float32),
      discount=np.where(np.arange(_BATCH) == 2, 0, 0.97).astype(np.float32),
      next_observation=next_observation,
      extras=generator.normal(0, 0.3, (_BATCH, _ACTIONS)).astype(np.float32),
  )


def _softmax(x):
  e = np.exp(x - x.max(axis=1, keepdims=True))
  return e / e.sum(axis=1, keepdims=True)


class _NumpyLearner:
  """The same arithmetic for q = x W + b, written down from the papers.

  Adam is the form with 'ε hat' of Kingma & Ba, section 2: the correction of the
  moments' bias is moved into the step size, and ε is added after it.
  """

  def __init__(self, kernel, bias, config):
    self.online = [kernel.astype(np.float64), bias.astype(np.float64)]
    self.target = [x.copy() for x in self.online]
    self.m = [np.zeros_like(x) for x in self.online]
    self.v = [np.zeros_like(x) for x in self.online]
    self.steps, self.config = 0, config

  def step(self, batch, weight, learning_rate):
    config, rows = self.config, np.arange(_BATCH)
    x, x_next = (
        o.reshape(_BATCH, -1) / 255.0
        for o in (batch.observation, batch.next_observation)
    )
    q = x @ self.online[0] + self.online[1]
    q_next = x_next @ self.target[0] + self.target[1]
    chosen = q_next
    if config.algorithm.double_q:
      chosen = x_next @ self.online[0] + self.online[1]
    errors = (
        batch.reward
        + batch.discount * q_next[rows, chosen.argmax(axis=1)]
        - q[rows, batch.action]
    )
    huber = np.where(
        np.abs(errors) <= 1, errors**2 / 2, np.abs(errors) - 0.5
    )
    tau = config.temperature
    teacher, student = _softmax(batch.extras / tau), _softmax(q / tau)
    kl = (teacher * (np.log(teacher) - np.log(student))).sum(axis=1)

    dq = weight * (student - teacher) / tau / _BATCH
    dq[rows, batch.action] -= np.clip(errors, -1, 1) / _BATCH
    self.steps += 1
    rate = learning_rate * (
        np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
    )
    for i, gradient in enumerate((x.T @ dq, dq.sum(axis=0))):
      self.m[i] = 0.9 * self.m[i] + 0.1 * gradient
      self.v[i] = 0.999 * self.v[i] + 0.001 * gradient**2
      self.online[i] = self.online[i] - rate * self.m[i] / (
          np.sqrt(self.v[i]) + config.optimizer.epsilon
      )
    if self.steps % config.target_update_period == 0:
      self.target = [x.copy() for x in self.online]
    return {
        'loss': huber.mean() + weight * kl.mean(),
        'td_loss': huber.mean(),
        'distillation_loss': kl.mean(),
        'teacher_agreement': np.mean(
            q.argmax(axis=1) == batch.extras.argmax(axis=1)
        ),
        'mean_q': q[rows, batch.action].mean(),
        'max_q': q.max(axis=1).mean(),
        'action_gap': np.mean(np.diff(np.sort(q, axis=1)[:, -2:])),
    }


@pytest.mark.parametrize('double_q', [False, True])
def test_eight_steps_equal_numpy(double_q):
  config = dataclasses.replace(
      _CONFIG, algorithm=algorithm_config.DqnConfig(double_q=double_q)
  )
  learner = _learner(config)
  numpy_learner = _NumpyLearner(
      *(v.numpy() for v in learner.network.trainable_variables), config
  )
  # λ and the learning rate change as they do while a student is weaned.
  for i in range(8):
    batch = _batch(i)
    weight, rate = 3.0 * (1 - i / 7), 1e-2 / (i + 1)
    metrics = learner.step(batch, weight, rate)
    expected = numpy_learner.step(batch, weight, rate)
    assert {k for k, v in metrics._asdict().items() if v is not None} == set(
        expected
    )
    for name, value in expected.items():
      np.testing.assert_allclose(
          getattr(metrics, name), value, rtol=2e-4, atol=1e-5, err_msg=name
      )
    for variable, value in zip(
        learner.network.trainable_variables, numpy_learner.online, strict=True
    ):
      np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6)
  assert int(learner.num_steps) == 8


def test_the_order_of_observations_in_memory_does_not_matter():
  in_order, permuted = _learner(), _learner()
  for i in range(3):
    batch = _batch(i)
    frame_by_frame = batch._replace(**{
        name: np.moveaxis(
            np.ascontiguousarray(np.moveaxis(getattr(batch, name), -1, 1)),
            1, -1,
        )
        for name in ('observation', 'next_observation')
    })
    assert not frame_by_frame.observation.flags.c_contiguous
    assert in_order.step(batch, 3.0, 1e-2) == permuted.step(
        frame_by_frame, 3.0, 1e-2
    )
  for a, b in zip(
      in_order.network.variables, permuted.network.variables, strict=True
  ):
    np.testing.assert_array_equal(a, b)


def test_metrics_by_hand():
  learner = _learner()
  kernel, bias = learner.network.trainable_variables
  kernel.assign(tf.zeros_like(kernel))
  bias.assign([1.0, 4.0, 2.0, -3.0])
  learner.synchronise_target()
  batch = _batch(0)._replace(
      action=np.array([0, 1, 2, 3, 0, 0, 1, 1], np.int32),
      reward=np.zeros(_BATCH, np.float32),
      discount=np.ones(_BATCH, np.float32),
      # The teacher's greedy action is the student's in three of eight states.
      extras=np.eye(_ACTIONS, dtype=np.float32)[[1, 1, 1, 0, 2, 3, 3, 0]],
  )
  metrics = learner.step(batch, 0.0, 0.0)
  assert float(metrics.teacher_agreement) == pytest.approx(3 / 8)
  assert float(metrics.mean_q) == pytest.approx((1 + 4 + 2 - 3 + 1 + 1 + 8) / 8)
  assert float(metrics.max_q) == pytest.approx(4)
  # Errors 4 - q of the action: 3, 0, 2, 7, 3, 3, 0, 0.
  td_loss = (2.5 + 0 + 1.5 + 6.5 + 2.5 + 2.5 + 0 + 0) / 8
  assert float(metrics.td_loss) == pytest.approx(td_loss)
  assert float(metrics.loss) == pytest.approx(td_loss)


def test_without_weight_the_teacher_moves_nothing():
  learners = [_learner(), _learner()]
  for learner, extras in zip(learners, (0.0, 5.0)):
    batch = _batch(0)
    batch = batch._replace(extras=batch.extras * np.float32(extras))
    learner.step(batch, 0.0, 1e-2)
  for a, b in zip(*(learner.network.variables for learner in learners)):
    np.testing.assert_array_equal(a, b)


def test_the_target_follows_at_every_third_step_only():
  learner = _learner()
  target = learner.state['target_network']

  def equal():
    pairs = zip(target.variables, learner.network.variables, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)

  assert equal()  # A new learner's networks are the same.
  found = []
  for i in range(7):
    learner.step(_batch(i), 1.0, 1e-2)
    found.append(equal())
  assert found == [False, False, True, False, False, True, False]
  learner.synchronise_target()
  assert equal()


def _weights_after(seed: int, batches: int) -> list[np.ndarray]:
  learner = builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      dataclasses.replace(_CONFIG, target_update_period=2),
      (16, 16, 4),
      'uint8',
      3,
      seed,
  )
  generator = np.random.default_rng(0)
  for _ in range(batches):
    observation, next_observation = generator.integers(
        0, 256, (2, 8, 16, 16, 4), np.uint8
    )
    learner.step(
        types.Transition(
            observation=observation,
            action=generator.integers(0, 3, 8).astype(np.int32),
            reward=generator.normal(size=8).astype(np.float32),
            discount=np.full(8, 0.97, np.float32),
            next_observation=next_observation,
            extras=generator.normal(size=(8, 3)).astype(np.float32),
        ),
        3.0,
        1e-3,
    )
  return [v.numpy() for v in learner.network.variables]


def test_a_seed_gives_bit_identical_weights_twice():
  first, second, other = (_weights_after(seed, 4) for seed in (1, 1, 2))
  for a, b in zip(first, second, strict=True):
    np.testing.assert_array_equal(a, b)
  assert any(not np.array_equal(a, b) for a, b in zip(first, other))


def test_a_large_seed_is_taken():
  # Seeds of purposes go up to 2³¹, and Keras wants 32 bits for each layer.
  network = builder.make_network(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=2),
      algorithm_config.DqnConfig(),
      (16, 16, 4),
      'uint8',
      3,
      seed=2**31 - 1,
  )
  assert np.isfinite(network.variables[0].numpy()).all()


@pytest.mark.parametrize('name', ['action', 'reward', 'discount', 'extras'])
def test_a_batch_of_the_wrong_rank_is_refused(name):
  batch = _batch(0)
  batch = batch._replace(**{name: getattr(batch, name)[..., None]})
  with pytest.raises(ValueError, match=r'must have rank \d, got shape \[8, '):
    _learner().step(batch, 1.0, 1e-2)
