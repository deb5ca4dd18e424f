"""What batches and episodes tell of how a student learns, as pure functions.

In the shapes, `B` is the batch, `A` the number of actions and `M` the number
of atoms of a distribution of returns.
"""

from typing import NamedTuple, Optional, Sequence

import numpy as np
import tensorflow as tf


class GradientMetrics(NamedTuple):
  """Of the gradients of two losses, float32 scalars.

  Attributes:
    td_gradient_norm: Euclidean norm of the TD term's.
    distillation_gradient_norm: that of the distillation term's.
    gradient_cosine: cosine of the angle between them; below 0 the terms pull
      against each other. 0 if one of them is 0.
  """

  td_gradient_norm: tf.Tensor
  distillation_gradient_norm: tf.Tensor
  gradient_cosine: tf.Tensor


def agreement(
    student_values: tf.Tensor, teacher_values: tf.Tensor
) -> tf.Tensor:
  """Share of the states, both [B, A], with the same greedy action."""
  same = tf.equal(
      tf.argmax(student_values, axis=1), tf.argmax(teacher_values, axis=1)
  )
  return tf.reduce_mean(tf.cast(same, tf.float32))


def action_gap(values: tf.Tensor) -> tf.Tensor:
  """Mean over [B, A] of the best action's value minus the second best's.

  0 where there is one action only.
  """
  best = tf.math.top_k(values, k=min(2, values.shape[1])).values
  return tf.reduce_mean(best[:, 0] - best[:, -1])


def mean_value(values: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
  """Mean value, [B, A], of the actions taken, [B]."""
  return tf.reduce_mean(tf.gather(values, actions, axis=1, batch_dims=1))


def max_value(values: tf.Tensor) -> tf.Tensor:
  """Mean over [B, A] of the best action's value."""
  return tf.reduce_mean(tf.reduce_max(values, axis=1))


def categorical_entropy(logits: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
  """Mean entropy, in nats, of the returns predicted for the actions taken.

  Args:
    logits: [B, A, M] of atoms.
    actions: [B].
  """
  log_probabilities = tf.nn.log_softmax(
      tf.gather(logits, actions, axis=1, batch_dims=1)
  )
  return -tf.reduce_mean(
      tf.reduce_sum(tf.exp(log_probabilities) * log_probabilities, axis=1)
  )


def compare_gradients(
    td: Sequence[tf.Tensor], distillation: Sequence[tf.Tensor]
) -> GradientMetrics:
  """Compares the gradients of two losses in the same variables."""
  td_norm, distillation_norm = tf.linalg.global_norm(td), tf.linalg.global_norm(
      distillation
  )
  product = tf.add_n([
      tf.reduce_sum(a * b) for a, b in zip(td, distillation, strict=True)
  ])
  return GradientMetrics(
      td_norm,
      distillation_norm,
      tf.math.divide_no_nan(product, td_norm * distillation_norm),
  )


def realised_value(
    rewards: Sequence[float], discount: float, reward_limit: Optional[float]
) -> float:
  """Mean over an episode's steps of the discounted return that followed.

  It is what the Q-values of the actions taken predict, as far as the episode
  was not cut: returns stop where it ends.

  Args:
    rewards: raw, of each step.
    discount: γ.
    reward_limit: absolute value to which each reward is clipped, as for
      learning; None for not at all.
  """
  if reward_limit is not None:
    rewards = np.clip(rewards, -reward_limit, reward_limit)
  following, total = 0.0, 0.0
  for reward in reversed(rewards):
    following = float(reward) + discount * following
    total += following
  return total / len(rewards)
