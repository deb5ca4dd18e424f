"""Where the time of a loop goes."""

import contextlib
import time
from typing import Any, Callable, Iterator


class Stopwatch:
  """Adds up time by name.

  Attributes:
    seconds: by the clock.
  """

  def __init__(self, clock: Callable[[], Any] = time.perf_counter):
    """Measures nothing yet.

    Args:
      clock: returns seconds since some moment; those of several clocks as an
        array. The wall's costs nothing; that of CPU time is one system call
        that asks every thread of the process.
    """
    self.seconds: dict[str, Any] = {}
    self._clock = clock

  @contextlib.contextmanager
  def measure(self, name: str) -> Iterator[None]:
    start = self._clock()
    try:
      yield
    finally:
      elapsed = self._clock() - start
      self.seconds[name] = self.seconds.get(name, 0.0) + elapsed


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
