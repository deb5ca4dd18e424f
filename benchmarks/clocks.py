"""Both clocks of a process: the wall's, and that of its CPU time."""

import dataclasses
import time
from typing import Callable


@dataclasses.dataclass(frozen=True)
class Time:
  """Mean seconds of one of several repetitions."""

  wall: float
  cpu: float


def now() -> Time:
  """Both clocks, since some moment before this process began to count."""
  return Time(time.perf_counter(), time.process_time())


def measure(
    function: Callable[[], object], repeats: int, warm_up: int = 5
) -> Time:
  """What a call takes, after `warm_up` that may trace graphs."""
  for _ in range(warm_up):
    function()
  before = now()
  for _ in range(repeats):
    function()
  after = now()
  return Time(
      (after.wall - before.wall) / repeats, (after.cpu - before.cpu) / repeats
  )
