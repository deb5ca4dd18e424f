"""Which flights of the Balloon Learning Environment (BLE) are flown.

A flight, with its winds, start, date and place, follows from one number, BLE's
seed. The suites on which agents are compared are the seeds below 10,000, so
what an agent is trained on must have no part in them: the flights of a
`BalloonConfig` are drawn from the seeds above. Evaluation flies the suites
without one (training/balloon_evaluation.py).
"""

import dataclasses
from typing import ClassVar, Optional

import numpy as np

# BLE's suites micro, tiny, small, medium and big hold the first 1, 10, 100,
# 1,000 and 10,000 seeds.
SUITE_SEEDS = 10_000
# JAX makes a key of the lower 32 bits of a seed.
_SEEDS = 2**31


@dataclasses.dataclass(frozen=True)
class BalloonConfig:
  """Flights to train on.

  Attributes:
    max_episode_steps: steps of three minutes after which a flight is cut; this
      is a truncation, not a terminal state. The wind is made for two days,
      960 steps.
  """

  kind: ClassVar[str] = 'balloon'
  task: ClassVar[str] = 'Balloon'
  frame_skip: ClassVar[int] = 1
  stack_size: ClassVar[int] = 1
  # Rewards are within [0, 1] as they are.
  reward_limit: ClassVar[Optional[float]] = None

  max_episode_steps: int = 960

  def __post_init__(self):
    if self.max_episode_steps < 1:
      raise ValueError(
          f'max_episode_steps must be at least 1, got {self.max_episode_steps}.'
      )

  def flight_seed(self, seed: int, episode: int) -> int:
    """BLE's seed of an episode: never one of the suites'.

    Args:
      seed: of the environment, at least 0.
      episode: number of the episode, at least 0.
    """
    sequence = np.random.SeedSequence([seed, episode])
    drawn = int(sequence.generate_state(1, np.uint64)[0])
    return SUITE_SEEDS + drawn % (_SEEDS - SUITE_SEEDS)
