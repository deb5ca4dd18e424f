"""Acting: batched greedy actions, ε-greedy exploration, and JSRL's roll-in."""

import math
from typing import Optional

import numpy as np
import tensorflow as tf

from rrl_pipeline.agents import config as config_lib
from rrl_pipeline.agents import method_config
from rrl_pipeline.networks import graph_function


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
    spec = tf.TensorSpec(network.input_shape, network.inputs[0].dtype)
    self._dtype = spec.dtype.as_numpy_dtype
    self._actions = graph_function.GraphFunction(
        tf.function(
            lambda observation: tf.argmax(network(observation), axis=1)
        ).get_concrete_function(spec)
    )

  def __call__(self, observations: np.ndarray) -> np.ndarray:
    """Observations [B, ...] → int64 [B]."""
    (actions,) = self._actions(np.asarray(observations, self._dtype))
    return actions.numpy()


def random_action(
    epsilon_value: float, num_actions: int, generator: np.random.Generator
) -> Optional[int]:
  """With probability ε an action drawn uniformly from all, else None."""
  if generator.random() < epsilon_value:
    return int(generator.integers(num_actions))
  return None


def explore(
    greedy_action: int,
    epsilon_value: float,
    num_actions: int,
    generator: np.random.Generator,
) -> int:
  """The greedy action, or with probability ε one drawn uniformly from all."""
  action = random_action(epsilon_value, num_actions, generator)
  return int(greedy_action) if action is None else action


def horizon(config: method_config.RollInConfig, num_evaluations: int) -> int:
  """α after this many evaluations; 0 where the teacher rolls in no more."""
  value = config.horizon
  for _ in range(num_evaluations):
    value = math.floor(config.shrinkage * value)
  return value


def roll_in_steps(horizon_value: int, generator: np.random.Generator) -> int:
  """How many steps the teacher begins an episode with: h ~ U{1 … α}.

  0 if α is 0, where there is nothing to draw from.
  """
  if not horizon_value:
    return 0
  return int(generator.integers(1, horizon_value + 1))
