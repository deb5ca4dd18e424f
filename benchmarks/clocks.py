"""Both clocks of a process: the wall's, and that of its CPU time."""

import dataclasses
import time
from typing import Callable, Mapping

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


def take_turns(
    functions: Mapping[str, Callable[[], object]],
    repeats: int,
    warm_up: int = 5,
) -> dict[str, Time]:
  """The median call of each, after `warm_up` that may trace graphs.

  They are called one after the other, round by round, so that whatever else
  the machine does meets all alike.
  """
  seconds = {name: [] for name in functions}
  for i in range(warm_up + repeats):
    for name, function in functions.items():
      before = both()
      function()
      if i >= warm_up:
        seconds[name].append(both() - before)
  return {
      name: Time(*np.median(times, axis=0)) for name, times in seconds.items()
  }
