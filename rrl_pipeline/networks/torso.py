"""What a network has before its head, in two parts."""

from typing import Any, Callable, Iterator, NamedTuple

import tensorflow as tf

Initializer = tf.keras.initializers.Initializer


class LayerSeeds:
  """Gives each layer of a network a seed of its own.

  Keras draws equal kernels for layers of equal shape and equal seed.
  """

  def __init__(self, seed: int, spacing: int):
    """Seeds from seed · spacing on; Keras wants each below 2³²."""
    self._seeds: Iterator[int] = iter(range(seed * spacing, 2**32))

  def __call__(self) -> int:
    return next(self._seeds)


class Torso(NamedTuple):
  """The layers below a head.

  A head stands on top of both parts; that of implicit quantile networks enters
  between them too, and initialises the second in its own way.

  Attributes:
    encode: observations, float32 [B, ...], → features [B, F].
    make_hidden: from the initialiser of its kernel, the last hidden layer:
      features [..., F] → [..., H].
    seeds: gives each layer of a head its seed.
    initializer: makes the kernel initialiser of a layer from a seed.
    dtype: dtype policy of the layers, such as 'mixed_bfloat16'.
  """

  encode: Callable[[Any], Any]
  make_hidden: Callable[[Initializer], Callable[[Any], Any]]
  seeds: LayerSeeds
  initializer: Callable[[int], Initializer]
  dtype: str


def glorot(seed: int) -> Initializer:
  """Uniform of variance 2 / (fan-in + fan-out)."""
  return tf.keras.initializers.GlorotUniform(seed=seed)


def variance_scaling(seed: int, scale: float = 3**-0.5) -> Initializer:
  """Uniform of variance scale / fan-in.

  With the default scale Dopamine and the Balloon Learning Environment
  initialise their quantile networks.
  """
  return tf.keras.initializers.VarianceScaling(
      scale, mode='fan_in', distribution='uniform', seed=seed
  )


def hidden_layer(
    units: int, dtype: str, name: str = 'hidden'
) -> Callable[[Initializer], tf.keras.layers.Layer]:
  """What makes a dense layer with ReLU of its initialiser."""
  return lambda initializer: tf.keras.layers.Dense(
      units,
      activation='relu',
      kernel_initializer=initializer,
      dtype=dtype,
      name=name,
  )


def chain(layers: list[tf.keras.layers.Layer]) -> Callable[[Any], Any]:
  """The function that applies layers one after the other."""

  def apply(x):
    for layer in layers:
      x = layer(x)
    return x

  return apply
