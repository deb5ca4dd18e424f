"""Builds the learner of an agent."""

import tensorflow as tf

from rrl_pipeline.agents import config as config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.networks import config as network_config_lib
from rrl_pipeline.networks import nature


def make_network(
    config: network_config_lib.NatureConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    seed: int,
) -> tf.keras.Model:
  """The network that `config` describes, initialised from `seed`."""
  # Each layer takes a seed of its own from this one, and Keras wants 32 bits.
  return nature.make(config, observation_shape, num_actions, seed % 2**24)


def make_learner(
    network_config: network_config_lib.NatureConfig,
    agent_config: config_lib.AgentConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    seed: int,
) -> learning.Learner:
  """A learner whose online and target networks are equal and untrained."""
  online, target = (
      make_network(network_config, observation_shape, num_actions, seed)
      for _ in range(2)
  )
  return learning.Learner(online, target, agent_config)
