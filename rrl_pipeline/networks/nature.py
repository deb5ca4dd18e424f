"""The Nature DQN network in Keras."""

import tensorflow as tf

from rrl_pipeline.networks import config as config_lib


def make(
    config: config_lib.NatureConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    seed: int,
    name: str = 'nature',
) -> tf.keras.Model:
  """A network from uint8 [B, H, W, stack] to Q-values, float32 [B, A].

  Kernels are initialised Glorot-uniform and biases zero, as in Dopamine; each
  layer's initialiser has a seed of its own derived from `seed`.
  """
  layers = tf.keras.layers
  seeds = iter(range(seed * 8, seed * 8 + 8))

  def glorot():
    return tf.keras.initializers.GlorotUniform(seed=next(seeds))

  stack = [
      layers.Input(observation_shape, dtype=tf.uint8),
      layers.Rescaling(1 / 255, dtype=tf.float32),
  ]
  for i, (filters, size, stride) in enumerate(
      zip(config.channels, (8, 4, 3), (4, 2, 1), strict=True)
  ):
    stack.append(
        layers.Conv2D(
            filters,
            size,
            stride,
            config.padding,
            activation='relu',
            kernel_initializer=glorot(),
            name=f'conv_{i}',
        )
    )
  stack += [
      layers.Flatten(),
      layers.Dense(
          config.hidden_units,
          activation='relu',
          kernel_initializer=glorot(),
          name='hidden',
      ),
      layers.Dense(num_actions, kernel_initializer=glorot(), name='q_values'),
  ]
  return tf.keras.Sequential(stack, name=name)
