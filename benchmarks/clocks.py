"""Both clocks of a process: the wall's, and that of its CPU time."""

import dataclasses
import time
from typing import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Time:
  """Mean seconds of one of several repetitions."""

  wall: float
  cpu: float


def both() -> np.ndarray:
  """Seconds of both clocks, [2]; only differences mean anything."""
  return np.array([time.perf_counter(), time.process_time()])


def measure(
    function: Callable[[], object], repeats: int, warm_up: int = 5
) -> Time:
  """What a call takes, after `warm_up` that may trace graphs."""
  for _ in range(warm_up):
    function()
  before = both()
  for _ in range(repeats):
    function()
  return Time(*(both() - before) / repeats)
