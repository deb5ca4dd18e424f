"""The learner: n-step Q-learning with an optional distillation term."""

from typing import NamedTuple

from acme import types
import tensorflow as tf

from rrl_pipeline.agents import config as config_lib
from rrl_pipeline.agents import losses
from rrl_pipeline.replay import stacks


class LearnerMetrics(NamedTuple):
  """Means over one batch, float32 scalars."""

  loss: tf.Tensor
  td_loss: tf.Tensor
  distillation_loss: tf.Tensor
  teacher_agreement: tf.Tensor  # Share of states with the same greedy action.
  mean_q: tf.Tensor  # Of the actions taken.
  max_q: tf.Tensor  # Mean over the batch of the best action's value.


class Learner:
  """Holds the online and target networks and the optimiser, and steps them.

  The same object serves the offline and the online stage: only the source of
  the transitions, the distillation weight and the learning rate change.
  """

  def __init__(
      self,
      network: tf.keras.Model,
      target_network: tf.keras.Model,
      config: config_lib.AgentConfig,
  ):
    self._network = network
    self._target_network = target_network
    self._config = config
    # The legacy optimiser updates each variable by one fused kernel, three
    # times as fast on a CPU as its successor; the arithmetic is the same.
    self._optimizer = tf.keras.optimizers.legacy.Adam(
        config.learning_rate, epsilon=config.adam_epsilon
    )
    self._optimizer._create_all_weights(network.trainable_variables)
    self.num_steps = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.synchronise_target()

  @property
  def network(self) -> tf.keras.Model:
    return self._network

  @property
  def state(self) -> dict[str, tf.__internal__.tracking.Trackable]:
    """What a checkpoint of the learner must hold."""
    return {
        'network': self._network,
        'target_network': self._target_network,
        'optimizer': self._optimizer,
        'num_steps': self.num_steps,
    }

  def synchronise_target(self) -> None:
    for target, variable in zip(
        self._target_network.variables, self._network.variables, strict=True
    ):
      target.assign(variable)

  def step(
      self,
      transitions: types.Transition,
      distillation_weight: float,
      learning_rate: float,
  ) -> LearnerMetrics:
    """One gradient update.

    Args:
      transitions: observation and next_observation uint8 [B, H, W, stack],
        action int32 [B], reward float32 [B] (n-step), discount float32 [B]
        (γⁿ or 0), extras float32 [B, A]: the teacher's values at the
        observation, whatever they are where the weight is 0. The order of
        observations in memory does not matter.
      distillation_weight: λ at this step.
      learning_rate: Adam's at this step.
    """
    self._optimizer.learning_rate.assign(learning_rate)
    transitions = transitions._replace(
        observation=stacks.contiguous(transitions.observation),
        next_observation=stacks.contiguous(transitions.next_observation),
    )
    metrics = self._step(
        *(tf.convert_to_tensor(x) for x in transitions),
        tf.constant(distillation_weight, tf.float32),
    )
    steps = int(self.num_steps.assign_add(1))
    if steps % self._config.target_update_period == 0:
      self.synchronise_target()
    return metrics

  @tf.function
  def _step(
      self,
      o_tm1,
      a_tm1,
      r_t,
      discount_t,
      o_t,
      teacher_values,
      distillation_weight,
  ):
    q_t = self._target_network(o_t)
    q_t_selector = self._network(o_t) if self._config.double_q else q_t
    with tf.GradientTape() as tape:
      q_tm1 = self._network(o_tm1)
      td_errors = losses.n_step_td_errors(
          q_tm1, a_tm1, r_t, discount_t, q_t, q_t_selector
      )
      td_loss = tf.reduce_mean(losses.huber(td_errors))
      distillation_loss = tf.reduce_mean(
          losses.distillation(q_tm1, teacher_values, self._config.temperature)
      )
      loss = td_loss + distillation_weight * distillation_loss
    variables = self._network.trainable_variables
    self._optimizer.apply_gradients(
        zip(tape.gradient(loss, variables), variables)
    )
    agree = tf.equal(tf.argmax(q_tm1, axis=1), tf.argmax(teacher_values, axis=1))
    return LearnerMetrics(
        loss=loss,
        td_loss=td_loss,
        distillation_loss=distillation_loss,
        teacher_agreement=tf.reduce_mean(tf.cast(agree, tf.float32)),
        mean_q=tf.reduce_mean(
            tf.gather(q_tm1, a_tm1, axis=1, batch_dims=1)
        ),
        max_q=tf.reduce_mean(tf.reduce_max(q_tm1, axis=1)),
    )
