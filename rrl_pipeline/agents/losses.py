"""The losses as pure functions of tensors.

In the shapes, `B` is the batch, `A` the number of actions and `M` the number
of atoms or quantiles of a distribution of returns.
"""

import tensorflow as tf


def _check(name: str, tensor: tf.Tensor, rank: int) -> None:
  if tensor.shape.rank != rank:
    raise ValueError(
        f'{name} must have rank {rank}, got shape {tensor.shape.as_list()}.'
    )


def _take(x: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
  """[B, A, ...] at actions [B] → [B, ...]."""
  return tf.gather(x, actions, axis=1, batch_dims=1)


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
  bootstrap = _take(q_t, tf.argmax(q_t_selector, axis=1))
  target = tf.stop_gradient(r_t + discount_t * bootstrap)
  return target - _take(q_tm1, a_tm1)


def project(
    returns: tf.Tensor, probabilities: tf.Tensor, support: tf.Tensor
) -> tf.Tensor:
  """The distribution on `support` that is nearest to one on other returns.

  Bellemare et al. (ICML 2017), equation 7: each return is clipped to the range
  of the support, and its probability shared among its two neighbours there in
  proportion to how near they are.

  Args:
    returns: [B, M] where the mass is.
    probabilities: [B, M] how much is there.
    support: [M'] evenly spaced and rising.

  Returns:
    [B, M'] probabilities.
  """
  for name, tensor, rank in (
      ('returns', returns, 2),
      ('probabilities', probabilities, 2),
      ('support', support, 1),
  ):
    _check(name, tensor, rank)
  clipped = tf.clip_by_value(returns, support[0], support[-1])
  distance = tf.abs(clipped[:, tf.newaxis, :] - support[:, tf.newaxis])
  share = tf.maximum(1.0 - distance / (support[1] - support[0]), 0.0)
  return tf.reduce_sum(share * probabilities[:, tf.newaxis, :], axis=2)


def categorical_td(
    logits_tm1: tf.Tensor,
    a_tm1: tf.Tensor,
    r_t: tf.Tensor,
    discount_t: tf.Tensor,
    logits_t: tf.Tensor,
    q_t_selector: tf.Tensor,
    support: tf.Tensor,
) -> tf.Tensor:
  """Cross-entropy from the projected target to the predicted distribution.

  The loss of C51, algorithm 1 of Bellemare et al. (ICML 2017).

  Args:
    logits_tm1: [B, A, M] of the online network at s.
    a_tm1: [B] actions taken there.
    r_t: [B] n-step sums of discounted rewards.
    discount_t: [B] γⁿ, or 0 where the n steps met a terminal state.
    logits_t: [B, A, M] of the target network n steps later.
    q_t_selector: [B, A] values there by which the action is chosen.
    support: [M] returns of the atoms.

  Returns:
    [B], at least 0; the gradient flows into logits_tm1 only.
  """
  for name, tensor, rank in (
      ('logits_tm1', logits_tm1, 3),
      ('a_tm1', a_tm1, 1),
      ('r_t', r_t, 1),
      ('discount_t', discount_t, 1),
      ('logits_t', logits_t, 3),
      ('q_t_selector', q_t_selector, 2),
      ('support', support, 1),
  ):
    _check(name, tensor, rank)
  best = _take(logits_t, tf.argmax(q_t_selector, axis=1))
  target = project(
      r_t[:, tf.newaxis] + discount_t[:, tf.newaxis] * support,
      tf.nn.softmax(best),
      support,
  )
  return tf.nn.softmax_cross_entropy_with_logits(
      tf.stop_gradient(target), _take(logits_tm1, a_tm1)
  )


def quantile_td(
    quantiles_tm1: tf.Tensor,
    fractions_tm1: tf.Tensor,
    a_tm1: tf.Tensor,
    r_t: tf.Tensor,
    discount_t: tf.Tensor,
    quantiles_t: tf.Tensor,
    q_t_selector: tf.Tensor,
    kappa: float,
) -> tf.Tensor:
  """Quantile regression with Huber's loss: QR-DQN's and IQN's.

  Dabney et al. (AAAI 2018), equation 10, and (ICML 2018), equation 3: with u_ij
  the error of quantile i towards sample j of the target, |τ_i - 1[u < 0]| ·
  huber_κ(u) / κ, summed over i and averaged over j.

  Args:
    quantiles_tm1: [B, A, M] of the online network at s.
    fractions_tm1: [B or 1, M] the fractions τ that they stand for.
    a_tm1: [B] actions taken there.
    r_t: [B] n-step sums of discounted rewards.
    discount_t: [B] γⁿ, or 0 where the n steps met a terminal state.
    quantiles_t: [B, A, M'] of the target network n steps later.
    q_t_selector: [B, A] values there by which the action is chosen.
    kappa: κ > 0.

  Returns:
    [B], at least 0; the gradient flows into quantiles_tm1 only.
  """
  for name, tensor, rank in (
      ('quantiles_tm1', quantiles_tm1, 3),
      ('fractions_tm1', fractions_tm1, 2),
      ('a_tm1', a_tm1, 1),
      ('r_t', r_t, 1),
      ('discount_t', discount_t, 1),
      ('quantiles_t', quantiles_t, 3),
      ('q_t_selector', q_t_selector, 2),
  ):
    _check(name, tensor, rank)
  best = _take(quantiles_t, tf.argmax(q_t_selector, axis=1))
  target = tf.stop_gradient(
      r_t[:, tf.newaxis] + discount_t[:, tf.newaxis] * best
  )
  predicted = _take(quantiles_tm1, a_tm1)
  errors = target[:, tf.newaxis, :] - predicted[:, :, tf.newaxis]
  below = tf.cast(errors < 0, errors.dtype)
  weights = tf.abs(fractions_tm1[:, :, tf.newaxis] - tf.stop_gradient(below))
  losses = weights * huber(errors, kappa) / kappa  # [B, M, M']
  return tf.reduce_sum(tf.reduce_mean(losses, axis=2), axis=1)


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
  return logit_distillation(
      student_values, teacher_values / temperature, temperature
  )


def logit_distillation(
    student_values: tf.Tensor, teacher_logits: tf.Tensor, temperature: float
) -> tf.Tensor:
  """KL(teacher ‖ student) towards softmax(logits), a policy without any τ.

  Args:
    student_values: [B, A], of the policy softmax(values / τ).
    teacher_logits: [B, A]; no gradient flows to the teacher.
    temperature: τ of the student.

  Returns:
    [B] divergences, at least 0.
  """
  _check('student_values', student_values, 2)
  _check('teacher_values', teacher_logits, 2)
  student = tf.nn.log_softmax(student_values / temperature, axis=1)
  teacher = tf.stop_gradient(tf.nn.log_softmax(teacher_logits, axis=1))
  return tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=1)


def action_distillation(
    student_values: tf.Tensor, teacher_values: tf.Tensor, temperature: float
) -> tf.Tensor:
  """Cross-entropy of softmax(values / τ) at the teacher's greedy action.

  For a teacher of whom nothing but actions is known: it is behavioural cloning
  by the policy of a student of values.

  Args:
    student_values: [B, A].
    teacher_values: [B, A], one-hot; of others the greatest counts.
    temperature: τ.

  Returns:
    [B], at least 0.
  """
  _check('student_values', student_values, 2)
  _check('teacher_values', teacher_values, 2)
  student = tf.nn.log_softmax(student_values / temperature, axis=1)
  return -_take(student, tf.argmax(teacher_values, axis=1))


def margin(
    q_tm1: tf.Tensor, expert_actions: tf.Tensor, size: float, form: str
) -> tf.Tensor:
  """How far values are from placing the expert's action first by a margin.

  With m(a) = `size` for every action but the expert's a_E, for which it is 0:

  * 'max': max_a [Q(a) + m(a)] - Q(a_E), the loss of DQfD (Hester et al., AAAI
    2018, equation 1);
  * 'elementwise': the mean over a of max(0, Q(a) + m(a) - Q(a_E)), which is
    what the code of Agarwal et al. (2022) takes.

  Args:
    q_tm1: [B, A].
    expert_actions: [B].
    size: m, at least 0.
    form: 'max' or 'elementwise'.

  Returns:
    [B], at least 0.
  """
  _check('q_tm1', q_tm1, 2)
  _check('expert_actions', expert_actions, 1)
  own = tf.one_hot(expert_actions, q_tm1.shape[1], on_value=0.0, off_value=size)
  excess = q_tm1 + own - _take(q_tm1, expert_actions)[:, tf.newaxis]
  if form == 'max':
    return tf.reduce_max(excess, axis=1)
  return tf.reduce_mean(tf.maximum(excess, 0.0), axis=1)


def conservative(
    q_tm1: tf.Tensor, a_tm1: tf.Tensor, temperature: float
) -> tf.Tensor:
  """logsumexp_a(Q / τ) - Q(a_logged) / τ: conservative Q-learning's term.

  Kumar et al. (NeurIPS 2020), equation 4, with the temperature of Agarwal et
  al. (2022). It is the cross-entropy of softmax(Q / τ) at the logged action.

  Args:
    q_tm1: [B, A].
    a_tm1: [B] actions of the data.
    temperature: τ.

  Returns:
    [B], at least 0.
  """
  _check('q_tm1', q_tm1, 2)
  _check('a_tm1', a_tm1, 1)
  scaled = q_tm1 / temperature
  return tf.reduce_logsumexp(scaled, axis=1) - _take(scaled, a_tm1)
