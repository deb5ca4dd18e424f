"""Memory, open files and threads of a long online stage, role by role.

    python benchmarks/soak.py --run_dir=DIR [--minutes=30] [--num_actors=2]

Runs the online stage of a small run of Pong (episodes of 45 steps, a network of
two filters: so there are as many steps, episodes and updates as possible), with
the processes of `--num_actors`, and looks at each of them every few seconds.
What the evaluator's environments take counts as the evaluator's. The replay of
10,000 steps is full after the first third, which is left out: in the rest, the
slope of each role's memory is 0 but for noise, or something leaks.

Writes DIR/soak.csv and DIR/soak.png, and prints slopes with their intervals of
95 %: of means over twentieths of the time, as neighbouring samples are alike.
"""

import collections
import csv
import pathlib
import re
import subprocess
import sys
import time
from typing import NamedTuple, Optional, Sequence

from absl import app
from absl import flags
from absl import logging
import matplotlib
from matplotlib import figure as figure_lib
import numpy as np
import psutil
from scipy import stats

from rrl_pipeline import run_directory
from rrl_pipeline.reports import panels
from rrl_pipeline.testing import small_online_run

_RUN_DIR = flags.DEFINE_string(
    'run_dir', None, 'Directory that gets the run and the figures.',
    required=True,
)
_MINUTES = flags.DEFINE_float(
    'minutes', 30.0, 'Time from the first update on.', lower_bound=0.5
)
_NUM_ACTORS = flags.DEFINE_integer(
    'num_actors', 2, 'Actors.', lower_bound=1
)

# Far more than are played: the run is stopped when the time is over.
_STEPS = 10**7
_REPLAY_CAPACITY = 10_000
_PERIOD = 5_000
_SAMPLES = 300
_WARM_UP = 1 / 3
_BLOCKS = 20
_START_SECONDS = 1200.0
_STOP_SECONDS = 120.0
_MIB = 2**20
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')


class _Sample(NamedTuple):
  """What a role has at a moment, its child processes included."""

  seconds: float
  role: str
  memory_mib: float
  shared_mib: float
  open_files: int
  threads: int


def _role(process: psutil.Process) -> Optional[str]:
  line = ' '.join(process.cmdline())
  role = re.search(r'--role=(\w+)', line)
  if role is None:
    return None
  index = re.search(r'--actor_index=(\d+)', line)
  return f'actor {index[1]}' if role[1] == 'actor' else role[1]


def _look(launcher: psutil.Process, seconds: float) -> list[_Sample]:
  processes = {'supervisor': [launcher]}
  for child in launcher.children():
    try:
      if role := _role(child):
        processes[role] = [child, *child.children(recursive=True)]
    except psutil.Error:
      continue  # It has just ended, or is just begun.
  samples = []
  for role, members in processes.items():
    totals = np.zeros(4)
    for member in members:
      try:
        with member.oneshot():
          memory = member.memory_info()
          totals += (
              memory.rss / _MIB,
              memory.shared / _MIB,
              member.num_fds(),
              member.num_threads(),
          )
      except psutil.Error:
        continue
    samples.append(
        _Sample(seconds, role, *totals[:2].tolist(), *map(int, totals[2:]))
    )
  return samples


def _slope(seconds: np.ndarray, values: np.ndarray) -> tuple[float, float]:
  """Slope per hour, and half of its interval of 95 %.

  Args:
    seconds: [N], in order.
    values: [N].

  Returns:
    Both for a line through the means of `_BLOCKS` equal parts.
  """
  count = min(_BLOCKS, len(seconds))
  blocks = np.array_split(np.arange(len(seconds)), count)
  x = np.array([seconds[block].mean() for block in blocks]) / 3600
  y = np.array([values[block].mean() for block in blocks])
  line = stats.linregress(x, y)
  return line.slope, stats.t.ppf(0.975, len(x) - 2) * line.stderr


def _print(samples: Sequence[_Sample], warm_up: float) -> dict[str, str]:
  """Prints a row for each role; returns what the figure says of it."""
  by_role = collections.defaultdict(list)
  for sample in samples:
    if sample.seconds >= warm_up:
      by_role[sample.role].append(sample)
  print('role         memory   shared  files  threads   slope of the memory')
  labels = {}
  for role, rows in by_role.items():
    seconds, _, memory, shared, files, threads = map(np.array, zip(*rows))
    slope, half = _slope(seconds, memory)
    labels[role] = f'{role}: {slope:+.1f} ± {half:.1f} MiB/h'
    print(
        f'{role:11} {memory.mean():5.0f} MiB {shared.mean():5.0f} MiB'
        f' {files[0]:3}-{files[-1]:<3} {threads[0]:4}-{threads[-1]:<4}'
        f' {slope:+8.1f} ± {half:.1f} MiB/h'
    )
  return labels


def _figure(
    samples: Sequence[_Sample], warm_up: float, labels: dict[str, str]
) -> bytes:
  with matplotlib.rc_context(panels.STYLE):
    figure = figure_lib.Figure(
        figsize=(panels.WIDTH_INCHES, 4.0), layout='constrained'
    )
    axis = figure.subplots()
    for role, colour in zip(labels, _COLOURS * len(labels)):
      rows = [sample for sample in samples if sample.role == role]
      axis.plot(
          [row.seconds / 60 for row in rows],
          [row.memory_mib for row in rows],
          color=colour,
          label=labels[role],
      )
    axis.axvspan(0, warm_up / 60, color='#F0F0F0', zorder=0)
    axis.set_xlim(0, None)
    axis.set_ylim(0, None)
    axis.set_xlabel('minutes (grey: left out of the slopes)')
    axis.set_ylabel('resident memory, MiB')
    figure.legend(loc='outside upper center', ncols=2)
    return panels.png(figure)


def _wait_for_updates(program: subprocess.Popen, run: pathlib.Path) -> None:
  metrics = run / 'online' / 'student' / 'metrics.csv'
  deadline = time.monotonic() + _START_SECONDS
  while not metrics.exists():
    if program.poll() is not None or time.monotonic() > deadline:
      raise ValueError(f'the online stage in {run} makes no updates')
    time.sleep(1)


def _soak(directory: pathlib.Path, run: pathlib.Path) -> list[_Sample]:
  program = subprocess.Popen([
      sys.executable,
      '-m',
      'rrl_pipeline.launch.launch',
      f'--run_dir={run}',
      '--stage=online',
      f'--num_actors={_NUM_ACTORS.value}',
  ])
  samples = []
  try:
    _wait_for_updates(program, run)
    launcher = psutil.Process(program.pid)
    begun = time.monotonic()
    length = 60 * _MINUTES.value
    with open(directory / 'soak.csv', 'w', newline='') as file:
      writer = csv.writer(file)
      writer.writerow(_Sample._fields)
      while (seconds := time.monotonic() - begun) < length:
        if program.poll() is not None:
          raise ValueError(f'the online stage ended with {program.returncode}')
        rows = _look(launcher, seconds)
        samples += rows
        writer.writerows(rows)
        file.flush()
        time.sleep(length / _SAMPLES)
  finally:
    # It takes a checkpoint.
    program.terminate()
    program.wait(_STOP_SECONDS)
  return samples


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'expected only flags, got {argv[1]!r}')
  logging.set_verbosity(logging.WARNING)
  directory = pathlib.Path(_RUN_DIR.value)
  run = directory / 'run'
  if not run.exists():
    directory.mkdir(parents=True, exist_ok=True)
    small_online_run.prepare(
        directory,
        _STEPS,
        _PERIOD,
        _PERIOD,
        f'agent.replay_capacity={_REPLAY_CAPACITY}',
    )
  samples = _soak(directory, run)
  warm_up = 60 * _MINUTES.value * _WARM_UP
  labels = _print(samples, warm_up)
  run_directory.write_bytes(
      directory / 'soak.png', _figure(samples, warm_up, labels)
  )


if __name__ == '__main__':
  app.run(main)
