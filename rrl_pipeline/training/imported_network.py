"""Gives the weights of a foreign network to a network of this package."""

import math
from typing import Iterator, NamedTuple

import numpy as np
import tensorflow as tf

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import builder
from rrl_pipeline.networks import config as network_config_lib
from rrl_pipeline.teachers import foreign_network

# Dopamine acts by the mean over 32 drawn quantiles. Even ones are as many, so
# that a teacher's values depend on the observation only.
_NUM_QUANTILES = 32
_HEADS = {
    foreign_network.DQN: 'q_values',
    foreign_network.C51: 'logits',
    foreign_network.QUANTILE: 'quantiles',
    foreign_network.IQN: 'quantiles',
}
_STACK_LAYERS = (
    'conv',
    'block_0_conv_0',
    'block_0_conv_1',
    'block_1_conv_0',
    'block_1_conv_1',
)


class ImportedNetwork(NamedTuple):
  """A network of this package that computes what a foreign one does.

  Attributes:
    network: Keras model from observations to Q-values.
    network_config: of its torso.
    algorithm: of its head.
  """

  network: tf.keras.Model
  network_config: network_config_lib.NetworkConfig
  algorithm: algorithm_config.AlgorithmConfig


def quantiles() -> np.ndarray:
  """The fractions float64 [K] over which the values of IQN are means."""
  return (np.arange(_NUM_QUANTILES) + 0.5) / _NUM_QUANTILES


def make(
    foreign: foreign_network.ForeignNetwork,
    observation_shape: tuple[int, ...],
) -> ImportedNetwork:
  """Builds a network and gives it the weights.

  Args:
    foreign: the network; its layers must fit the observations, see
      `foreign_network.check`.
    observation_shape: [H, W, stack].

  Raises:
    ValueError: if no network of this package computes the same.
  """
  network_config = _network_config(foreign)
  algorithm = _algorithm(foreign)
  network = builder.make_network(
      network_config,
      algorithm,
      observation_shape,
      'uint8',
      foreign.num_actions,
      seed=0,
  )
  for name, layer in _layers(foreign):
    network.get_layer(name).set_weights([layer.kernel, layer.bias])
  return ImportedNetwork(network, network_config, algorithm)


def _network_config(
    foreign: foreign_network.ForeignNetwork,
) -> network_config_lib.NetworkConfig:
  hidden_units = len(foreign.dense.hidden.bias)
  if foreign.torso == foreign_network.IMPALA:
    return network_config_lib.ImpalaConfig(
        channels=foreign.channels[:: len(_STACK_LAYERS)],
        hidden_units=hidden_units,
    )
  return network_config_lib.NatureConfig(
      padding=foreign.padding,
      channels=foreign.channels,
      hidden_units=hidden_units,
  )


def _algorithm(
    foreign: foreign_network.ForeignNetwork,
) -> algorithm_config.AlgorithmConfig:
  if foreign.algorithm == foreign_network.DQN:
    return algorithm_config.DqnConfig()
  if foreign.algorithm == foreign_network.IQN:
    return algorithm_config.IqnConfig(
        num_value_fractions=_NUM_QUANTILES,
        embedding_size=len(_dense(foreign, foreign.dense.embedding).kernel),
    )
  count = len(foreign.dense.output.bias) // foreign.num_actions
  if foreign.algorithm == foreign_network.QUANTILE:
    return algorithm_config.QuantileConfig(num_quantiles=count)
  algorithm = algorithm_config.C51Config(
      num_atoms=count, v_max=float(foreign.atoms[-1])
  )
  if not np.allclose(foreign.atoms, algorithm.support(), rtol=1e-5, atol=1e-5):
    raise ValueError(
        f'The atoms of the network go from {foreign.atoms[0]:g} to'
        f' {foreign.atoms[-1]:g}; only even ones from -v_max to v_max can be'
        ' imported.'
    )
  return algorithm


def _layers(
    foreign: foreign_network.ForeignNetwork,
) -> Iterator[tuple[str, foreign_network.Layer]]:
  """Names and weights of the layers, as Keras has them."""
  for i, (kernel, bias) in enumerate(foreign.convolutions):
    if foreign.is_channels_first:
      kernel = kernel.transpose(2, 3, 1, 0)
    name = f'conv_{i}'
    if foreign.torso == foreign_network.IMPALA:
      stack, place = divmod(i, len(_STACK_LAYERS))
      name = f'stack_{stack}_{_STACK_LAYERS[place]}'
    yield name, foreign_network.Layer(kernel, bias)
  yield 'hidden', _hidden(foreign)
  yield _HEADS[foreign.algorithm], _output(foreign)
  if foreign.dense.embedding is not None:
    yield 'embedding', _dense(foreign, foreign.dense.embedding)


def _dense(
    foreign: foreign_network.ForeignNetwork, layer: foreign_network.Layer
) -> foreign_network.Layer:
  """The layer with its kernel as [in, out]."""
  kernel = layer.kernel.T if foreign.is_channels_first else layer.kernel
  return layer._replace(kernel=kernel)


def _hidden(
    foreign: foreign_network.ForeignNetwork,
) -> foreign_network.Layer:
  """The hidden layer, its inputs flattened position by position."""
  kernel, bias = _dense(foreign, foreign.dense.hidden)
  if foreign.is_channels_first:
    channels = foreign.channels[-1]
    side = math.isqrt(len(kernel) // channels)
    kernel = kernel.reshape(channels, side, side, -1).transpose(1, 2, 0, 3)
    kernel = kernel.reshape(channels * side * side, -1)
  return foreign_network.Layer(kernel, bias)


def _output(
    foreign: foreign_network.ForeignNetwork,
) -> foreign_network.Layer:
  """The output layer; a dueling one as the single layer that it amounts to.

  Its outputs are the state's value plus the advantages less their mean over the
  actions. Both are linear in the hidden units, so their sum is too.
  """
  output = _dense(foreign, foreign.dense.output)
  if foreign.dense.state_value is None:
    return output
  value = _dense(foreign, foreign.dense.state_value)
  return foreign_network.Layer(*(
      _duel(advantage, part, foreign.num_actions)
      for advantage, part in zip(output, value, strict=True)
  ))


def _duel(
    advantage: np.ndarray, value: np.ndarray, num_actions: int
) -> np.ndarray:
  """[..., A · N] advantages and [..., N] values to [..., A · N] outputs."""
  split = advantage.astype(np.float64).reshape(
      *advantage.shape[:-1], num_actions, -1
  )
  split = value[..., np.newaxis, :] + split - split.mean(-2, keepdims=True)
  return split.reshape(advantage.shape).astype(np.float32)
