"""What is kept of a flight: its score, and its course.

A suite is scored in a file of JSON lines, one for each agent and seed; a course
is an .npz file. Neither needs the environment's package to be read.
"""

import dataclasses
import io
import json
import os
import pathlib
from typing import Iterable, Mapping

import numpy as np

from rrl_pipeline import run_directory

RADIUS_KM = 50.0


# Names of the files of an evaluation.
SCORES = 'flights.jsonl'
COURSE = 'flight.npz'


@dataclasses.dataclass(frozen=True)
class FlightScore:
  """What the environment's own evaluation says of one flight.

  Attributes:
    agent: name of who flew.
    seed: of the flight in its suite.
    episode_return: sum of rewards, undiscounted.
    time_within_radius: share of the steps flown that ended within 50 km of the
      station (TWR50), in [0, 1].
    out_of_power: whether an empty battery ended the flight.
    envelope_burst: whether a burst of the envelope ended it.
    zeropressure: whether a loss of superpressure ended it.
    num_steps: steps flown; fewer than 960 if one of the three ended it.
  """

  agent: str
  seed: int
  episode_return: float
  time_within_radius: float
  out_of_power: bool
  envelope_burst: bool
  zeropressure: bool
  num_steps: int


@dataclasses.dataclass(frozen=True)
class Course:
  """Where a balloon was, T steps long.

  Attributes:
    seed: of the flight in its suite.
    agent: name of who flew.
    seconds_per_step: time between two positions.
    position_km: float64 [T + 1, 2], east and north of the station.
    altitude_km: float64 [T + 1].
    battery: float64 [T + 1], charge in [0, 1].
    actions: int32 [T], 0 down, 1 stay, 2 up.
  """

  seed: int
  agent: str
  seconds_per_step: int
  position_km: np.ndarray
  altitude_km: np.ndarray
  battery: np.ndarray
  actions: np.ndarray

  @property
  def wind(self) -> np.ndarray:
    """The wind that carried the balloon, m/s, float64 [T, 2].

    A balloon drifts exactly with the wind where it is.
    """
    return np.diff(self.position_km, axis=0) * 1000 / self.seconds_per_step

  @property
  def distance_km(self) -> np.ndarray:
    """From the station, float64 [T + 1]."""
    return np.linalg.norm(self.position_km, axis=1)

  @property
  def time_within_radius(self) -> float:
    """Share of the T steps that ended within 50 km of the station."""
    return float(np.mean(self.distance_km[1:] <= RADIUS_KM))


def read_scores(path: str | os.PathLike) -> list[FlightScore]:
  """The scores in a file; a line that a kill cut short is left out.

  Raises:
    ValueError: a line is no score.
  """
  path = pathlib.Path(path)
  if not path.exists():
    return []
  # A line counts once its end is written.
  *lines, _ = path.read_text(encoding='utf-8').split('\n')
  scores = []
  for number, line in enumerate(lines, 1):
    try:
      scores.append(FlightScore(**json.loads(line)))
    except (TypeError, ValueError) as error:
      raise ValueError(
          f'{path}:{number} is damaged: expected the score of a flight, got'
          f' {line[:60]!r} ({error}); remove the line to fly it again'
      ) from error
  return scores


class ScoreFile:
  """Adds scores to a file one by one; those that are there stay.

  Attributes:
    scores: all that the file holds.
  """

  def __init__(self, path: str | os.PathLike):
    self._path = pathlib.Path(path)
    self._path.parent.mkdir(parents=True, exist_ok=True)
    self.scores = read_scores(self._path)
    # What a kill left of a line would spoil the one that follows.
    run_directory.write_bytes(
        self._path, ''.join(map(_line, self.scores)).encode('utf-8')
    )

  def append(self, score: FlightScore) -> None:
    with open(self._path, 'a', encoding='utf-8') as file:
      file.write(_line(score))
    self.scores.append(score)


def by_agent(
    scores: Iterable[FlightScore],
) -> Mapping[str, Mapping[int, FlightScore]]:
  """The scores of each agent by seed, seeds in order."""
  found = {}
  for score in sorted(scores, key=lambda score: score.seed):
    found.setdefault(score.agent, {})[score.seed] = score
  return found


def write_course(path: str | os.PathLike, course: Course) -> None:
  """Writes an .npz file, whole or not at all."""
  file = io.BytesIO()
  np.savez(file, **dataclasses.asdict(course))
  run_directory.write_bytes(path, file.getvalue())


def read_course(path: str | os.PathLike) -> Course:
  """Reads what `write_course` wrote.

  Raises:
    ValueError: it is no such file.
  """
  names = [field.name for field in dataclasses.fields(Course)]
  try:
    with np.load(path, allow_pickle=False) as file:
      values = {name: file[name] for name in names}
  except (KeyError, OSError, ValueError) as error:
    raise ValueError(
        f'{path} does not hold the course of a flight: {error}; evaluate anew'
    ) from error
  for name in ('seed', 'agent', 'seconds_per_step'):
    values[name] = values[name].item()
  return Course(**values)


def _line(score: FlightScore) -> str:
  return json.dumps(dataclasses.asdict(score), sort_keys=True) + '\n'
