"""The residual network of IMPALA in Keras."""

from typing import Any

import tensorflow as tf

from rrl_pipeline.networks import config as config_lib
from rrl_pipeline.networks import torso as torso_lib

_BLOCKS = 2


class _Encoder:
  """Stacks of a convolution, a maximum and two residual blocks.

  The first convolution of a stack is initialised Glorot-uniform. Those of the
  blocks are LeCun-normal, Flax's default, which the reincarnating RL code
  leaves in place. All pad 'same', and all biases are zero.
  """

  def __init__(
      self,
      config: config_lib.ImpalaConfig,
      seeds: torso_lib.LayerSeeds,
      dtype: str,
  ):
    self._dtype = dtype
    self._stacks = []
    for i, channels in enumerate(config.channels):
      filters = channels * config.width
      first = self._convolution(
          filters,
          torso_lib.glorot(seeds()),
          f'stack_{i}_conv',
      )
      blocks = [
          [
              self._convolution(
                  filters,
                  tf.keras.initializers.LecunNormal(seed=seeds()),
                  f'stack_{i}_block_{j}_conv_{k}',
              )
              for k in range(2)
          ]
          for j in range(_BLOCKS)
      ]
      self._stacks.append((first, blocks))

  def __call__(self, x: Any) -> Any:
    layers, dtype = tf.keras.layers, self._dtype
    for first, blocks in self._stacks:
      x = first(x)
      x = layers.MaxPool2D(3, 2, 'same', dtype=dtype)(x)
      for convolutions in blocks:
        y = x
        for convolution in convolutions:
          y = convolution(layers.ReLU(dtype=dtype)(y))
        x = layers.Add(dtype=dtype)([x, y])
    return layers.Flatten(dtype=dtype)(layers.ReLU(dtype=dtype)(x))

  def _convolution(self, filters, initializer, name) -> tf.keras.layers.Layer:
    return tf.keras.layers.Conv2D(
        filters,
        3,
        1,
        'same',
        kernel_initializer=initializer,
        dtype=self._dtype,
        name=name,
    )


def make_torso(
    config: config_lib.ImpalaConfig, seed: int, dtype: str = 'float32'
) -> torso_lib.Torso:
  """Fifteen convolutions, as long as there are three stacks, and a dense layer.

  The dense layer and heads are initialised Glorot-uniform.
  """
  seeds = torso_lib.LayerSeeds(seed, 64)

  return torso_lib.Torso(
      _Encoder(config, seeds, dtype),
      torso_lib.hidden_layer(config.hidden_units, dtype),
      seeds,
      torso_lib.glorot,
      dtype,
  )
