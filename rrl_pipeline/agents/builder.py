"""Builds the network and the learner of an agent."""

import tensorflow as tf

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import algorithms
from rrl_pipeline.agents import config as config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.networks import config as network_config_lib
from rrl_pipeline.networks import factory
from rrl_pipeline.networks import value_network

_DTYPES = {'float32': 'float32', 'bfloat16': 'mixed_bfloat16'}


def make_network(
    config: network_config_lib.NetworkConfig,
    algorithm: algorithm_config.AlgorithmConfig,
    observation_shape: tuple[int, ...],
    observation_dtype: str,
    num_actions: int,
    seed: int,
) -> tf.keras.Model:
  """A network from observations to Q-values, as a learner's `network` is.

  Args:
    config: of the torso.
    algorithm: of the head.
    observation_shape: without the batch.
    observation_dtype: 'uint8' or 'float32'.
    num_actions: A.
    seed: of the kernels.
  """
  return make_value_network(
      config, algorithm, observation_shape, observation_dtype, num_actions, seed
  ).values


def make_value_network(
    config: network_config_lib.NetworkConfig,
    algorithm: algorithm_config.AlgorithmConfig,
    observation_shape: tuple[int, ...],
    observation_dtype: str,
    num_actions: int,
    seed: int,
    precision: str = 'float32',
) -> value_network.ValueNetwork:
  """The network that `config` describes, with the head of an algorithm.

  Args:
    config: of the torso.
    algorithm: of the head.
    observation_shape: without the batch.
    observation_dtype: 'uint8' or 'float32'.
    num_actions: A.
    seed: of the kernels, of any size.
    precision: see `config.AgentConfig`.
  """
  return factory.make(
      config,
      algorithms.make(algorithm).head(num_actions),
      observation_shape,
      observation_dtype,
      # Each layer takes a seed of its own from this one, and Keras wants 32
      # bits.
      seed % 2**24,
      _DTYPES[precision],
  )


def make_learner(
    network_config: network_config_lib.NetworkConfig,
    agent_config: config_lib.AgentConfig,
    observation_shape: tuple[int, ...],
    observation_dtype: str,
    num_actions: int,
    seed: int,
    teacher_kind: str = 'q_values',
) -> learning.Learner:
  """A learner whose online and target networks are equal and untrained."""
  online, target = (
      make_value_network(
          network_config,
          agent_config.algorithm,
          observation_shape,
          observation_dtype,
          num_actions,
          seed,
          agent_config.precision,
      )
      for _ in range(2)
  )
  return learning.Learner(online, target, agent_config, seed, teacher_kind)
