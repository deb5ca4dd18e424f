"""Where the time of a loop goes."""

import contextlib
import time
from typing import Iterator


class Stopwatch:
  """Adds up time by name.

  Attributes:
    seconds: by the wall clock.
    cpu_seconds: of all threads of the process.
  """

  def __init__(self):
    self.seconds: dict[str, float] = {}
    self.cpu_seconds: dict[str, float] = {}

  @contextlib.contextmanager
  def measure(self, name: str) -> Iterator[None]:
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
      yield
    finally:
      for times, elapsed in (
          (self.seconds, time.perf_counter() - start),
          (self.cpu_seconds, time.process_time() - cpu_start),
      ):
        times[name] = times.get(name, 0.0) + elapsed


class Clock:
  """Time used by a piece of work over all its attempts, as last saved."""

  def __init__(self, wall_seconds: float = 0.0, cpu_seconds: float = 0.0):
    """Starts the clock at what earlier attempts had used."""
    self._wall_offset = wall_seconds - time.monotonic()
    self._cpu_offset = cpu_seconds - time.process_time()

  def total(self) -> dict[str, float]:
    return {
        'wall_seconds': self._wall_offset + time.monotonic(),
        'cpu_seconds': self._cpu_offset + time.process_time(),
    }
