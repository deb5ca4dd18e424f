"""What the runs of a benchmark will take, measured before they begin."""

import concurrent.futures
import dataclasses
import multiprocessing
import os
from typing import Mapping, Sequence, TYPE_CHECKING

from rrl_pipeline.launch import processes
from rrl_pipeline.launch import stage_seconds

if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib


def estimate(
    configs: Mapping[str, 'config_lib.PipelineConfig'],
    stages: Mapping[str, Sequence[str]],
    num_processes: int,
) -> dict[str, float]:
  """Estimates the seconds of each run, without evaluations and conversion.

  A process of its own tries for a moment what the runs repeat, with the
  threads that each of them will have, and gives back its memory.

  Args:
    configs: settings by name of a run.
    stages: what is left of a run, by its name.
    num_processes: that will run side by side.
  """
  with concurrent.futures.ProcessPoolExecutor(
      max_workers=1,
      mp_context=multiprocessing.get_context('spawn'),
      initializer=_prepare,
      initargs=(num_processes,),
  ) as executor:
    return executor.submit(
        _estimate, _of_one_game(configs), dict(stages)
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
    configs: dict[str, 'config_lib.PipelineConfig'],
    stages: dict[str, Sequence[str]],
) -> dict[str, float]:
  from absl import flags

  # Acme reads a flag of its own, which fails while absl's flags are unparsed.
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  of_stage = {
      'teacher': stage_seconds.teacher,
      'collect': stage_seconds.collect,
      'offline': stage_seconds.offline,
      'online': stage_seconds.online,
  }
  return {
      name: sum(
          of_stage[stage](config) for stage in stages[name] if stage in of_stage
      )
      for name, config in configs.items()
  }
