"""The Nature DQN network in Keras."""

import tensorflow as tf

from rrl_pipeline.networks import config as config_lib
from rrl_pipeline.networks import heads
from rrl_pipeline.networks import torso as torso_lib
from rrl_pipeline.networks import value_network


def make_torso(
    config: config_lib.NatureConfig, seed: int, dtype: str = 'float32'
) -> torso_lib.Torso:
  """Three convolutions and a fully connected layer.

  Kernels are initialised Glorot-uniform and biases zero, as in Dopamine; each
  layer's initialiser has a seed of its own derived from `seed`.
  """
  layers = tf.keras.layers
  seeds = torso_lib.LayerSeeds(seed, 8)

  encoder = [
      layers.Conv2D(
          filters,
          size,
          stride,
          config.padding,
          activation='relu',
          kernel_initializer=torso_lib.glorot(seeds()),
          dtype=dtype,
          name=f'conv_{i}',
      )
      for i, (filters, size, stride) in enumerate(
          zip(config.channels, (8, 4, 3), (4, 2, 1), strict=True)
      )
  ]
  return torso_lib.Torso(
      torso_lib.chain([*encoder, layers.Flatten(dtype=dtype)]),
      torso_lib.hidden_layer(config.hidden_units, dtype),
      seeds,
      torso_lib.glorot,
      dtype,
  )


def make(
    config: config_lib.NatureConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    seed: int,
) -> tf.keras.Model:
  """The network of DQN: uint8 [B, H, W, stack] → Q-values, float32 [B, A]."""
  return value_network.ValueNetwork(
      observation_shape,
      'uint8',
      make_torso(config, seed),
      heads.QValueHead(num_actions),
  ).values
