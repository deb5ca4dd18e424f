"""Keeps the roles of a distributed run alive until one of them is done."""

import dataclasses
import pathlib
import subprocess
import time
from typing import Callable, Mapping, Sequence

from rrl_pipeline import stopping
from rrl_pipeline.launch import processes

_POLL_SECONDS = 0.2
_USER_ERROR = 2
# More failures of one role within this time are no accident.
_MAX_FAILURES = 3
_FAILURE_SECONDS = 600.0
_LAST_LINES = 5
# For those that were waiting for the end.
_LEAVE_SECONDS = 3.0
_KILL_SECONDS = 5.0


class RoleFailedError(Exception):
  """A role failed again and again, or for a reason that only the user mends."""


@dataclasses.dataclass(frozen=True)
class Role:
  """A program that runs as long as the run.

  Attributes:
    name: unlike any other's.
    command: its command line.
    log: gets what it writes.
    environment: variables that it gets.
    takes_all_along: whether, when it dies, all roles are started anew.
  """

  name: str
  command: Sequence[str]
  log: pathlib.Path
  environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
  takes_all_along: bool = False


class Supervisor:
  """Starts roles, and starts them anew when they die.

  One that ends without an error is not needed any more. The run is done when
  that happens to the goal.
  """

  def __init__(
      self, roles: Sequence[Role], goal: str, say: Callable[[str], None]
  ):
    """Starts nothing yet.

    Args:
      roles: in the order in which they are started.
      goal: name of the one whose end is the end of the run.
      say: takes the lines that tell the user what happens.
    """
    self._roles = {role.name: role for role in roles}
    self._goal = goal
    self._say = say
    self._running: dict[str, subprocess.Popen] = {}
    self._failures: dict[str, list[float]] = {role.name: [] for role in roles}

  def run(self, request: stopping.Request) -> None:
    """Runs the roles until the goal is reached; none of them remains.

    Args:
      request: to stop.

    Raises:
      RoleFailedError: if a role cannot be kept alive.
      Stopped: if it was requested; the goal was given time to end in order.
    """
    try:
      self._start(self._roles)
      while True:
        if request.is_made:
          self._stop_goal()
          request.stop()
        if self._collect():
          self._wait_for_others()
          return
        time.sleep(_POLL_SECONDS)
    finally:
      processes.stop(list(self._running.values()), _KILL_SECONDS)

  def _start(self, names: Sequence[str]) -> None:
    for name in names:
      role = self._roles[name]
      self._running[name] = processes.start(
          role.command, role.log, role.environment
      )

  def _collect(self) -> bool:
    """Sees to roles that ended; returns whether the goal is reached."""
    codes = {name: program.poll() for name, program in self._running.items()}
    # Those who take others along are asked again: they may have died while the
    # others, who died of that, were asked.
    codes |= {
        name: program.poll()
        for name, program in self._running.items()
        if self._roles[name].takes_all_along
    }
    ended = {name: code for name, code in codes.items() if code is not None}
    for name in ended:
      # Whatever it started must not go on beside what takes its place.
      processes.kill_leftovers(self._running.pop(name))
    if ended.get(self._goal) == 0:
      return True
    failed = {name: code for name, code in ended.items() if code}
    leaders = [n for n in failed if self._roles[n].takes_all_along]
    for name in leaders or failed:
      self._take_failure(name, failed[name])
    if leaders:
      processes.stop(list(self._running.values()), _KILL_SECONDS)
      self._running.clear()
      self._start(self._roles)
    else:
      self._start(list(failed))
    return False

  def _take_failure(self, name: str, code: int) -> None:
    role = self._roles[name]
    lines = processes.last_lines(role.log, _LAST_LINES)
    end = f'signal {-code}' if code < 0 else f'exit code {code}'
    if code == _USER_ERROR:
      raise RoleFailedError(
          f'{name}: {lines[-1] if lines else end} (log: {role.log})'
      )
    now = time.monotonic()
    failures = self._failures[name]
    failures.append(now)
    failures[:] = [t for t in failures if now - t < _FAILURE_SECONDS]
    self._say(
        f'{name} ended with {end}; the last lines of {role.log}:\n'
        + ''.join(f'  {line}\n' for line in lines)
    )
    if len(failures) > _MAX_FAILURES:
      raise RoleFailedError(
          f'{name} failed {len(failures)} times within'
          f' {_FAILURE_SECONDS / 60:.0f} minutes, the last time with {end}; its'
          f' log is {role.log}. Checkpoints are as they were: mend the cause,'
          ' and the same command goes on'
      )
    whom = 'all roles are' if role.takes_all_along else f'{name} is'
    self._say(f'{whom} started again ({len(failures)} of {_MAX_FAILURES})')

  def _stop_goal(self) -> None:
    """Lets the goal end in order, while it can still use the others."""
    program = self._running.get(self._goal)
    if program is None:
      return
    program.terminate()
    try:
      program.wait(processes.STOP_SECONDS)
    except subprocess.TimeoutExpired:
      self._say(
          f'{self._goal} took no checkpoint within'
          f' {processes.STOP_SECONDS:.0f} s; the newest one it has is gone on'
          ' with'
      )

  def _wait_for_others(self) -> None:
    """Lets the others notice the end."""
    deadline = time.monotonic() + _LEAVE_SECONDS
    while time.monotonic() < deadline and any(
        program.poll() is None for program in self._running.values()
    ):
      time.sleep(_POLL_SECONDS)
