"""Runs programs side by side, in order of their cost, each with a log.

A job is a program of its own, so that one that fails or is killed harms no
other. Jobs that are done are not run again; what a job leaves unfinished, its
program resumes.
"""

import dataclasses
import enum
import pathlib
import subprocess
import sys
import time
from typing import Callable, Mapping, Optional, Sequence

from rrl_pipeline.launch import processes

_POLL_SECONDS = 0.2


class State(enum.Enum):
  """How far a job is."""

  WAITING = 'waiting'
  RUNNING = 'running'
  DONE = 'done'
  FAILED = 'failed'
  BLOCKED = 'blocked'  # A job that it needs has failed.


@dataclasses.dataclass(frozen=True)
class Job:
  """A program to run.

  Attributes:
    name: of the job, unlike any other's.
    prepare: is called just before and returns the command line.
    is_done: whether there is nothing left to do.
    log: gets what the program writes, behind what earlier attempts wrote.
    needs: name of the job that must be done before, if any.
    seconds: what it takes, as far as one can say beforehand.
  """

  name: str
  prepare: Callable[[], Sequence[str]]
  is_done: Callable[[], bool]
  log: pathlib.Path
  needs: Optional[str] = None
  seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class _Process:
  popen: subprocess.Popen
  started: float


class Scheduler:
  """Runs jobs until all are done or failed."""

  def __init__(
      self,
      jobs: Sequence[Job],
      num_processes: int,
      on_change: Callable[[Job, State], None],
  ):
    """Finds out what is done already.

    Args:
      jobs: in any order.
      num_processes: jobs that run at the same time; they share the machine's
        cores evenly.
      on_change: is told of every state that a job reaches while it runs.
    """
    self._jobs = {job.name: job for job in jobs}
    self._needed = {job.needs for job in jobs}
    self._num_processes = num_processes
    self._on_change = on_change
    self._running: dict[str, _Process] = {}
    self._ended: dict[str, float] = {}
    self.errors: dict[str, str] = {}
    self.states = {
        job.name: State.DONE if job.is_done() else State.WAITING
        for job in jobs
    }

  def run(self, tick: Callable[[], None]) -> Mapping[str, State]:
    """Runs all jobs; returns their states.

    Args:
      tick: is called several times a second.

    Raises:
      KeyboardInterrupt: Ctrl-C; the programs were stopped.
    """
    try:
      while True:
        self._collect()
        while len(self._running) < self._num_processes and self._start():
          pass
        self._block()
        tick()
        if not self._running:
          return self.states
        time.sleep(_POLL_SECONDS)
    finally:
      self._stop()

  def seconds_run(self, name: str) -> Optional[float]:
    """How long a job's program has run; None if this has not started it."""
    process = self._running.get(name)
    if process is None:
      return self._ended.get(name)
    return time.monotonic() - process.started

  def _next_job(self) -> Optional[Job]:
    """The cheapest job that waits for nothing; of equals the first.

    Of several processes one has those that others wait for, while there are
    any: a teacher that comes last would leave the other cores with nothing.
    """
    ready = [
        job
        for job in self._jobs.values()
        if self.states[job.name] == State.WAITING
        and (job.needs is None or self.states[job.needs] == State.DONE)
    ]
    if self._running and not self._needed.intersection(self._running):
      ready = [job for job in ready if job.name in self._needed] or ready
    return min(ready, key=lambda job: job.seconds, default=None)

  def _start(self) -> bool:
    """Starts a job if there is one; says whether another may be started."""
    job = self._next_job()
    if job is None:
      return False
    try:
      command = job.prepare()
    except Exception as error:
      # Whatever is wrong with one job is no reason to stop the others.
      self._fail(job, f'{type(error).__name__}: {error}')
      return True
    popen = processes.start(
        command, job.log, processes.thread_limits(self._num_processes)
    )
    self._running[job.name] = _Process(popen, time.monotonic())
    self._change(job, State.RUNNING)
    return True

  def _collect(self) -> None:
    """Takes note of programs that ended."""
    for name, process in list(self._running.items()):
      code = process.popen.poll()
      if code is None:
        continue
      self._ended[name] = time.monotonic() - process.started
      del self._running[name]
      job = self._jobs[name]
      if code:
        self._fail(job, f'exit code {code}')
      elif not job.is_done():
        self._fail(job, 'it ended without an error, but is not done')
      else:
        self._change(job, State.DONE)

  def _block(self) -> None:
    for job in self._jobs.values():
      if (
          job.needs is not None
          and self.states[job.name] == State.WAITING
          and self.states[job.needs] == State.FAILED
      ):
        self.errors[job.name] = f'{job.needs} failed'
        self._change(job, State.BLOCKED)

  def _fail(self, job: Job, error: str) -> None:
    self.errors[job.name] = error
    self._change(job, State.FAILED)

  def _change(self, job: Job, state: State) -> None:
    self.states[job.name] = state
    self._on_change(job, state)

  def _stop(self) -> None:
    """Ends programs that still run, when they have taken a checkpoint."""
    if not self._running:
      return
    print(
        'stopping the runs under way: each takes a checkpoint, within'
        f' {processes.STOP_SECONDS:.0f} s; Ctrl-C again ends them at once',
        file=sys.stderr,
        flush=True,
    )
    processes.stop([process.popen for process in self._running.values()])
    self._running.clear()
