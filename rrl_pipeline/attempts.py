"""Counts the time that a stage takes over all attempts, killed ones included.

A stage that is killed never says how long it ran, so a thread writes the time
so far into a small file every few seconds; a kill loses at most that much.
"""

import contextlib
import dataclasses
import os
import pathlib
import threading
import time
from typing import Any, Iterator, Mapping, Optional

from rrl_pipeline import run_directory

_HEARTBEAT_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Total:
  """What all attempts took together.

  Attributes:
    attempts: how many there were.
    wall_seconds: real time.
    cpu_seconds: processor time of this process, all its threads, and of its
      child processes once they have ended.
  """

  attempts: int
  wall_seconds: float
  cpu_seconds: float


def read_basis(path: pathlib.Path) -> Optional[dict[str, Any]]:
  """Returns what the attempts in this file work from; None without a file."""
  try:
    return run_directory.read_json(path)['basis']
  except FileNotFoundError:
    return None


class Clock:
  """The running attempt and those before it."""

  def __init__(self, path: pathlib.Path, basis: Mapping[str, Any]):
    self._path = path
    self._basis = basis
    self._earlier = (
        run_directory.read_json(path)['attempts'] if path.exists() else []
    )
    self._started = time.time()
    self._wall_at_start = time.monotonic()
    self._cpu_at_start = _cpu_seconds()
    self._lock = threading.Lock()

  def total(self) -> Total:
    attempts = self._all()
    return Total(
        attempts=len(attempts),
        wall_seconds=sum(attempt['wall_seconds'] for attempt in attempts),
        cpu_seconds=sum(attempt['cpu_seconds'] for attempt in attempts),
    )

  def write(self) -> None:
    with self._lock:
      run_directory.write_json(
          self._path, {'basis': self._basis, 'attempts': self._all()}
      )

  def _all(self) -> list[dict[str, float]]:
    this = {
        'started': self._started,
        'wall_seconds': time.monotonic() - self._wall_at_start,
        'cpu_seconds': _cpu_seconds() - self._cpu_at_start,
    }
    return self._earlier + [this]


@contextlib.contextmanager
def clock(path: pathlib.Path, basis: Mapping[str, Any]) -> Iterator[Clock]:
  """Adds an attempt to the file and keeps its time up to date in the block.

  Args:
    path: the file; made if it does not exist.
    basis: what the stage works from; a later attempt compares it with its own.
  """
  running = Clock(path, basis)
  running.write()
  stop = threading.Event()

  def beat():
    while not stop.wait(_HEARTBEAT_SECONDS):
      # A full disk is told by those who lose something by it.
      with contextlib.suppress(OSError):
        running.write()

  thread = threading.Thread(target=beat, name='attempt-clock', daemon=True)
  thread.start()
  try:
    yield running
  except BaseException:
    with contextlib.suppress(OSError):  # It would hide the first error.
      running.write()
    raise
  else:
    running.write()
  finally:
    stop.set()
    thread.join()


def _cpu_seconds() -> float:
  times = os.times()
  return times.user + times.system + times.children_user + times.children_system
