"""A network that values actions: rescaling, a torso and a head."""

from typing import Optional

import tensorflow as tf

from rrl_pipeline.networks import heads
from rrl_pipeline.networks import torso as torso_lib

_DTYPES = ('uint8', 'float32')


class ValueNetwork(tf.Module):
  """One set of variables behind two functions.

  Acting and bundles need nothing but Q-values of observations as they are.
  Learning needs the distribution of returns too, and observations that were
  rescaled and perhaps augmented.

  Attributes:
    values: Keras model from observations [B, ...] to Q-values, float32 [B, A].
  """

  def __init__(
      self,
      observation_shape: tuple[int, ...],
      observation_dtype: str,
      torso: torso_lib.Torso,
      head: heads.Head,
  ):
    """A network; uint8 observations are rescaled by 1 / 255, others are not.

    Raises:
      ValueError: if observations are neither uint8 nor float32.
    """
    super().__init__()
    if observation_dtype not in _DTYPES:
      raise ValueError(
          f'Observations must be one of {_DTYPES}, got {observation_dtype!r}.'
      )
    layers = tf.keras.layers
    self._is_rescaled = observation_dtype == 'uint8'
    self._samples_fractions = head.samples_fractions

    observation = layers.Input(observation_shape, dtype=observation_dtype)
    scaled = observation
    if self._is_rescaled:
      scaled = layers.Rescaling(1 / 255, dtype=tf.float32)(observation)
    predictions = head(torso, torso.encode(scaled), None)
    self.values = tf.keras.Model(observation, predictions.values)

    inputs = [layers.Input(observation_shape, dtype=tf.float32)]
    if head.samples_fractions:
      inputs.append(layers.Input((None,), dtype=tf.float32))
    predictions = head(torso, torso.encode(inputs[0]), *inputs[1:] or [None])
    outputs = [x for x in predictions if x is not None]
    self._predictions = tf.keras.Model(inputs, outputs)

  @property
  def variables(self):
    return self.values.variables

  @property
  def trainable_variables(self):
    return self.values.trainable_variables

  def rescale(self, observation: tf.Tensor) -> tf.Tensor:
    """Observations as they come → float32, as `predict` takes them."""
    observation = tf.cast(observation, tf.float32)
    return observation * (1 / 255) if self._is_rescaled else observation

  def predict(
      self, observation: tf.Tensor, fractions: Optional[tf.Tensor] = None
  ) -> heads.Predictions:
    """Predictions for rescaled observations, float32 [B, ...].

    Args:
      observation: as `rescale` gives it.
      fractions: float32 [B, M] for implicit quantiles; None for other heads.
    """
    inputs = [observation]
    if self._samples_fractions:
      inputs.append(fractions)
    # Keras gives a list of one output as that output.
    return heads.Predictions(*tf.nest.flatten(self._predictions(inputs)))
