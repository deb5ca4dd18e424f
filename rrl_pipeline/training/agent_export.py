"""Writes an agent that was trained here as a bundle, so that it can teach."""

import os
from typing import Any, Mapping, Sequence

import numpy as np
import tensorflow as tf

from rrl_pipeline import types
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import random_returns
from rrl_pipeline.teachers import bundle


def export(
    directory: str | os.PathLike,
    network: tf.keras.Model,
    environment_config: environment_config_lib.EnvironmentConfig,
    records: Sequence[types.EvaluationRecord],
    epsilon: float,
    lineage: Mapping[str, Any],
) -> None:
  """Writes a bundle.

  Args:
    directory: of the bundle.
    network: from observations [B, ...] to Q-values [B, A].
    environment_config: what the agent plays.
    records: of the evaluation that its score is from.
    epsilon: exploration rate of that evaluation.
    lineage: where it comes from, as JSON values.
  """
  interface = factory.interface(environment_config)
  bundle.export(
      directory,
      network,
      bundle.Description(
          kind='q_values',
          observation_shape=interface.observation_shape,
          observation_dtype=interface.observation_dtype.name,
          action_meanings=interface.action_meanings,
          environment=environment_config_lib.to_json(environment_config),
          score=score(
              np.array([record.episode_return for record in records]),
              epsilon,
              environment_config.task,
          ),
          lineage=lineage,
      ),
  )


def score(returns: np.ndarray, epsilon: float, task: str) -> Mapping[str, Any]:
  """A bundle's record of its evaluation; `returns` are those of episodes."""
  return {
      'mean_return': float(np.mean(returns)),
      'std_return': float(np.std(returns)),
      'num_episodes': len(returns),
      'epsilon': epsilon,
      'random_return': random_returns.random_return(task),
  }
