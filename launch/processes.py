"""Starts programs with a log, and ends them with all that they started."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time
from typing import Mapping, Sequence

# What a program that was asked to stop has for its checkpoint: the online stage
# plays its episode to the end first, for up to 20 s.
STOP_SECONDS = 60.0
# <linux/prctl.h>: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
# Opened here: a process that was just forked from a program with threads had
# better not load anything.
_LIBC = ctypes.CDLL(None)
# What TensorFlow, OpenMP and BLAS read.
_THREAD_VARIABLES = (
    'TF_NUM_INTRAOP_THREADS',
    'TF_NUM_INTEROP_THREADS',
    'OMP_NUM_THREADS',
    'OPENBLAS_NUM_THREADS',
    'MKL_NUM_THREADS',
)


def start(
    command: Sequence[str],
    log: pathlib.Path,
    environment: Mapping[str, str],
) -> subprocess.Popen:
  """Starts a program, which the kernel kills if this one dies.

  Left alone, it would hold directories and ports while the same command, given
  again, wants to go on with them.

  Args:
    command: its command line.
    log: gets what it writes, behind what is there.
    environment: variables that it gets besides those of this process.
  """
  log.parent.mkdir(parents=True, exist_ok=True)
  parent = os.getpid()

  def die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
      # It died before it could be said.
      os.kill(os.getpid(), signal.SIGKILL)

  with open(log, 'ab') as file:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def stop(
    programs: Sequence[subprocess.Popen], grace_seconds: float = STOP_SECONDS
) -> None:
  """Ends programs that still run, and whatever they started.

  Args:
    programs: of `start`.
    grace_seconds: what they have from SIGTERM to SIGKILL.
  """
  for program in programs:
    _signal(program, signal.SIGTERM)
  deadline = time.monotonic() + grace_seconds
  for program in programs:
    try:
      program.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
      _signal(program, signal.SIGKILL)
      program.wait()


def kill_leftovers(program: subprocess.Popen) -> None:
  """Kills what a program started, which has ended itself."""
  _signal(program, signal.SIGKILL)


def thread_limits(num_processes: int) -> Mapping[str, str]:
  """Environment variables with which processes share the cores evenly."""
  cores = len(os.sched_getaffinity(0))
  return dict.fromkeys(
      _THREAD_VARIABLES, str(max(1, cores // num_processes))
  )


def last_lines(log: pathlib.Path, number: int) -> list[str]:
  """The end of a log, without empty lines; none if there is no log."""
  if not log.exists():
    return []
  text = log.read_bytes()[-20_000:].decode('utf-8', errors='replace')
  lines = [line.rstrip() for line in text.replace('\r', '\n').split('\n')]
  return [line for line in lines if line][-number:]


def _signal(program: subprocess.Popen, number: int) -> None:
  try:
    os.killpg(program.pid, number)
  except ProcessLookupError:
    pass
