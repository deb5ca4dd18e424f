"""Faults in the online stage with two actors, and what becomes of it.

    python benchmarks/fault_injection.py [--minutes=10] [--seed=0]

Small runs are trained one after the other by real processes under the
launcher's supervisor, until the time is over, while their wall clock is set
forwards and backwards every second. In each, some faults of the list below
happen at random moments. Afterwards the run must be complete with all counters
right, and no process and no port may be left. Prints each run, a table of the
faults, and how long it took until the learner made updates again. Exits with 1
if anything was wrong.
"""

import collections
import functools
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from typing import Callable, Optional

from absl import app
from absl import flags
from absl import logging
import numpy as np

from rrl_pipeline.launch import launch
from rrl_pipeline.launch import supervisor
from rrl_pipeline.testing import faulty_run
from rrl_pipeline.testing import small_online_run

_MINUTES = flags.DEFINE_float('minutes', 10.0, 'Time for runs to begin in.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the faults and their moments.')

_STEPS, _EVALUATION_PERIOD, _CHECKPOINT_PERIOD = 3000, 1000, 100
# Learning has begun by then: the updates that are missing stay the same.
_FIRST_FAULT_STEPS = 400
_ROLES = ('replay', 'learner', 'actor_0', 'actor_1', 'evaluator')
_MAX_FAULTS = 3
_MAX_SECONDS = 5.0
_RECOVERY_SECONDS = 600.0

_Fault = Callable[[faulty_run.FaultyRun, float], None]


def _kill(name: str, run: faulty_run.FaultyRun, seconds: float) -> None:
  del seconds
  run.kill(name)


def _stop(name: str, run: faulty_run.FaultyRun, seconds: float) -> None:
  with run.stopped(name):
    time.sleep(seconds)


def _refuse(run: faulty_run.FaultyRun, seconds: float) -> None:
  with run.proxy.refused():
    time.sleep(seconds)


def _stall(run: faulty_run.FaultyRun, seconds: float) -> None:
  with run.proxy.stalled():
    time.sleep(seconds)


def _forget(run: faulty_run.FaultyRun, seconds: float) -> None:
  del seconds
  run.proxy.forget()


def _learn_twice(run: faulty_run.FaultyRun, seconds: float) -> None:
  """A second learner, which must be refused."""
  del seconds
  command = run.command('learner')
  second = subprocess.run(command, capture_output=True, text=True, check=False)
  line = second.stderr.strip().splitlines()[-1:]
  if second.returncode != 2 or 'another process works in' not in line[0]:
    raise ValueError(f'the second learner ended so: {second}')


_FAULTS: dict[str, _Fault] = {
    **{f'kill {name}': functools.partial(_kill, name) for name in _ROLES},
    **{f'stop {name}': functools.partial(_stop, name) for name in _ROLES},
    'network refuses': _refuse,
    'network stalls': _stall,
    'network forgets': _forget,
    'second learner': _learn_twice,
}


class _Outcome:
  """What was seen in all runs.

  Attributes:
    recoveries: seconds until the learner made updates again, by fault.
    restarts: how often a role was started again.
    problems: what was wrong.
  """

  def __init__(self):
    self.recoveries = collections.defaultdict(list)
    self.restarts = 0
    self.problems: list[str] = []


def _wait(
    condition: Callable[[], bool], has_ended: threading.Event
) -> Optional[float]:
  """Seconds until it holds; None if the run ended before."""
  begun = time.monotonic()
  while not condition():
    if has_ended.wait(0.05):
      return None
    if time.monotonic() - begun > _RECOVERY_SECONDS:
      raise ValueError(f'no updates for {_RECOVERY_SECONDS:.0f} s')
  return time.monotonic() - begun


def _hurt(
    run: faulty_run.FaultyRun,
    checkpoints: pathlib.Path,
    names: list[str],
    generator: np.random.Generator,
    outcome: _Outcome,
) -> None:
  def is_learning() -> bool:
    steps = [int(path.name) for path in checkpoints.glob('[0-9]*')]
    return max(steps, default=0) >= _FIRST_FAULT_STEPS

  if _wait(is_learning, run.has_ended) is None:
    raise ValueError('the run ended before any fault')
  for name in names:
    if run.has_ended.wait(generator.uniform(0, 2)):
      return
    try:
      _FAULTS[name](run, generator.uniform(1, _MAX_SECONDS))
    except TimeoutError:
      return  # The run ended before the role could be hurt.
    seconds = _wait(run.learns(), run.has_ended)
    if seconds is not None:
      outcome.recoveries[name].append(seconds)


def _train(
    begun: pathlib.Path, number: int, names: list[str], outcome: _Outcome
) -> None:
  with tempfile.TemporaryDirectory() as folder:
    directory = pathlib.Path(folder)
    run_dir = pathlib.Path(shutil.copytree(begun, directory / 'run'))
    run = faulty_run.FaultyRun(run_dir, directory)
    hurt = functools.partial(
        _hurt,
        run,
        run_dir / 'online' / 'student' / 'checkpoints',
        names,
        np.random.default_rng([_SEED.value, number]),
        outcome,
    )
    start = time.monotonic()
    found = []
    try:
      run.run(hurt)
    except (supervisor.RoleFailedError, ValueError) as error:
      found.append(str(error))
    found += [f'left: {process}' for process in run.processes()]
    outcome.restarts += sum('started again' in line for line in run.said)
    if not found:
      launch.main(['launch', f'--run_dir={run_dir}', '--stage=online'])
      found += small_online_run.problems(
          run_dir, _STEPS, _EVALUATION_PERIOD, num_actors=2
      )
    print(
        f'run {number}: {", ".join(names)}:'
        f' {time.monotonic() - start:.0f} s, {len(found) or "no"} problems',
        flush=True,
    )
    for line in found and [*found, *run.said]:
      print(f'  {line}', flush=True)
    outcome.problems += found


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'expected only flags, got {argv[1]!r}')
  logging.set_verbosity(logging.WARNING)
  outcome = _Outcome()
  generator = np.random.default_rng([_SEED.value, 0])
  deadline = time.monotonic() + 60 * _MINUTES.value
  # Each fault once before any comes again.
  waiting: list[str] = []
  number = 0
  with tempfile.TemporaryDirectory() as folder:
    begun = small_online_run.prepare(
        pathlib.Path(folder), _STEPS, _EVALUATION_PERIOD, _CHECKPOINT_PERIOD
    )
    while time.monotonic() < deadline:
      number += 1
      if len(waiting) < _MAX_FAULTS:
        waiting += generator.permutation(list(_FAULTS)).tolist()
      count = int(generator.integers(1, _MAX_FAULTS + 1))
      names, waiting = waiting[:count], waiting[count:]
      _train(begun, number, names, outcome)
  print('\nfault              recovered   median   longest')
  for name in _FAULTS:
    if seconds := outcome.recoveries[name]:
      print(
          f'{name:18} {len(seconds):9} {np.median(seconds):6.1f} s'
          f' {max(seconds):7.1f} s'
      )
  print(
      f'{number} runs of {_STEPS} agent steps, {outcome.restarts} restarts,'
      f' {len(outcome.problems)} problems'
  )
  if outcome.problems:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main)
