"""Shows how far the runs of a benchmark are, from the files they write.

On a terminal this is one table, drawn anew as things change. Where the output
goes to a file, each change of a state is a line instead, and the runs that are
under way have a line each minute.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import time
from typing import Any, Callable, Mapping, Optional, Sequence, TextIO

from rrl_pipeline import run_directory
from rrl_pipeline import scores
from rrl_pipeline.launch import benchmark_jobs
from rrl_pipeline.launch import benchmark_plan
from rrl_pipeline.launch import processes

_State = benchmark_jobs.State
_REDRAW_SECONDS = 1.0
_LINE_SECONDS = 60.0
# What is under way is shown first if there is no room for all.
_ORDER = (
    _State.RUNNING, _State.FAILED, _State.BLOCKED, _State.DONE, _State.WAITING
)
_TAIL_BYTES = 4_000
# Enough for the records of one evaluation.
_EVALUATION_BYTES = 200_000


@dataclasses.dataclass(frozen=True)
class Progress:
  """How far a run is.

  Attributes:
    stage: the first that is not done; '' if all are.
    fraction: of that stage, if it can be told.
    mean_return: of its last evaluation, in raw points.
    teacher_return: of its teacher.
  """

  stage: str = ''
  fraction: Optional[float] = None
  mean_return: Optional[float] = None
  teacher_return: Optional[float] = None


def read_progress(run: benchmark_plan.Run) -> Progress:
  """Looks at what a run has written so far; it may be writing."""
  paths = run_directory.RunDirectory(run.directory)
  stage = next((s for s in run.stages if not paths.done(s).exists()), '')
  teacher = None
  bundle = paths.stage('teacher') / 'bundle' / 'bundle.json'
  if bundle.exists():
    teacher = run_directory.read_json(bundle).get('score', {}).get(
        'mean_return'
    )
  mean = None
  for folder in (
      ('evaluate', 'online/student', 'offline') if run.method else ('teacher',)
  ):
    mean = _last_mean_return(paths.root / folder / 'evaluations.jsonl')
    if mean is not None:
      break
  return Progress(stage, _fraction(paths, run.config, stage), mean, teacher)


def _fraction(
    paths: run_directory.RunDirectory, config: Any, stage: str
) -> Optional[float]:
  """The share of its steps that a stage has done, by the last metrics."""
  folder, column, total = {
      'teacher': (
          'teacher', 'actor_steps', config.teacher.online.num_actor_steps
      ),
      'offline': ('offline', 'step', config.offline.num_learner_steps),
      'online': (
          'online/student', 'actor_steps', config.online.num_actor_steps
      ),
  }.get(stage, ('', '', 0))
  value = _last_metric(paths.root / folder / 'metrics.csv', column)
  return None if value is None or not total else min(1.0, value / total)


def _last_metric(path: pathlib.Path, column: str) -> Optional[float]:
  """A value of the last complete row of a metrics.csv."""
  if not path.is_file():
    return None
  with open(path, 'rb') as file:
    names = file.readline().decode('utf-8').strip().split(',')
    rows = _tail(file, _TAIL_BYTES)[:-1]
  if column not in names or not rows:
    return None
  fields = rows[-1].split(',')
  position = names.index(column)
  if len(fields) != len(names) or not fields[position]:
    return None
  try:
    return float(fields[position])
  except ValueError:  # The header itself: there is no row yet.
    return None


def _last_mean_return(path: pathlib.Path) -> Optional[float]:
  """Mean return of the last evaluation in an evaluations.jsonl."""
  if not path.is_file():
    return None
  with open(path, 'rb') as file:
    lines = _tail(file, _EVALUATION_BYTES)
  records = []
  for line in lines:
    try:
      records.append(json.loads(line))
    except ValueError:  # The first may be cut off, the last is empty.
      continue
  if not records:
    return None
  key = (records[-1]['learner_steps'], records[-1]['actor_steps'])
  returns = [
      record['episode_return']
      for record in records
      if (record['learner_steps'], record['actor_steps']) == key
  ]
  return sum(returns) / len(returns)


def _tail(file: Any, num_bytes: int) -> list[str]:
  """The last lines of a file; what follows the last line break comes last."""
  size = file.seek(0, os.SEEK_END)
  file.seek(max(0, size - num_bytes))
  return file.read().decode('utf-8', errors='replace').split('\n')


class Table:
  """The runs of a benchmark and where they are."""

  def __init__(
      self,
      plan: benchmark_plan.Plan,
      scheduler: benchmark_jobs.Scheduler,
      random_returns: Mapping[str, float],
      file: TextIO,
      clock: Callable[[], float] = time.monotonic,
  ):
    """Prepares to show.

    Args:
      plan: of the benchmark.
      scheduler: that runs it.
      random_returns: of random play, by task.
      file: where to write.
      clock: seconds since any time.
    """
    self._runs = {run.name: run for run in (*plan.tasks, *plan.cells)}
    self._scheduler = scheduler
    self._random_returns = random_returns
    self._file = file
    self._clock = clock
    self._is_terminal = file.isatty()
    self._num_drawn = 0
    self._last = -float('inf') if self._is_terminal else clock()
    # Runs that are done do not change.
    self._finished: dict[str, Progress] = {}

  def tick(self) -> None:
    """Shows what has changed, if the last time is long enough ago."""
    interval = _REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS
    if self._clock() - self._last < interval:
      return
    self._last = self._clock()
    if self._is_terminal:
      height = shutil.get_terminal_size().lines - 2
      self._draw(self.lines(max(4, height)))
    else:
      for name, state in self._scheduler.states.items():
        if state == _State.RUNNING:
          self._say('  '.join(self._row(name)))

  def changed(self, job: benchmark_jobs.Job, state: _State) -> None:
    """Tells of a job that started or ended; of a failure, why."""
    if state == _State.FAILED:
      self._erase()
      self._say(f'{job.name} failed: {self._scheduler.errors[job.name]}')
      for line in processes.last_lines(job.log, 5):
        self._say(f'    {line}')
      self._say(f'    all of it: {job.log}')
    elif not self._is_terminal:
      self._say('  '.join(self._row(job.name)))

  def finish(self) -> None:
    """Shows the whole table a last time."""
    self._draw(self.lines(len(self._runs) + 2))
    self._num_drawn = 0

  def lines(self, height: int) -> list[str]:
    """The table in at most `height` lines."""
    states = self._scheduler.states
    names = sorted(self._runs, key=lambda n: _ORDER.index(states[n]))
    shown = names[: height - 2]
    rows = [self._row(name) for name in shown]
    heads = ('run', 'state', 'stage', 'done', 'score', 'time')
    widths = [max(map(len, column)) for column in zip(heads, *rows)]
    counts = ', '.join(
        f'{number} {state.value}'
        for state in _ORDER
        if (number := sum(s == state for s in states.values()))
    )
    hidden = len(names) - len(shown)
    more = f' (not shown: {hidden})' if hidden else ''
    return [
        '  '.join(
            cell.ljust(width) for cell, width in zip(row, widths)
        ).rstrip()
        for row in (heads, *rows)
    ] + [counts + more]

  def _row(self, name: str) -> tuple[str, ...]:
    state = self._scheduler.states[name]
    progress = self._progress(name)
    seconds = self._scheduler.seconds_run(name)
    fraction = progress.fraction
    is_over = state in (_State.DONE, _State.WAITING)
    return (
        name,
        state.value,
        '' if is_over else progress.stage,
        '' if is_over or fraction is None else f'{100 * fraction:.0f} %',
        self._score(self._runs[name], progress),
        '' if seconds is None else f'{seconds // 60:.0f}:{seconds % 60:02.0f}',
    )

  def _progress(self, name: str) -> Progress:
    if name in self._finished:
      return self._finished[name]
    progress = read_progress(self._runs[name])
    if self._scheduler.states[name] == _State.DONE:
      self._finished[name] = progress
    return progress

  def _score(self, run: benchmark_plan.Run, progress: Progress) -> str:
    """A student's score on the teacher's scale; a teacher's return."""
    if not run.method:
      value = progress.teacher_return
      value = progress.mean_return if value is None else value
      return '' if value is None else f'return {value:.1f}'
    if progress.mean_return is None or progress.teacher_return is None:
      return ''
    try:
      scale = scores.Scale(
          self._random_returns[run.task], progress.teacher_return
      )
    except ValueError:  # The teacher is no better than random play.
      return f'return {progress.mean_return:.1f}'
    return f'{scale.normalise(progress.mean_return):.2f}'

  def _draw(self, lines: Sequence[str]) -> None:
    self._erase()
    width = shutil.get_terminal_size().columns - 1
    for line in lines:
      # A line that wraps would not be erased as a whole.
      self._say(line[:width] if self._is_terminal else line)
    self._num_drawn = len(lines) if self._is_terminal else 0

  def _erase(self) -> None:
    """Removes the table from a terminal: up to its first line, and clear."""
    if self._num_drawn:
      self._file.write(f'\x1b[{self._num_drawn}F\x1b[J')
      self._num_drawn = 0

  def _say(self, line: str) -> None:
    print(line, file=self._file, flush=True)
