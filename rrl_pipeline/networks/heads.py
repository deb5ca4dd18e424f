"""Heads: how a network says what it expects of each action.

In the shapes, `B` is the batch, `A` the number of actions and `M` the number
of atoms or quantiles of a distribution of returns.
"""

import math
from typing import Any, NamedTuple, Optional, Protocol

import tensorflow as tf

from rrl_pipeline.networks import torso as torso_lib


class Predictions(NamedTuple):
  """What a network says of a batch of observations.

  Attributes:
    values: float32 [B, A], the expected returns.
    distribution: float32 [B, A, M]: logits of atoms, or values of quantiles;
      None of a head that predicts expectations only.
  """

  values: Any
  distribution: Optional[Any] = None


class Head(Protocol):
  """The last layers of one network; they are made when it is first applied.

  Attributes:
    samples_fractions: whether `distribution` is that of given fractions.
  """

  samples_fractions: bool

  def __call__(
      self, torso: torso_lib.Torso, features: Any, fractions: Optional[Any]
  ) -> Predictions:
    """Applies the head; each call shares the layers of the first one.

    Args:
      torso: of the network; its hidden layer is made and applied here.
      features: [B, F] as it encodes observations.
      fractions: float32 [B, M] in [0, 1], at which quantiles are asked for;
        None where `samples_fractions` is not set, or to have `values` only.
    """


class QValueHead:
  """One expected return for each action (DQN)."""

  samples_fractions = False

  def __init__(self, num_actions: int):
    self._num_actions = num_actions
    self._layers: Optional[_Layers] = None

  def __call__(self, torso, features, fractions=None) -> Predictions:
    self._layers = self._layers or _Layers(torso, self._num_actions, 'q_values')
    return Predictions(self._layers(features))


class CategoricalHead:
  """Logits of fixed atoms for each action (C51; Bellemare et al., 2017)."""

  samples_fractions = False

  def __init__(self, num_actions: int, support: tuple[float, ...]):
    """A head of `len(support)` atoms at the returns in `support`."""
    self._num_actions = num_actions
    self._support = support
    self._layers: Optional[_Layers] = None

  def __call__(self, torso, features, fractions=None) -> Predictions:
    shape = (self._num_actions, len(self._support))
    self._layers = self._layers or _Layers(torso, math.prod(shape), 'logits')
    logits = tf.keras.layers.Reshape(shape)(self._layers(features))
    support = tf.constant(self._support, tf.float32)
    values = tf.reduce_sum(tf.nn.softmax(logits) * support, axis=2)
    return Predictions(values, logits)


class QuantileHead:
  """Fixed quantiles for each action (QR-DQN; Dabney et al., AAAI 2018)."""

  samples_fractions = False

  def __init__(self, num_actions: int, num_quantiles: int):
    self._shape = (num_actions, num_quantiles)
    self._layers: Optional[_Layers] = None

  def __call__(self, torso, features, fractions=None) -> Predictions:
    self._layers = self._layers or _Layers(
        torso, math.prod(self._shape), 'quantiles'
    )
    quantiles = tf.keras.layers.Reshape(self._shape)(self._layers(features))
    return Predictions(tf.reduce_mean(quantiles, axis=2), quantiles)


class ImplicitQuantileHead:
  """Quantiles at any fractions (IQN; Dabney et al., ICML 2018, section 3).

  A fraction τ becomes cos(π i τ) for i = 1, 2, …, then a dense layer with ReLU
  as wide as the features, which it multiplies before the hidden layer. That i
  begins at 1, where the paper has 0, is as in Dopamine and in the code of the
  reincarnating RL paper. As there, the embedding and the layers above it are
  initialised by variance scaling, whatever the torso below is.

  The expected values are means over evenly spaced fractions rather than over
  drawn ones, so that the network is a function of the observation alone.
  """

  samples_fractions = True

  def __init__(
      self,
      num_actions: int,
      num_value_fractions: int,
      embedding_size: int,
  ):
    """A head.

    Args:
      num_actions: A.
      num_value_fractions: K evenly spaced fractions of expected values.
      embedding_size: number of cosines.
    """
    self._num_actions = num_actions
    self._num_value_fractions = num_value_fractions
    self._embedding_size = embedding_size
    self._embedding: Optional[tf.keras.layers.Layer] = None
    self._layers: Optional[_Layers] = None

  def __call__(self, torso, features, fractions=None) -> Predictions:
    if self._layers is None:
      self._embedding = tf.keras.layers.Dense(
          features.shape[1],
          activation='relu',
          kernel_initializer=torso_lib.variance_scaling(torso.seeds()),
          dtype=torso.dtype,
          name='embedding',
      )
      self._layers = _Layers(
          torso._replace(initializer=torso_lib.variance_scaling),
          self._num_actions,
          'quantiles',
      )
    even = _EvenFractions(self._num_value_fractions)(features)
    values = tf.reduce_mean(self._quantiles(features, even), axis=2)
    if fractions is None:
      return Predictions(values)
    return Predictions(values, self._quantiles(features, fractions))

  def _quantiles(self, features, fractions) -> Any:
    """[B, F] at [B, M] or [1, M] → [B, A, M]."""
    orders = math.pi * tf.range(1, self._embedding_size + 1, dtype=tf.float32)
    embedded = self._embedding(tf.cos(fractions[:, :, tf.newaxis] * orders))
    joined = features[:, tf.newaxis, :] * embedded  # [B, M, F]
    return tf.transpose(self._layers(joined), [0, 2, 1])


class _EvenFractions(tf.keras.layers.Layer):
  """The midpoints of equal parts of [0, 1], whatever it is applied to."""

  def __init__(self, count: int, **kwargs):
    super().__init__(dtype=tf.float32, **kwargs)
    self._count = count

  def call(self, features: tf.Tensor) -> tf.Tensor:
    """[B, F] → float32 [1, count]."""
    del features
    return (tf.range(self._count, dtype=tf.float32)[None] + 0.5) / self._count


class _Layers:
  """The hidden layer of a torso and a linear layer on top."""

  def __init__(self, torso: torso_lib.Torso, units: int, name: str):
    self._hidden = torso.make_hidden(torso.initializer(torso.seeds()))
    self._linear = tf.keras.layers.Dense(
        units,
        kernel_initializer=torso.initializer(torso.seeds()),
        # Whatever the torso computes in.
        dtype='float32',
        name=name,
    )

  def __call__(self, features: Any) -> Any:
    return self._linear(self._hidden(features))
