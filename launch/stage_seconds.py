"""Estimates what stages take, from what this machine was tried to do.

Evaluations and conversion are not included. Each measurement is made once for
the same settings: most stages, and most runs of a benchmark, share most of
what is measured.
"""

import functools
from typing import Callable, Optional, TYPE_CHECKING

if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import config as agent_config
  from rrl_pipeline.environments import config as environment_config
  from rrl_pipeline.networks import config as network_config
  from rrl_pipeline.training import students


def teacher(config: 'config_lib.PipelineConfig') -> float:
  """Seconds in which a teacher is trained, 0 for one that is given."""
  if config.teacher.bundle:
    return 0.0
  return _acting_and_learning(
      config.environment,
      config.teacher.network,
      config.teacher.agent,
      config.teacher.online.num_actor_steps,
  )


def collect(
    config: 'config_lib.PipelineConfig',
    policy: Optional[Callable[..., object]] = None,
) -> float:
  """Seconds in which a teacher plays, 0 if logs or a dataset are given.

  Args:
    config: of the run.
    policy: of the teacher; by default a network as the settings describe it,
      which can be tried before the teacher is there.
  """
  if config.dataset.path or config.logs.path:
    return 0.0
  num_parallel = config.collect.num_parallel
  if policy is None:
    batch = act(
        config.environment,
        config.teacher.network,
        config.teacher.agent,
        num_parallel,
    )
  else:
    batch = _batch(policy, config.environment, num_parallel)
  num_players = min(max(1, config.collect.num_workers), num_parallel)
  return config.collect.num_steps * (
      environment_step(config.environment) / num_players + batch / num_parallel
  )


def offline(config: 'config_lib.PipelineConfig') -> float:
  """Seconds in which the student learns offline."""
  if not config.offline.num_learner_steps:
    return 0.0
  return config.offline.num_learner_steps * update(
      config.environment, config.network, config.agent
  )


def online(config: 'config_lib.PipelineConfig') -> float:
  """Seconds in which the student, and the control, act and learn."""
  agents = [config.agent]
  if config.control:
    agents.append(config.tabula_rasa)
  return sum(
      _acting_and_learning(
          config.environment,
          config.network,
          agent,
          config.online.num_actor_steps,
      )
      for agent in agents
  )


def _acting_and_learning(
    environment: 'environment_config.EnvironmentConfig',
    network: 'network_config.NetworkConfig',
    agent: 'agent_config.AgentConfig',
    num_actor_steps: int,
) -> float:
  return num_actor_steps * (
      environment_step(environment)
      + act(environment, network, agent, 1)
      + update(environment, network, agent) / agent.update_period
  )


# Settings can be keys of a cache: they are frozen.


@functools.lru_cache(maxsize=None)
def environment_step(
    environment: 'environment_config.EnvironmentConfig',
) -> float:
  """Seconds of one agent step of random play."""
  from rrl_pipeline.training import probe

  return probe.seconds_per_environment_step(environment)


@functools.lru_cache(maxsize=None)
def act(
    environment: 'environment_config.EnvironmentConfig',
    network: 'network_config.NetworkConfig',
    agent: 'agent_config.AgentConfig',
    batch_size: int,
) -> float:
  """Seconds in which an agent chooses the actions of one batch."""
  from rrl_pipeline.agents import acting

  learner = _task(environment, network).learner('probe', agent)
  return _batch(acting.GreedyPolicy(learner.network), environment, batch_size)


@functools.lru_cache(maxsize=None)
def update(
    environment: 'environment_config.EnvironmentConfig',
    network: 'network_config.NetworkConfig',
    agent: 'agent_config.AgentConfig',
) -> float:
  """Seconds of one learner step."""
  from rrl_pipeline.training import probe

  task = _task(environment, network)
  learner = task.learner('probe', agent)
  return probe.seconds_per_update(learner, agent, task.interface)


def _batch(
    policy: Callable[..., object],
    environment: 'environment_config.EnvironmentConfig',
    batch_size: int,
) -> float:
  from rrl_pipeline.environments import factory
  from rrl_pipeline.training import probe

  interface = factory.interface(environment)
  return probe.seconds_per_batch(policy, interface, batch_size)


def _task(
    environment: 'environment_config.EnvironmentConfig',
    network: 'network_config.NetworkConfig',
) -> 'students.Task':
  from rrl_pipeline.training import config as training_config
  from rrl_pipeline.training import students

  return students.Task(
      environment=environment,
      network=network,
      evaluation=training_config.EvaluationConfig(),
      seed=0,
  )
