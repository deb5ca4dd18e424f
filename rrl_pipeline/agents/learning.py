"""The learner: steps the networks of any algorithm on a sum of losses."""

from typing import Callable, NamedTuple, Optional

from acme import types
import numpy as np
import tensorflow as tf

from rrl_pipeline.agents import algorithms
from rrl_pipeline.agents import augmentation
from rrl_pipeline.agents import config as config_lib
from rrl_pipeline.agents import diagnostics
from rrl_pipeline.agents import losses
from rrl_pipeline.agents import optimizers
from rrl_pipeline.networks import graph_function
from rrl_pipeline.networks import heads
from rrl_pipeline.networks import value_network
from rrl_pipeline.replay import stacks

_DISTILLATIONS = {
    'q_values': losses.distillation,
    'logits': losses.logit_distillation,
    'action': losses.action_distillation,
}
# What a step draws random numbers for; each has a stream of its own.
_PURPOSES = ('image', 'next_image', 'fractions', 'target_fractions')


class LossWeights(NamedTuple):
  """The weight of each term of the loss at one step.

  A weight counts only if the agent's configuration has the term at all: margin
  and conservative terms are computed only where they do not weigh 0 there.
  """

  td: float = 1.0
  distillation: float = 0.0
  margin: float = 0.0
  conservative: float = 0.0


class LearnerMetrics(NamedTuple):
  """Means over one batch, float32 scalars; None where there is no such thing.

  The losses are weighted by the importance weights of the batch, and not yet by
  the weights of the terms.
  """

  loss: tf.Tensor
  td_loss: tf.Tensor
  distillation_loss: tf.Tensor  # KL, or cross-entropy for teachers of actions.
  teacher_agreement: tf.Tensor  # Share of states with the same greedy action.
  mean_q: tf.Tensor  # Of the actions taken.
  max_q: tf.Tensor  # Mean over the batch of the best action's value.
  action_gap: Optional[tf.Tensor] = None  # Best value minus the second best.
  margin_loss: Optional[tf.Tensor] = None
  conservative_loss: Optional[tf.Tensor] = None
  return_entropy: Optional[tf.Tensor] = None  # Of a categorical distribution.
  # Every `diagnostics_period` steps, while there is distillation.
  td_gradient_norm: Optional[tf.Tensor] = None
  distillation_gradient_norm: Optional[tf.Tensor] = None
  gradient_cosine: Optional[tf.Tensor] = None


class Update(NamedTuple):
  """What one learner step gives.

  Attributes:
    metrics: of its batch.
    priorities: float32 [B], at least 0, of the TD term before the step; see
      `algorithms.TdLoss`.
  """

  metrics: LearnerMetrics
  priorities: tf.Tensor


class _Terms(NamedTuple):
  """The terms of the loss for each transition, [B]; None for absent ones."""

  td: algorithms.TdLoss
  distillation: tf.Tensor
  margin: Optional[tf.Tensor]
  conservative: Optional[tf.Tensor]
  predictions: heads.Predictions


class Learner:
  """Holds the online and target networks and the optimiser, and steps them.

  The same object serves the offline and the online stage and every method: only
  the source of the transitions, the weights of the terms and the learning rate
  change. What it draws at random depends on its seed and the number of the step
  only, so that a resumed learner goes on with the same numbers.
  """

  def __init__(
      self,
      network: value_network.ValueNetwork,
      target_network: value_network.ValueNetwork,
      config: config_lib.AgentConfig,
      seed: int = 0,
      teacher_kind: str = 'q_values',
  ):
    """A learner of two networks of the same build.

    Args:
      network: to learn.
      target_network: set to `network` at once.
      config: how it learns.
      seed: of fractions of quantiles and of augmentations.
      teacher_kind: how the teacher's values are read: 'q_values' are divided
        by τ, 'logits' are not, and of 'action' nothing but the greatest counts.
    """
    self._distillation = _DISTILLATIONS[teacher_kind]
    self._network = network
    self._target_network = target_network
    self._config = config
    self._algorithm = algorithms.make(config.algorithm)
    self._seed = seed
    self._optimizer = optimizers.make(
        config.optimizer, config.learning_rate, network.trainable_variables
    )
    self.num_steps = tf.Variable(0, dtype=tf.int64, trainable=False)
    self._traced_step = tf.function(self._step_networks)
    self._graphs = {}  # By batch size.
    self.synchronise_target()

  @property
  def network(self) -> tf.keras.Model:
    """From observations [B, ...] to Q-values, float32 [B, A]."""
    return self._network.values

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

  def reset_optimizer(self) -> None:
    """Forgets the optimiser's moments; networks and step count stay."""
    optimizers.reset(self._optimizer)

  def step(
      self,
      transitions: types.Transition,
      distillation_weight: float,
      learning_rate: float,
  ) -> LearnerMetrics:
    """One `update` on equally weighted transitions.

    Args:
      transitions: as `update` takes them.
      distillation_weight: λ at this step; the other terms weigh what the
        agent's configuration says.
      learning_rate: at this step.
    """
    config = self._config
    weights = LossWeights(
        config.td_weight,
        distillation_weight,
        config.margin_weight,
        config.conservative_weight,
    )
    return self.update(transitions, weights, learning_rate).metrics

  def update(
      self,
      transitions: types.Transition,
      weights: LossWeights,
      learning_rate: float,
      importance_weights: Optional[np.ndarray] = None,
  ) -> Update:
    """One gradient update.

    Args:
      transitions: observation and next_observation as the network takes them,
        [B, ...], action int32 [B], reward float32 [B] (n-step), discount
        float32 [B] (γⁿ or 0), extras float32 [B, A]: the teacher's values at
        the observation as it is, whatever they are where no weight asks for
        them. The order of observations in memory does not matter.
      weights: of the terms of the loss at this step.
      learning_rate: at this step.
      importance_weights: float32 [B], factors of all terms of a transition; 1
        if None.
    """
    transitions = transitions._replace(
        observation=stacks.contiguous(transitions.observation),
        next_observation=stacks.contiguous(transitions.next_observation),
    )
    if importance_weights is None:
      importance_weights = np.ones(len(transitions.action), np.float32)
    batch = (importance_weights, *transitions)
    steps = int(self.num_steps) + 1
    gradients = {}
    if weights.distillation and steps % self._config.diagnostics_period == 0:
      gradients = self._compare_gradients(*batch)._asdict()
    update = self._step(
        np.asarray(weights, np.float32), np.float32(learning_rate), *batch
    )
    if steps % self._config.target_update_period == 0:
      self.synchronise_target()
    return update._replace(metrics=update.metrics._replace(**gradients))

  def _step(self, *arrays: np.ndarray) -> Update:
    """Calls `_step_networks` as a graph."""
    batch_size = len(arrays[-1])
    graph = self._graphs.get(batch_size)
    if graph is None:
      graph = graph_function.GraphFunction(
          self._traced_step.get_concrete_function(*arrays)
      )
      self._graphs[batch_size] = graph
    *values, priorities = graph(*arrays)
    names = (
        name
        for name, spec in graph.structure.metrics._asdict().items()
        if spec is not None
    )
    metrics = LearnerMetrics(**dict(zip(names, values, strict=True)))
    return Update(metrics, priorities)

  def _step_networks(
      self,
      weights: tf.Tensor,
      learning_rate: tf.Tensor,
      importance_weights: tf.Tensor,
      *columns: tf.Tensor,
  ) -> Update:
    """One update and the count of it, all in one call of the graph.

    On small networks each operation outside would cost as much as a layer.

    Args:
      weights: float32 [4], as in `LossWeights`.
      learning_rate: float32 scalar.
      importance_weights: float32 [B].
      *columns: of the transitions.
    """
    transitions = types.Transition(*columns)
    losses_of = _weighted_mean(importance_weights)
    bootstrap = self._bootstrap(transitions.next_observation)
    with tf.GradientTape() as tape:
      terms = self._terms(transitions, bootstrap)
      means = LossWeights(
          losses_of(terms.td.loss),
          losses_of(terms.distillation),
          losses_of(terms.margin),
          losses_of(terms.conservative),
      )
      loss = tf.add_n([
          weight * mean
          for weight, mean in zip(tf.unstack(weights), means, strict=True)
          if mean is not None
      ])
    variables = self._network.trainable_variables
    self._optimizer.learning_rate.assign(learning_rate)
    self._optimizer.apply_gradients(
        zip(tape.gradient(loss, variables), variables)
    )
    self.num_steps.assign_add(1)
    a_tm1 = transitions.action
    values, distribution = terms.predictions
    entropy = None
    if self._config.algorithm.kind == 'c51':
      entropy = diagnostics.categorical_entropy(distribution, a_tm1)
    metrics = LearnerMetrics(
        loss=loss,
        td_loss=means.td,
        distillation_loss=means.distillation,
        teacher_agreement=diagnostics.agreement(values, transitions.extras),
        mean_q=diagnostics.mean_value(values, a_tm1),
        max_q=diagnostics.max_value(values),
        action_gap=diagnostics.action_gap(values),
        margin_loss=means.margin,
        conservative_loss=means.conservative,
        return_entropy=entropy,
    )
    return Update(metrics, terms.td.priorities)

  @tf.function
  def _compare_gradients(
      self, importance_weights: tf.Tensor, *columns: tf.Tensor
  ) -> diagnostics.GradientMetrics:
    """Of both terms, see `diagnostics`; arguments as in `_step_networks`."""
    transitions = types.Transition(*columns)
    losses_of = _weighted_mean(importance_weights)
    bootstrap = self._bootstrap(transitions.next_observation)
    with tf.GradientTape(persistent=True) as tape:
      terms = self._terms(transitions, bootstrap)
      td_loss = losses_of(terms.td.loss)
      distillation_loss = losses_of(terms.distillation)
    gradients = (
        tape.gradient(
            loss,
            self._network.trainable_variables,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        for loss in (td_loss, distillation_loss)
    )
    return diagnostics.compare_gradients(*gradients)

  def _bootstrap(self, o_t: tf.Tensor) -> tuple[heads.Predictions, tf.Tensor]:
    """The target network's predictions, and values to choose actions by."""
    algorithm = self._algorithm
    o_t = self._prepare(o_t, 'next_image')
    predictions_t, _ = algorithms.predict(
        self._target_network,
        o_t,
        algorithm.num_target_fractions,
        self._step_seed('target_fractions'),
    )
    if not algorithm.selects_online:
      return predictions_t, predictions_t.values
    return predictions_t, self._network.predict(o_t).values

  def _terms(
      self,
      transitions: types.Transition,
      bootstrap: tuple[heads.Predictions, tf.Tensor],
  ) -> _Terms:
    config = self._config
    o_tm1, a_tm1, r_t, discount_t, _, teacher_values = transitions
    predictions, fractions = algorithms.predict(
        self._network,
        self._prepare(o_tm1, 'image'),
        self._algorithm.num_online_fractions,
        self._step_seed('fractions'),
    )
    q_tm1 = predictions.values
    margin = conservative = None
    if config.margin_weight:
      margin = losses.margin(
          q_tm1,
          tf.argmax(teacher_values, axis=1),
          config.margin,
          config.margin_form,
      )
    if config.conservative_weight:
      conservative = losses.conservative(q_tm1, a_tm1, config.temperature)
    return _Terms(
        self._algorithm.td_loss(
            predictions, fractions, a_tm1, r_t, discount_t, *bootstrap
        ),
        self._distillation(q_tm1, teacher_values, config.temperature),
        margin,
        conservative,
        predictions,
    )

  def _prepare(self, observation: tf.Tensor, purpose: str) -> tf.Tensor:
    """Observations as `ValueNetwork.predict` takes them."""
    return augmentation.augment(
        self._network.rescale(observation),
        self._config.augmentation,
        self._step_seed(purpose),
    )

  def _step_seed(self, purpose: str) -> tf.Tensor:
    """A seed of this step's own; int64 [2]."""
    number = _PURPOSES.index(purpose)
    seed = tf.stack([tf.constant(self._seed, tf.int64), self.num_steps])
    return tf.random.experimental.stateless_fold_in(seed, number)


def _weighted_mean(
    importance_weights: tf.Tensor,
) -> Callable[[Optional[tf.Tensor]], Optional[tf.Tensor]]:
  """The function that means terms [B] over the batch; None stays None."""

  def mean(term: Optional[tf.Tensor]) -> Optional[tf.Tensor]:
    return None if term is None else tf.reduce_mean(importance_weights * term)

  return mean
