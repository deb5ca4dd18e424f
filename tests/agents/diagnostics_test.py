"""Tests of the diagnostics against NumPy."""

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import diagnostics
import tensorflow as tf


def _values(seed, shape=(9, 5)):
  return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_agreement_is_the_share_of_equal_greedy_actions():
  student = np.eye(3)[[0, 1, 2, 0]]
  teacher = np.eye(3)[[0, 1, 0, 1]] * 7 - 2
  assert diagnostics.agreement(student, teacher) == 0.5
  assert diagnostics.agreement(teacher, teacher) == 1


def test_statistics_of_values_equal_numpy():
  values, actions = _values(0), np.arange(9) % 5
  ranked = np.sort(values, axis=1)
  assert float(diagnostics.action_gap(values)) == pytest.approx(
      (ranked[:, -1] - ranked[:, -2]).mean(), rel=1e-5
  )
  assert float(diagnostics.max_value(values)) == pytest.approx(
      values.max(axis=1).mean(), rel=1e-5
  )
  assert float(diagnostics.mean_value(values, actions)) == pytest.approx(
      np.mean([row[a] for row, a in zip(values, actions)]), rel=1e-5
  )


def test_one_action_has_no_gap():
  assert diagnostics.action_gap(tf.constant([[3.0], [4.0]])) == 0


def test_entropy_equals_numpy():
  logits, actions = _values(1, (6, 4, 11)), np.arange(6) % 4
  entropies = []
  for row, action in zip(logits, actions):
    p = np.exp(row[action]) / np.exp(row[action]).sum()
    entropies.append(-(p * np.log(p)).sum())
  assert float(
      diagnostics.categorical_entropy(logits, actions)
  ) == pytest.approx(np.mean(entropies), rel=1e-5)
  uniform = diagnostics.categorical_entropy(np.zeros((6, 4, 11)), actions)
  assert float(uniform) == pytest.approx(np.log(11), rel=1e-5)


def test_gradients_are_compared_over_all_variables_together():
  a = [_values(2, (3, 2)), _values(3, (4,))]
  b = [_values(4, (3, 2)), _values(5, (4,))]
  found = diagnostics.compare_gradients(*(
      [tf.constant(x) for x in gradient] for gradient in (a, b)
  ))
  flat_a, flat_b = (np.concatenate([x.ravel() for x in g]) for g in (a, b))
  norms = np.linalg.norm(flat_a), np.linalg.norm(flat_b)
  assert float(found.td_gradient_norm) == pytest.approx(norms[0], rel=1e-5)
  assert float(found.distillation_gradient_norm) == pytest.approx(norms[1])
  assert float(found.gradient_cosine) == pytest.approx(
      flat_a @ flat_b / norms[0] / norms[1], rel=1e-4
  )


@pytest.mark.parametrize('factor, cosine', [(2.0, 1), (-0.5, -1), (0.0, 0)])
def test_the_cosine_of_parallel_opposite_and_absent_gradients(factor, cosine):
  gradient = [tf.constant(_values(6))]
  found = diagnostics.compare_gradients(gradient, [factor * gradient[0]])
  assert float(found.gradient_cosine) == pytest.approx(cosine, abs=1e-5)


@pytest.mark.parametrize('limit', [None, 1.0])
def test_realised_value_is_the_mean_of_the_returns_that_followed(limit):
  rewards = [0.0, 2.0, -3.0, 0.5, 0.0]
  clipped = rewards if limit is None else [0.0, 1.0, -1.0, 0.5, 0.0]
  expected = np.mean([
      sum(0.9**k * reward for k, reward in enumerate(clipped[t:]))
      for t in range(5)
  ])
  found = diagnostics.realised_value(rewards, 0.9, limit)
  assert found == pytest.approx(expected) and isinstance(found, float)
