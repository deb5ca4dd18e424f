"""Reads what the runs of a benchmark left on disk.

    DIR/benchmark.json             which runs there are: tasks and cells
    DIR/tasks/<task>/              a run: the teacher and its data
    DIR/cells/<method>/<task>/seed<n>/   a run: one student

Everything comes from the JSON files in them. Nothing is compared here.
"""

import dataclasses
import os
import pathlib
from typing import Any, Mapping, Sequence, Union

from rrl_pipeline import run_directory
from rrl_pipeline import scores
from rrl_pipeline.reports import benchmark_curves
from rrl_pipeline.reports import compute
from rrl_pipeline.reports import runs as runs_lib
from rrl_pipeline.reports import timeline

RECORD = 'benchmark.json'
# Made once for all students of a task, in the run of the task.
_SHARED_STAGES = ('collect', 'dataset')


@dataclasses.dataclass(frozen=True)
class Cell:
  """One finished run of one method.

  Attributes:
    method: its name.
    curve: its scores.
    mean_return: of the finished agent, in raw points.
    compute: what it cost, as `compute.account` gives it.
    uses_teacher: whether the teacher is a part of what it cost.
    config: the settings of the run.
  """

  method: str
  curve: benchmark_curves.Curve
  mean_return: float
  compute: Mapping[str, Any]
  uses_teacher: bool
  config: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Results:
  """What a benchmark has so far.

  Attributes:
    record: the contents of benchmark.json.
    cells: the finished cells, in the order of the record.
    unfinished: (method, task, seed) of the others.
    teacher_returns: mean return of each task's teacher that is known.
    without_scale: by task, why scores have no meaning there: its teacher is no
      better than random play. Its cells are in none of the lists above.
  """

  record: Mapping[str, Any]
  cells: Sequence[Cell]
  unfinished: Sequence[tuple[str, str, int]]
  teacher_returns: Mapping[str, float]
  without_scale: Mapping[str, str]


def read(directory: Union[str, os.PathLike]) -> Results:
  """Reads a benchmark whose cells may be unfinished.

  Raises:
    ValueError: it is no directory of a benchmark, or a file in it is damaged.
  """
  directory = pathlib.Path(directory)
  if not (directory / RECORD).exists():
    raise ValueError(
        f'{directory} holds no {RECORD}; give the --directory of a benchmark'
    )
  record = run_directory.read_json(directory / RECORD)
  cells, unfinished, teacher_returns, without_scale = [], [], {}, {}
  for entry in record['cells']:
    paths = run_directory.RunDirectory(directory / entry['run'])
    if paths.read_done('evaluate') is None:
      unfinished.append((entry['method'], entry['task'], entry['seed']))
      continue
    run = runs_lib.read_run(paths.root)
    task = entry['task']
    teacher_returns[task] = run.teacher.mean_return
    try:
      scale = scores.Scale(
          record['tasks'][task]['random_return'], run.teacher.mean_return
      )
    except ValueError as error:
      without_scale[task] = str(error)
      continue
    cells.append(_cell(directory, record, entry, run, scale))
  return Results(record, cells, unfinished, teacher_returns, without_scale)


def _cell(
    directory: pathlib.Path,
    record: Mapping[str, Any],
    entry: Mapping[str, Any],
    run: runs_lib.Run,
    scale: scores.Scale,
) -> Cell:
  online = run.online[runs_lib.STUDENT]
  final = run.final.get(runs_lib.STUDENT, online[-1])
  stages = {
      name: done
      for name, done in run.stages.items()
      if name not in _SHARED_STAGES
  }
  if entry['uses_data']:
    shared = run_directory.RunDirectory(
        directory / record['tasks'][entry['task']]['run']
    )
    for name in _SHARED_STAGES:
      done = shared.read_done(name)
      if done is not None:
        stages[name] = done
  return Cell(
      method=entry['method'],
      curve=benchmark_curves.Curve(
          task=entry['task'],
          seed=entry['seed'],
          frames=tuple(e.frames for e in online),
          scores=tuple(float(scale.normalise(e.mean_return)) for e in online),
          final=float(scale.normalise(final.mean_return)),
          offline=tuple(
              (e.learner_steps, float(scale.normalise(e.mean_return)))
              for e in run.offline
          ),
          weaned_at=timeline.weaning_frames(run)
          if entry['uses_teacher']
          else None,
          n_step=run.config['agent']['n_step'],
      ),
      mean_return=final.mean_return,
      compute=compute.account(dataclasses.replace(run, stages=stages)),
      uses_teacher=entry['uses_teacher'],
      config=run.config,
  )
