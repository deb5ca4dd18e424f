"""Tests of the losses against NumPy, hand-made numbers and their gradients."""

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import losses
import tensorflow as tf


def _softmax(x: np.ndarray) -> np.ndarray:
  e = np.exp(x - x.max(axis=1, keepdims=True))
  return e / e.sum(axis=1, keepdims=True)


def _kl(teacher: np.ndarray, student: np.ndarray, tau: float) -> np.ndarray:
  p, q = _softmax(teacher / tau), _softmax(student / tau)
  return (p * (np.log(p) - np.log(q))).sum(axis=1)


def test_huber_is_quadratic_within_one_and_linear_beyond():
  errors = tf.constant([0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -10.0])
  np.testing.assert_allclose(
      losses.huber(errors), [0, 0.125, 0.125, 0.5, 0.5, 2.5, 9.5]
  )
  np.testing.assert_allclose(
      losses.huber(tf.constant([1.0, -3.0]), delta=2.0), [0.5, 4.0]
  )


def test_the_gradient_of_huber_is_the_clipped_error():
  errors = tf.constant([0.3, -0.3, 1.0, 2.0, -5.0])
  with tf.GradientTape() as tape:
    tape.watch(errors)
    loss = tf.reduce_sum(losses.huber(errors))
  np.testing.assert_allclose(
      tape.gradient(loss, errors), [0.3, -0.3, 1, 1, -1], rtol=1e-6
  )


def test_td_errors_by_hand():
  q_t = tf.constant([[10.0, -2.0], [100.0, 200.0], [-3.0, -1.0]])
  errors = losses.n_step_td_errors(
      q_tm1=tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
      a_tm1=tf.constant([1, 0, 1]),
      r_t=tf.constant([0.5, -1.0, 1.0]),
      # An ordinary transition, a terminal one, and one that a time limit cut
      # short, which bootstraps like any other.
      discount_t=tf.constant([0.9, 0.0, 0.99]),
      q_t=q_t,
      q_t_selector=q_t,
  )
  np.testing.assert_allclose(
      errors,
      [0.5 + 0.9 * 10 - 2, -1 + 0 - 3, 1 + 0.99 * -1 - 6],
      rtol=1e-6,
  )


def test_double_q_learning_values_what_another_network_chose():
  errors = losses.n_step_td_errors(
      q_tm1=tf.constant([[1.0, 2.0]]),
      a_tm1=tf.constant([1]),
      r_t=tf.constant([0.5]),
      discount_t=tf.constant([0.9]),
      q_t=tf.constant([[10.0, -2.0]]),
      q_t_selector=tf.constant([[3.0, 4.0]]),
  )
  np.testing.assert_allclose(errors, [0.5 + 0.9 * -2 - 2], rtol=1e-6)


def test_td_errors_move_only_the_value_of_the_action_taken():
  q_tm1 = tf.constant([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]])
  q_t = tf.constant([[1.0, 5.0, 0.0], [2.0, 1.0, 0.0]])
  with tf.GradientTape(persistent=True) as tape:
    tape.watch([q_tm1, q_t])
    errors = losses.n_step_td_errors(
        q_tm1,
        tf.constant([2, 0]),
        tf.constant([1.0, 1.0]),
        tf.constant([0.9, 0.9]),
        q_t,
        q_t,
    )
  np.testing.assert_array_equal(
      tape.gradient(errors, q_tm1), [[0, 0, -1], [-1, 0, 0]]
  )
  assert tape.gradient(errors, q_t) is None


def test_distillation_by_hand():
  # Teacher (3/4, 1/4) and student (1/2, 1/2) at τ = 1.
  divergence = losses.distillation(
      student_values=tf.constant([[0.0, 0.0]]),
      teacher_values=tf.constant([[np.log(3.0), 0.0]], tf.float32),
      temperature=1.0,
  )
  expected = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
  np.testing.assert_allclose(divergence, [expected], rtol=1e-6)
  # The other way round it is another number: the teacher comes first.
  assert abs(expected - 0.5 * np.log(0.5 / 0.75 * 0.5 / 0.25)) > 0.01


@pytest.mark.parametrize('tau', [0.1, 1.0, 3.0])
def test_distillation_equals_numpy(tau):
  generator = np.random.default_rng(0)
  teacher, student = generator.normal(0, 0.3, (2, 16, 6))
  divergence = losses.distillation(
      tf.constant(student, tf.float32), tf.constant(teacher, tf.float32), tau
  )
  assert divergence.shape == (16,)
  np.testing.assert_allclose(
      divergence, _kl(teacher, student, tau), rtol=1e-4, atol=1e-6
  )


def test_distillation_is_zero_exactly_for_equal_policies():
  generator = np.random.default_rng(1)
  values = tf.constant(generator.normal(0, 0.2, (8, 4)), tf.float32)
  np.testing.assert_array_equal(
      losses.distillation(values, values, 0.1), np.zeros(8)
  )
  # Values that differ by a constant are the same policy.
  np.testing.assert_allclose(
      losses.distillation(values + 2, values, 0.1), np.zeros(8), atol=1e-5
  )
  other = values + tf.constant([0.05, 0, 0, 0])
  assert (losses.distillation(other, values, 0.1).numpy() > 1e-4).all()


def test_distillation_survives_far_apart_values():
  divergence = losses.distillation(
      tf.constant([[0.0, 500.0]]), tf.constant([[500.0, 0.0]]), 0.1
  )
  np.testing.assert_allclose(divergence, [5_000.0])


def test_the_gradient_of_distillation_is_the_difference_of_policies():
  generator = np.random.default_rng(2)
  teacher, student = (
      tf.constant(x, tf.float32) for x in generator.normal(0, 0.2, (2, 5, 3))
  )
  with tf.GradientTape(persistent=True) as tape:
    tape.watch([teacher, student])
    divergence = losses.distillation(student, teacher, 0.1)
  difference = _softmax(student.numpy() / 0.1) - _softmax(teacher.numpy() / 0.1)
  # There is no factor τ², so the gradient carries 1 / τ.
  np.testing.assert_allclose(
      tape.gradient(divergence, student), difference / 0.1, atol=1e-4
  )
  assert tape.gradient(divergence, teacher) is None


_GOOD = {
    'q_tm1': tf.zeros([2, 3]),
    'a_tm1': tf.zeros([2], tf.int32),
    'r_t': tf.zeros([2]),
    'discount_t': tf.zeros([2]),
    'q_t': tf.zeros([2, 3]),
    'q_t_selector': tf.zeros([2, 3]),
}


@pytest.mark.parametrize('name', _GOOD)
def test_a_td_input_of_another_rank_is_named(name):
  bad = dict(_GOOD, **{name: tf.expand_dims(_GOOD[name], -1)})
  rank, shape = len(_GOOD[name].shape), bad[name].shape.as_list()
  with pytest.raises(ValueError) as error:
    losses.n_step_td_errors(**bad)
  assert str(error.value) == f'{name} must have rank {rank}, got shape {shape}.'


@pytest.mark.parametrize('name', ['student_values', 'teacher_values'])
def test_a_distillation_input_of_another_rank_is_named(name):
  values = tf.zeros([2, 3])
  inputs = {'student_values': values, 'teacher_values': values}
  inputs[name] = tf.zeros([3])
  with pytest.raises(ValueError) as error:
    losses.distillation(**inputs, temperature=0.1)
  assert str(error.value) == f'{name} must have rank 2, got shape [3].'


def test_distillation_of_logits_takes_no_temperature_of_the_teacher():
  generator = np.random.default_rng(3)
  teacher, student = generator.normal(0, 0.3, (2, 16, 6))
  divergence = losses.logit_distillation(
      tf.constant(student, tf.float32), tf.constant(teacher, tf.float32), 0.1
  )
  np.testing.assert_allclose(
      divergence, _kl(teacher * 0.1, student, 0.1), rtol=1e-4
  )


def test_distillation_of_actions_is_their_negative_log_probability():
  generator = np.random.default_rng(4)
  student = generator.normal(0, 0.3, (6, 4))
  actions = np.array([0, 3, 1, 2, 2, 0])
  for teacher in (np.eye(4)[actions], np.eye(4)[actions] * 0.01 - 5):
    loss = losses.action_distillation(
        tf.constant(student, tf.float32), tf.constant(teacher, tf.float32), 0.1
    )
    expected = -np.log(_softmax(student / 0.1)[np.arange(6), actions])
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def _margin(q, expert, size, form):
  result = []
  for row, best in zip(q, expert):
    excess = [
        value + (0 if a == best else size) - row[best]
        for a, value in enumerate(row)
    ]
    if form == 'max':
      result.append(max(excess))
    else:
      result.append(sum(max(0, e) for e in excess) / len(row))
  return result


@pytest.mark.parametrize('form', ['max', 'elementwise'])
@pytest.mark.parametrize('size', [0.0, 0.8, 3.0])
def test_margin_equals_a_loop(form, size):
  generator = np.random.default_rng(5)
  q, expert = generator.normal(0, 1, (12, 5)), generator.integers(0, 5, 12)
  loss = losses.margin(
      tf.constant(q, tf.float32), tf.constant(expert), size, form
  )
  np.testing.assert_allclose(loss, _margin(q, expert, size, form), rtol=1e-5)


@pytest.mark.parametrize('form', ['max', 'elementwise'])
def test_margin_is_zero_where_the_expert_leads_by_it(form):
  loss = losses.margin(
      tf.constant([[3.0, 2.0, 0.0], [3.0, 2.1, 0.0]]), tf.constant([0, 0]), 1.0,
      form,
  )
  assert loss[0] == 0 and loss[1] > 0


def test_conservative_equals_numpy():
  generator = np.random.default_rng(6)
  q, actions = generator.normal(0, 1, (12, 5)), generator.integers(0, 5, 12)
  loss = losses.conservative(
      tf.constant(q, tf.float32), tf.constant(actions), 0.1
  )
  expected = -np.log(_softmax(q / 0.1)[np.arange(12), actions])
  np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_conservative_lowers_all_but_the_logged_action():
  q = tf.constant([[1.0, 1.0, 1.0]])
  with tf.GradientTape() as tape:
    tape.watch(q)
    loss = losses.conservative(q, tf.constant([1]), 0.5)
  np.testing.assert_allclose(
      tape.gradient(loss, q), [[2 / 3, 2 / 3 - 2, 2 / 3]], rtol=1e-5
  )
