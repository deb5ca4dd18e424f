"""A fully connected network in Keras."""

import tensorflow as tf

from rrl_pipeline.networks import config as config_lib
from rrl_pipeline.networks import torso as torso_lib


def make_torso(
    config: config_lib.MlpConfig, seed: int, dtype: str = 'float32'
) -> torso_lib.Torso:
  """Dense layers with ReLU; the last of them is the torso's hidden layer.

  Kernels are initialised uniformly with variance 1 / (√3 · fan-in), as in the
  Balloon Learning Environment's quantile network; biases are zero.
  """
  seeds = torso_lib.LayerSeeds(seed, 64)

  *makers, make_last = [
      torso_lib.hidden_layer(units, dtype, f'hidden_{i}')
      for i, units in enumerate(config.hidden_sizes)
  ]
  encoder = [make(torso_lib.variance_scaling(seeds())) for make in makers]
  return torso_lib.Torso(
      torso_lib.chain([tf.keras.layers.Flatten(dtype=dtype), *encoder]),
      make_last,
      seeds,
      torso_lib.variance_scaling,
      dtype,
  )
