"""Where the time of a loop goes."""

import contextlib
import time
from typing import Iterator


class Stopwatch:
  """Adds up wall-clock seconds by name."""

  def __init__(self):
    self.seconds: dict[str, float] = {}

  @contextlib.contextmanager
  def measure(self, name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
      yield
    finally:
      elapsed = time.perf_counter() - start
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
