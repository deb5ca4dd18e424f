"""The data types that the layers of the pipeline hand to each other.

In the shapes, `T` is the number of actions of an episode, `A` the number of
actions to choose from, `B` a batch and `...` the shape of one observation.
Observations are single frames here; frames are stacked only when a transition
is sampled, so that one dataset serves every stack size and every n.
"""

import dataclasses
import enum
import json
from typing import Any, Mapping

import numpy as np


class EpisodeEnd(enum.Enum):
  """How an episode ended, as far as its log tells."""

  TERMINAL = 'terminal'  # The environment reached a terminal state.
  TRUNCATED = 'truncated'  # A time limit or a caller cut it: bootstrap.
  LOG_END = 'log_end'  # The log stops in the middle of the episode.


@dataclasses.dataclass(frozen=True)
class Episode:
  """One episode as it was logged: o_0 a_0 r_0, …, o_{T-1} a_{T-1} r_{T-1}.

  Attributes:
    observations: [T, ...] the observation *before* each action. The
      observation after the last action is not in it: replay logs never hold it.
    actions: [T] int64.
    rewards: [T] float32, as logged (often clipped to [-1, 1]).
    end: how it ended.
    complete_start: False if the log lost the episode's first steps, as happens
      to the oldest episode of a ring buffer; no zero frames may then be
      assumed before observations[0].
    metadata: where it comes from: 'source' (file), 'checkpoint', 'first_add'
      (position in the log), 'sha256' of its contents, …
  """

  observations: np.ndarray
  actions: np.ndarray
  rewards: np.ndarray
  end: EpisodeEnd
  complete_start: bool = True
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class EvaluationRecord:
  """One evaluation episode; one JSON line in an `evaluations.jsonl`.

  Attributes:
    agent: who played: 'teacher', 'student', 'tabula_rasa' or 'random'.
    stage: the stage that played it: 'teacher', 'offline', 'online', 'evaluate'.
    seed: seed of the run.
    learner_steps: gradient updates that the agent had had.
    actor_steps: agent steps (not frames) that it had taken online.
    frames: emulator frames of those agent steps (frame skip included).
    episode: index of the episode within this evaluation.
    episode_return: undiscounted sum of raw, unclipped rewards.
    episode_length: agent steps of the episode.
    terminal: False if a time limit ended it.
  """

  agent: str
  stage: str
  seed: int
  learner_steps: int
  actor_steps: int
  frames: int
  episode: int
  episode_return: float
  episode_length: int
  terminal: bool

  def to_json(self) -> str:
    return json.dumps(dataclasses.asdict(self), sort_keys=True)

  @classmethod
  def from_json(cls, line: str) -> 'EvaluationRecord':
    return cls(**json.loads(line))
