"""The network of the MinAtar paper in Keras."""

import tensorflow as tf

from rrl_pipeline.networks import config as config_lib
from rrl_pipeline.networks import torso as torso_lib


def make_torso(
    config: config_lib.MinatarConfig, seed: int, dtype: str = 'float32'
) -> torso_lib.Torso:
  """One convolution and a fully connected layer.

  The paper's code leaves PyTorch's initialisers in place: kernels uniform
  within ±1 / √fan-in. Biases are zero here.
  """
  layers = tf.keras.layers
  seeds = torso_lib.LayerSeeds(seed, 64)

  def initializer(seed):
    # A uniform distribution within ±limit has the variance limit² / 3.
    return torso_lib.variance_scaling(seed, scale=1 / 3)

  convolution = layers.Conv2D(
      config.channels,
      3,
      activation='relu',
      kernel_initializer=initializer(seeds()),
      dtype=dtype,
      name='conv_0',
  )
  return torso_lib.Torso(
      torso_lib.chain([convolution, layers.Flatten(dtype=dtype)]),
      torso_lib.hidden_layer(config.hidden_units, dtype),
      seeds,
      initializer,
      dtype,
  )
