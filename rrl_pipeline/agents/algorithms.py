"""The algorithms: what a head predicts, and the loss of a prediction.

In the shapes, `B` is the batch and `A` the number of actions.
"""

from typing import NamedTuple, Optional, Protocol

import tensorflow as tf

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import losses
from rrl_pipeline.networks import heads
from rrl_pipeline.networks import value_network

# What Dopamine's Rainbow adds to a loss below the root of a priority.
_PRIORITY_EPSILON = 1e-10


class TdLoss(NamedTuple):
  """The loss of temporal differences of each transition.

  Attributes:
    loss: float32 [B].
    priorities: float32 [B], at least 0: with what priority a prioritised
      replay should draw the transition again, before its exponent is applied.
      |TD error| (Schaul et al., ICLR 2016), or the root of a distribution's
      loss (Dopamine's Rainbow).
  """

  loss: tf.Tensor
  priorities: tf.Tensor


class Algorithm(Protocol):
  """One value-based algorithm.

  Attributes:
    num_online_fractions: fractions to draw for the online network; None where
      its head takes none.
    num_target_fractions: fractions to draw for the target network, likewise.
    selects_online: whether the online network chooses the action to bootstrap
      from.
  """

  num_online_fractions: Optional[int]
  num_target_fractions: Optional[int]
  selects_online: bool

  def head(self, num_actions: int) -> heads.Head:
    """A new head for one network."""

  def td_loss(
      self,
      predictions_tm1: heads.Predictions,
      fractions_tm1: Optional[tf.Tensor],
      a_tm1: tf.Tensor,
      r_t: tf.Tensor,
      discount_t: tf.Tensor,
      predictions_t: heads.Predictions,
      q_t_selector: tf.Tensor,
  ) -> TdLoss:
    """The loss of each transition; its gradient flows into predictions_tm1.

    Args:
      predictions_tm1: of the online network at s.
      fractions_tm1: [B, M] at which they were asked for; None where the head
        takes none.
      a_tm1: [B] actions taken there.
      r_t: [B] n-step sums of discounted rewards.
      discount_t: [B] γⁿ, or 0 where the n steps met a terminal state.
      predictions_t: of the target network n steps later.
      q_t_selector: [B, A] values there by which the action is chosen.
    """


class _Dqn:
  """See DqnConfig."""

  num_online_fractions = num_target_fractions = None

  def __init__(self, config: algorithm_config.DqnConfig):
    self.selects_online = config.double_q

  def head(self, num_actions):
    return heads.QValueHead(num_actions)

  def td_loss(
      self, predictions_tm1, fractions_tm1, a_tm1, r_t, discount_t,
      predictions_t, q_t_selector,
  ):
    del fractions_tm1
    errors = losses.n_step_td_errors(
        predictions_tm1.values, a_tm1, r_t, discount_t, predictions_t.values,
        q_t_selector,
    )
    return TdLoss(losses.huber(errors), tf.abs(errors))


class _C51:
  """See C51Config."""

  num_online_fractions = num_target_fractions = None
  selects_online = False

  def __init__(self, config: algorithm_config.C51Config):
    self._support = config.support()

  def head(self, num_actions):
    return heads.CategoricalHead(num_actions, self._support)

  def td_loss(
      self, predictions_tm1, fractions_tm1, a_tm1, r_t, discount_t,
      predictions_t, q_t_selector,
  ):
    del fractions_tm1
    return _distributional(
        losses.categorical_td(
            predictions_tm1.distribution, a_tm1, r_t, discount_t,
            predictions_t.distribution, q_t_selector,
            tf.constant(self._support, tf.float32),
        )
    )


class _Quantile:
  """See QuantileConfig."""

  num_online_fractions = num_target_fractions = None
  selects_online = False

  def __init__(self, config: algorithm_config.QuantileConfig):
    self._config = config

  def head(self, num_actions):
    return heads.QuantileHead(num_actions, self._config.num_quantiles)

  def td_loss(
      self, predictions_tm1, fractions_tm1, a_tm1, r_t, discount_t,
      predictions_t, q_t_selector,
  ):
    del fractions_tm1
    # The quantiles of one part each: the midpoints of the parts.
    count = self._config.num_quantiles
    midpoints = (tf.range(count, dtype=tf.float32)[tf.newaxis] + 0.5) / count
    return _distributional(
        losses.quantile_td(
            predictions_tm1.distribution, midpoints, a_tm1, r_t, discount_t,
            predictions_t.distribution, q_t_selector, self._config.kappa,
        )
    )


class _Iqn:
  """See IqnConfig."""

  selects_online = False

  def __init__(self, config: algorithm_config.IqnConfig):
    self._config = config
    self.num_online_fractions = config.num_fractions
    self.num_target_fractions = config.num_target_fractions

  def head(self, num_actions):
    return heads.ImplicitQuantileHead(
        num_actions,
        self._config.num_value_fractions,
        self._config.embedding_size,
    )

  def td_loss(
      self, predictions_tm1, fractions_tm1, a_tm1, r_t, discount_t,
      predictions_t, q_t_selector,
  ):
    return _distributional(
        losses.quantile_td(
            predictions_tm1.distribution, fractions_tm1, a_tm1, r_t, discount_t,
            predictions_t.distribution, q_t_selector, self._config.kappa,
        )
    )


_ALGORITHMS = {
    algorithm_config.DqnConfig.kind: _Dqn,
    algorithm_config.C51Config.kind: _C51,
    algorithm_config.QuantileConfig.kind: _Quantile,
    algorithm_config.IqnConfig.kind: _Iqn,
}


def make(config: algorithm_config.AlgorithmConfig) -> Algorithm:
  """The algorithm that `config` describes."""
  return _ALGORITHMS[config.kind](config)


def predict(
    network: value_network.ValueNetwork,
    observation: tf.Tensor,
    num_fractions: Optional[int],
    seed: tf.Tensor,
) -> tuple[heads.Predictions, Optional[tf.Tensor]]:
  """Predictions of a network, at fractions drawn from `seed` if it takes any.

  Args:
    network: the network.
    observation: [B, ...], rescaled.
    num_fractions: M, or None where the network takes none.
    seed: int32 [2]; the same gives the same fractions.

  Returns:
    The predictions, and the fractions, float32 [B, M], or None.
  """
  if num_fractions is None:
    return network.predict(observation), None
  fractions = tf.random.stateless_uniform(
      [tf.shape(observation)[0], num_fractions], seed
  )
  return network.predict(observation, fractions), fractions


def _distributional(loss: tf.Tensor) -> TdLoss:
  return TdLoss(loss, tf.sqrt(tf.stop_gradient(loss) + _PRIORITY_EPSILON))
