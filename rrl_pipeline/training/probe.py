"""Measures for a moment how fast this machine is at what a stage repeats.

The answers go into the line that says beforehand what a stage will cost.
Nothing here touches the state or the random numbers of a run.
"""

import time
from typing import Callable

from acme import types
import numpy as np

from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import factory

_ENVIRONMENT_STEPS = 200
_CALLS = 10


def seconds_per_environment_step(
    config: environment_config_lib.EnvironmentConfig,
) -> float:
  """Time of one agent step of random play."""
  environment = factory.make(config, seed=0)
  generator = np.random.default_rng(0)
  actions = generator.integers(
      environment.action_spec().num_values, size=_ENVIRONMENT_STEPS
  )
  environment.reset()
  start = time.perf_counter()
  for action in actions:
    environment.step(int(action))
  return (time.perf_counter() - start) / _ENVIRONMENT_STEPS


def seconds_per_batch(
    policy: Callable[[np.ndarray], object],
    interface: environment_lib.Interface,
    batch_size: int,
) -> float:
  """Time in which a policy answers one batch of observations."""
  observations = np.zeros(
      (batch_size, *interface.observation_shape), interface.observation_dtype
  )
  return _seconds_per_call(lambda: policy(observations))


def seconds_per_update(
    learner: learning.Learner,
    config: agent_config_lib.AgentConfig,
    interface: environment_lib.Interface,
) -> float:
  """Time of one learner step; `learner` is of no use afterwards."""
  size = config.batch_size
  observations = np.zeros(
      (size, *interface.observation_shape), interface.observation_dtype
  )
  transitions = types.Transition(
      observation=observations,
      action=np.zeros(size, np.int32),
      reward=np.zeros(size, np.float32),
      discount=np.zeros(size, np.float32),
      next_observation=observations,
      extras=np.zeros((size, interface.num_actions), np.float32),
  )

  def update():
    # Reading a metric waits until the update is done.
    float(
        learner.step(
            transitions, config.distillation_weight, config.learning_rate
        ).loss
    )

  return _seconds_per_call(update)


def _seconds_per_call(function: Callable[[], object]) -> float:
  function()  # The first call traces the function.
  start = time.perf_counter()
  for _ in range(_CALLS):
    function()
  return (time.perf_counter() - start) / _CALLS
