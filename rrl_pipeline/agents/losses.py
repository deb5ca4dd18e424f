"""The losses as pure functions of tensors.

In the shapes, `B` is the batch and `A` the number of actions.
"""

import tensorflow as tf


def _check(name: str, tensor: tf.Tensor, rank: int) -> None:
  if tensor.shape.rank != rank:
    raise ValueError(
        f'{name} must have rank {rank}, got shape {tensor.shape.as_list()}.'
    )


def huber(error: tf.Tensor, delta: float = 1.0) -> tf.Tensor:
  """0.5 e² where |e| <= δ, else δ (|e| - δ/2); same shape as `error`."""
  absolute = tf.abs(error)
  quadratic = tf.minimum(absolute, delta)
  return 0.5 * quadratic**2 + delta * (absolute - quadratic)


def n_step_td_errors(
    q_tm1: tf.Tensor,
    a_tm1: tf.Tensor,
    r_t: tf.Tensor,
    discount_t: tf.Tensor,
    q_t: tf.Tensor,
    q_t_selector: tf.Tensor,
) -> tf.Tensor:
  """Errors of Q-learning towards r + discount · Q_target(s', argmax_a Q').

  With Q' = Q_target that is the plain maximum of the paper's DQN student; with
  the online network's values as Q' it is double Q-learning (van Hasselt et
  al., AAAI 2016).

  Args:
    q_tm1: [B, A] values of the online network at s.
    a_tm1: [B] actions taken there.
    r_t: [B] n-step sums of discounted rewards.
    discount_t: [B] γⁿ, or 0 where the n steps met a terminal state.
    q_t: [B, A] values of the target network n steps later.
    q_t_selector: [B, A] values there by which the action is chosen.

  Returns:
    [B] target minus value; the gradient flows into q_tm1 only.
  """
  for name, tensor, rank in (
      ('q_tm1', q_tm1, 2),
      ('a_tm1', a_tm1, 1),
      ('r_t', r_t, 1),
      ('discount_t', discount_t, 1),
      ('q_t', q_t, 2),
      ('q_t_selector', q_t_selector, 2),
  ):
    _check(name, tensor, rank)
  bootstrap = tf.gather(
      q_t, tf.argmax(q_t_selector, axis=1), axis=1, batch_dims=1
  )
  target = tf.stop_gradient(r_t + discount_t * bootstrap)
  return target - tf.gather(q_tm1, a_tm1, axis=1, batch_dims=1)


def distillation(
    student_values: tf.Tensor, teacher_values: tf.Tensor, temperature: float
) -> tf.Tensor:
  """KL(teacher ‖ student) of softmax(values / τ): QDagger's second term.

  Agarwal et al. (2022), section 4, with the sign and the reduction of the
  authors' code: the same τ on both sides and no factor τ².

  Args:
    student_values: [B, A].
    teacher_values: [B, A]; no gradient flows to the teacher.
    temperature: τ.

  Returns:
    [B] divergences, at least 0; the caller takes their mean.
  """
  _check('student_values', student_values, 2)
  _check('teacher_values', teacher_values, 2)
  student = tf.nn.log_softmax(student_values / temperature, axis=1)
  teacher = tf.stop_gradient(
      tf.nn.log_softmax(teacher_values / temperature, axis=1)
  )
  return tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=1)
