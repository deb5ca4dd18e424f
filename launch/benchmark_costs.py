"""What the runs of a benchmark will take, measured before they begin."""

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
from typing import Mapping, Sequence, TYPE_CHECKING

from rrl_pipeline.launch import processes

if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib


def estimate(
    configs: Mapping[str, 'config_lib.PipelineConfig'],
    tasks: Sequence[str],
    num_processes: int,
) -> dict[str, float]:
  """Estimates the seconds of each run, without evaluations and conversion.

  A process of its own tries for a moment what the runs repeat, with the
  threads that each of them will have, and gives back its memory.

  Args:
    configs: settings by name of a run.
    tasks: the names of those that train a teacher and collect data; the others
      train a student.
    num_processes: that will run side by side.
  """
  with concurrent.futures.ProcessPoolExecutor(
      max_workers=1,
      mp_context=multiprocessing.get_context('spawn'),
      initializer=_prepare,
      initargs=(num_processes,),
  ) as executor:
    return executor.submit(
        _estimate, _of_one_game(configs), frozenset(tasks)
    ).result()


def wall_seconds(
    seconds: Mapping[str, float],
    needs: Mapping[str, str],
    num_processes: int,
) -> float:
  """Time until the last run ends if the work is shared well.

  Args:
    seconds: by name of a run that is still to be done.
    needs: the run that a run waits for, by its name.
    num_processes: that run side by side.
  """
  longest = max(
      (own + seconds.get(needs.get(name, ''), 0.0)
       for name, own in seconds.items()),
      default=0.0,
  )
  return max(longest, sum(seconds.values()) / num_processes)


def _of_one_game(
    configs: Mapping[str, 'config_lib.PipelineConfig'],
) -> dict[str, 'config_lib.PipelineConfig']:
  """Lets one game stand for all others of its kind.

  Their networks are about as large, and to build those of every method takes
  seconds for each game.
  """
  games = {}
  return {
      name: dataclasses.replace(
          config,
          environment=games.setdefault(
              type(config.environment), config.environment
          ),
      )
      for name, config in configs.items()
  }


def _prepare(num_processes: int) -> None:
  os.environ.update(processes.thread_limits(num_processes))
  # TensorFlow's start-up messages are about graphics cards.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')


def _estimate(
    configs: dict[str, 'config_lib.PipelineConfig'], tasks: frozenset[str]
) -> dict[str, float]:
  from absl import flags

  # Acme reads a flag of its own, which fails while absl's flags are unparsed.
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  seconds = {}
  for name, config in configs.items():
    if name in tasks:
      seconds[name] = _teacher(config) + _collect(config)
    else:
      seconds[name] = config.offline.num_learner_steps * _update(
          config.environment, config.network, config.agent
      ) + _online(
          config.environment,
          config.network,
          config.agent,
          config.online.num_actor_steps,
      )
  return seconds


def _teacher(config: 'config_lib.PipelineConfig') -> float:
  if config.teacher.bundle:
    return 0.0
  return _online(
      config.environment,
      config.teacher.network,
      config.teacher.agent,
      config.teacher.online.num_actor_steps,
  )


def _collect(config: 'config_lib.PipelineConfig') -> float:
  if config.dataset.path or config.logs.path:
    return 0.0
  # A teacher that is given need not be built as this says, but such a network
  # is what can be tried before it is there.
  return config.collect.num_steps * (
      _environment_step(config.environment)
      + _act(
          config.environment,
          config.teacher.network,
          config.teacher.agent,
          config.collect.num_parallel,
      )
      / config.collect.num_parallel
  )


def _online(environment, network, agent, num_actor_steps: int) -> float:
  return num_actor_steps * (
      _environment_step(environment)
      + _act(environment, network, agent, 1)
      + _update(environment, network, agent) / agent.update_period
  )


# Settings can be keys of a cache: they are frozen. Most runs share most of
# what is measured.


@functools.lru_cache(maxsize=None)
def _environment_step(environment) -> float:
  from rrl_pipeline.training import probe

  return probe.seconds_per_environment_step(environment)


@functools.lru_cache(maxsize=None)
def _act(environment, network, agent, batch_size: int) -> float:
  from rrl_pipeline.agents import acting
  from rrl_pipeline.training import probe

  task = _task(environment, network)
  policy = acting.GreedyPolicy(task.learner('probe', agent).network)
  return probe.seconds_per_batch(policy, task.interface, batch_size)


@functools.lru_cache(maxsize=None)
def _update(environment, network, agent) -> float:
  from rrl_pipeline.training import probe

  task = _task(environment, network)
  learner = task.learner('probe', agent)
  return probe.seconds_per_update(learner, agent, task.interface)


def _task(environment, network):
  from rrl_pipeline.training import config as training_config
  from rrl_pipeline.training import students

  return students.Task(
      environment=environment,
      network=network,
      evaluation=training_config.EvaluationConfig(),
      seed=0,
  )
