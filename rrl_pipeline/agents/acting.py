"""Acting on Q-values: batched greedy actions and ε-greedy exploration."""

import numpy as np
import tensorflow as tf

from rrl_pipeline.agents import config as config_lib


def epsilon(config: config_lib.AgentConfig, actor_steps: int) -> float:
  """Exploration rate after this many online agent steps: linear, then flat."""
  if actor_steps >= config.epsilon_decay_steps:
    return config.epsilon_end
  done = actor_steps / config.epsilon_decay_steps
  return config.epsilon_start + done * (
      config.epsilon_end - config.epsilon_start
  )


class GreedyPolicy:
  """The greedy actions of a network for a batch of observations."""

  def __init__(self, network: tf.keras.Model):
    self._network = network
    self._actions = tf.function(
        lambda observation: tf.argmax(network(observation), axis=1),
        input_signature=[
            tf.TensorSpec(network.input_shape, network.inputs[0].dtype)
        ],
    )

  def __call__(self, observations: np.ndarray) -> np.ndarray:
    """Observations [B, ...] → int64 [B]."""
    return self._actions(observations).numpy()


def explore(
    greedy_action: int,
    epsilon_value: float,
    num_actions: int,
    generator: np.random.Generator,
) -> int:
  """The greedy action, or with probability ε one drawn uniformly from all."""
  if generator.random() < epsilon_value:
    return int(generator.integers(num_actions))
  return int(greedy_action)
