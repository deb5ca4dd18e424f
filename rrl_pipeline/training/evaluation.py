"""Evaluation: whole episodes, raw returns, hardly any exploration."""

import dataclasses
import os
import pathlib
from typing import Sequence

from rrl_pipeline import run_directory
from rrl_pipeline import types
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import seeding


@dataclasses.dataclass(frozen=True)
class Progress:
  """How far an agent was when it was evaluated (see `EvaluationRecord`)."""

  agent: str
  stage: str
  seed: int
  learner_steps: int
  actor_steps: int


def evaluate(
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.EvaluationConfig,
    policy: rollouts.Policy,
    progress: Progress,
    num_episodes: int,
) -> list[types.EvaluationRecord]:
  """Plays `num_episodes` episodes and returns a record of each.

  Every evaluation of a run plays the same episodes (same seeds of emulator and
  exploration), so two agents, or two moments of one, are compared on equal
  terms; they are never episodes of training.
  """
  seed = seeding.derive(progress.seed, 'evaluation')
  episodes = rollouts.play(
      environment_config,
      policy,
      range(num_episodes),
      seed,
      lambda _: config.epsilon,
      config.num_parallel,
      num_workers=config.num_workers,
  )
  return [
      types.EvaluationRecord(
          **dataclasses.asdict(progress),
          frames=progress.actor_steps * environment_config.frame_skip,
          episode=episode.number,
          episode_return=float(episode.rewards.sum()),
          episode_length=len(episode.actions),
          terminal=episode.terminal,
      )
      for episode in episodes
  ]


def mean_return(records: Sequence[types.EvaluationRecord]) -> float:
  return sum(record.episode_return for record in records) / len(records)


class EvaluationLog:
  """The `evaluations.jsonl` of one agent in one stage."""

  def __init__(self, directory: str | os.PathLike):
    self._path = pathlib.Path(directory) / 'evaluations.jsonl'
    self._path.parent.mkdir(parents=True, exist_ok=True)
    self.records = read_records(self._path)

  def append(self, records: Sequence[types.EvaluationRecord]) -> None:
    """Adds the records of one evaluation, all of them or none."""
    self._rewrite([*self.records, *records])

  def truncate_after(self, learner_steps: int, actor_steps: int) -> None:
    """Drops what a resumed run is going to evaluate again."""
    self._rewrite([
        record
        for record in self.records
        if record.learner_steps <= learner_steps
        and record.actor_steps <= actor_steps
    ])

  def evaluations(self) -> list[list[types.EvaluationRecord]]:
    """The records grouped by evaluation, in order."""
    groups = {}
    for record in self.records:
      groups.setdefault(
          (record.learner_steps, record.actor_steps), []
      ).append(record)
    return list(groups.values())

  def _rewrite(self, records: list[types.EvaluationRecord]) -> None:
    text = ''.join(f'{record.to_json()}\n' for record in records)
    run_directory.write_bytes(self._path, text.encode())
    self.records = records


def read_records(path: str | os.PathLike) -> list[types.EvaluationRecord]:
  """The records of an `evaluations.jsonl`; none if there is no such file."""
  path = pathlib.Path(path)
  if not path.exists():
    return []
  return [
      types.EvaluationRecord.from_json(line)
      for line in path.read_text().splitlines()
  ]
