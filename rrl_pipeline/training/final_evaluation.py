"""The evaluate stage: more episodes of each finished agent, and a film.

Balloons are flown on the suites of their environment, by its own evaluation,
and beside the agents of the run fly those that one compares them with.
"""

import functools
import os
import pathlib
from typing import Any, Mapping, Sequence

import numpy as np

from rrl_pipeline import run_directory
from rrl_pipeline import types
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import balloon_evaluation
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import seeding
from rrl_pipeline.training import students

# Says which bundles flew, by their SHA-256.
_PILOTS = 'pilots.json'
_TEACHER = 'teacher'
_STATION_SEEKER = 'station_seeker'


def evaluate(
    directory: str | os.PathLike,
    agents: Sequence[str],
    task: students.Task,
    online_directory: str | os.PathLike,
    teacher_directory: str | os.PathLike,
) -> Mapping[str, Any]:
  """Plays `num_final_episodes` with each agent; returns counts.

  Args:
    directory: of the stage.
    agents: that learned online; the first one is filmed.
    task: what they learned.
    online_directory: of the online stage.
    teacher_directory: of the teacher stage.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  bundles = {
      agent: pathlib.Path(online_directory) / agent / 'bundle'
      for agent in agents
  }
  log = evaluation.EvaluationLog(directory)
  log.truncate_after(-1, -1)
  if isinstance(task.environment, balloon_config.BalloonConfig):
    teacher = pathlib.Path(teacher_directory) / 'bundle'
    _fly(directory, task, bundles, teacher, log)
  else:
    _play(directory, task, bundles, log)
  return {'episodes': len(log.records)}


def _progress(
    agent: str, task: students.Task, description: bundle.Description
) -> evaluation.Progress:
  lineage = description.lineage
  return evaluation.Progress(
      agent,
      'evaluate',
      task.seed,
      lineage['learner_steps'],
      lineage['actor_steps'],
  )


def _play(
    directory: pathlib.Path,
    task: students.Task,
    bundles: Mapping[str, pathlib.Path],
    log: evaluation.EvaluationLog,
) -> None:
  policies = {}
  for agent, path in bundles.items():
    exported = bundle.load(
        path,
        environment_config_lib.to_json(task.environment),
        task.interface,
    )
    policies[agent] = exported.actions
    log.append(
        evaluation.evaluate(
            task.environment,
            task.evaluation,
            exported.actions,
            _progress(agent, task, exported.description),
            task.evaluation.num_final_episodes,
        )
    )
  film = next(
      rollouts.play(
          task.environment,
          next(iter(policies.values())),
          [0],
          seeding.derive(task.seed, 'film'),
          lambda _: task.evaluation.epsilon,
          num_parallel=1,
          keep_frames=True,
      )
  )
  np.save(directory / 'student_frames.npy', film.frames)


def _fly(
    directory: pathlib.Path,
    task: students.Task,
    bundles: Mapping[str, pathlib.Path],
    teacher: pathlib.Path,
    log: evaluation.EvaluationLog,
) -> None:
  """Flies the first seeds of the suites: 100 are the suite `small`.

  Flights that these agents have flown in an earlier attempt are not repeated.
  """
  identity = {
      name: bundle.read(path).sha256
      for name, path in {**bundles, _TEACHER: teacher}.items()
  }
  note = directory / _PILOTS
  if not note.exists() or run_directory.read_json(note) != identity:
    (directory / balloon_flights.SCORES).unlink(missing_ok=True)
    run_directory.write_json(note, identity)
  names = {
      **{agent: os.fspath(path) for agent, path in bundles.items()},
      _TEACHER: os.fspath(teacher),
      _STATION_SEEKER: _STATION_SEEKER,
      balloon_evaluation.RANDOM_WALK: balloon_evaluation.RANDOM_WALK,
  }
  config = balloon_evaluation.SuiteConfig(
      suite='big', num_processes=max(task.evaluation.num_workers, 1)
  )
  flights = {
      agent: balloon_evaluation.evaluate(
          directory / balloon_flights.SCORES,
          agent,
          functools.partial(balloon_evaluation.make_player, name),
          config,
          task.evaluation.num_final_episodes,
      )
      for agent, name in names.items()
  }
  for agent, path in bundles.items():
    progress = _progress(agent, task, bundle.read_description(path))
    log.append([_record(flight, progress) for flight in flights[agent]])
  filmed, path = next(iter(bundles.items()))
  seed = _typical_seed(flights[filmed])
  _, course = balloon_evaluation.fly(
      filmed, *balloon_evaluation.make_player(os.fspath(path)), seed
  )
  balloon_flights.write_course(directory / balloon_flights.COURSE, course)


def _record(
    flight: balloon_flights.FlightScore, progress: evaluation.Progress
) -> types.EvaluationRecord:
  return types.EvaluationRecord(
      agent=progress.agent,
      stage=progress.stage,
      seed=progress.seed,
      learner_steps=progress.learner_steps,
      actor_steps=progress.actor_steps,
      frames=progress.actor_steps,
      episode=flight.seed,
      episode_return=flight.episode_return,
      episode_length=flight.num_steps,
      terminal=flight.out_of_power
      or flight.envelope_burst
      or flight.zeropressure,
  )


def _typical_seed(flights: Sequence[balloon_flights.FlightScore]) -> int:
  """The seed of the median flight."""
  ranked = sorted(flights, key=lambda flight: flight.time_within_radius)
  return ranked[len(ranked) // 2].seed
