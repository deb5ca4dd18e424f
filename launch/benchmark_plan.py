"""The runs of a benchmark: which there are, where, and with which settings.

    DIR/benchmark.json                   what the benchmark is; reports read it
    DIR/tasks/<task>/                    a run of teacher, collect and dataset
    DIR/cells/<method>/<task>/seed<n>/   a run of one student: a *cell*
    DIR/logs/                            what their programs write
    DIR/report/                          the comparison

All students of a task have the same teacher and the same data: a cell is given
the bundle and the dataset of its task's run.
"""

import dataclasses
import pathlib
import sys
from typing import Any, Sequence, TYPE_CHECKING

from rrl_pipeline import overrides
from rrl_pipeline import run_directory
from rrl_pipeline import scores
from rrl_pipeline import settings
from rrl_pipeline.launch import benchmark_jobs
from rrl_pipeline.launch import method_choice
from rrl_pipeline.launch import run_config
from rrl_pipeline.launch import suites

if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import config as agent_config

_RECORD = 'benchmark.json'
_FORMAT_VERSION = 1
# In settings that the user gives, stands for the game of each task.
_GAME = '{game}'
_TASK_STAGES = ('teacher', 'collect', 'dataset')
_CELL_STAGES = (*_TASK_STAGES, 'offline', 'online', 'evaluate')


@dataclasses.dataclass(frozen=True)
class Request:
  """What the user asks for.

  Attributes:
    suite: name of a suite.
    methods: names of methods.
    games: of the suite.
    num_seeds: runs of each method and game.
    changes: settings as 'group.name=value', of all runs.
  """

  suite: str
  methods: tuple[str, ...]
  games: tuple[str, ...]
  num_seeds: int
  changes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Run:
  """One run directory of a benchmark.

  Attributes:
    name: of the run: the task, or method/task/seed.
    directory: of the run.
    config: its settings; those of a cell lack the dataset, which may not be
      made yet.
    stages: that are run in it.
    task: name of its task.
    method: name of its method; '' for the run of a task.
  """

  name: str
  directory: pathlib.Path
  config: 'config_lib.PipelineConfig'
  stages: tuple[str, ...]
  task: str
  method: str = ''

  def is_done(self) -> bool:
    """Whether its last stage is; stages are done in order."""
    paths = run_directory.RunDirectory(self.directory)
    return paths.done(self.stages[-1]).exists()

  def open_stages(self) -> tuple[str, ...]:
    """Those that take time and are not done, in order.

    A student's run is given its teacher and the data.
    """
    paths = run_directory.RunDirectory(self.directory)
    return tuple(
        stage
        for stage in self.stages
        if not paths.done(stage).exists()
        and not (self.method and stage in _TASK_STAGES)
    )


@dataclasses.dataclass(frozen=True)
class Plan:
  """All runs of a benchmark.

  Attributes:
    directory: of the benchmark.
    request: what the user asked for.
    tasks: the runs of the tasks.
    cells: the runs of the students.
  """

  directory: pathlib.Path
  request: Request
  tasks: tuple[Run, ...]
  cells: tuple[Run, ...]


def make_request(
    suite: str,
    methods: Sequence[str],
    games: Sequence[str],
    num_seeds: int,
    changes: Sequence[str],
) -> Request:
  """Checks names; returns the request with its defaults filled in.

  Args:
    suite: name of a suite.
    methods: names of methods; none for all.
    games: names of games; none for all of the suite.
    num_seeds: at least 1.
    changes: settings as 'group.name=value'.

  Raises:
    ValueError: a suite, method or game that there is not.
  """
  from rrl_pipeline.agents import methods as methods_lib

  def check(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
      if name not in known:
        raise ValueError(
            f'no {kind} is called {name!r}{settings.near_misses(name, known)};'
            f' there are: {", ".join(known)}'
        )

  check('suite', [suite], list(suites.SUITES))
  check('method', methods, list(methods_lib.METHODS))
  check('game', games, suites.SUITES[suite].games)
  return Request(
      suite=suite,
      methods=tuple(dict.fromkeys(methods or methods_lib.METHODS)),
      games=tuple(dict.fromkeys(games or suites.SUITES[suite].games)),
      num_seeds=num_seeds,
      changes=tuple(changes),
  )


def make_plan(directory: pathlib.Path, request: Request) -> Plan:
  """Works out all runs; writes nothing.

  Raises:
    ValueError: a setting that there is not, a value that it cannot have, or a
      game whose package is missing.
  """
  from rrl_pipeline.environments import factory

  directory = directory.resolve()
  tasks, cells = [], []
  for game in request.games:
    config = _task_config(request, game)
    factory.interface(config.environment)
    task = config.environment.task
    tasks.append(
        Run(task, directory / 'tasks' / task, config, _TASK_STAGES, task)
    )
  for method in request.methods:
    for task in tasks:
      for seed in range(request.num_seeds):
        name = f'{method}/{task.task}/seed{seed}'
        cells.append(
            Run(
                name,
                directory / 'cells' / name,
                _cell_config(request, task, method, seed),
                _CELL_STAGES,
                task.task,
                method,
            )
        )
  return Plan(directory, request, tuple(tasks), tuple(cells))


def write_record(plan: Plan, command: str) -> None:
  """Writes benchmark.json, or adds this plan's runs to it.

  Args:
    plan: of a benchmark whose directory is locked.
    command: the command line.

  Raises:
    ValueError: the benchmark was started with another suite or other settings.
  """
  from rrl_pipeline.environments import random_returns

  request = plan.request
  record = {
      'format_version': _FORMAT_VERSION,
      'suite': request.suite,
      'summary': suites.SUITES[request.suite].summary,
      'changes': list(request.changes),
      'command': command,
      'tasks': {
          run.task: {
              'run': _relative(plan, run),
              'random_return': random_returns.random_return(run.task),
          }
          for run in plan.tasks
      },
      'cells': [_cell_entry(plan, run) for run in plan.cells],
  }
  path = plan.directory / _RECORD
  if path.exists():
    stored = run_directory.read_json(path)
    for key, flag in (('suite', '--suite'), ('changes', '--set')):
      if stored[key] != record[key]:
        raise ValueError(
            f'{plan.directory} was started with {flag} {stored[key]}, not'
            f' {record[key]}; use another --directory'
        )
    record['tasks'] = stored['tasks'] | record['tasks']
    cells = {cell['run']: cell for cell in stored['cells'] + record['cells']}
    record['cells'] = list(cells.values())
  run_directory.write_json(path, record)


def jobs(
    plan: Plan, command: str, seconds: dict[str, float]
) -> list[benchmark_jobs.Job]:
  """The programs that do the runs.

  Args:
    plan: of the benchmark.
    command: the command line, recorded in the runs.
    seconds: by name of a run, what it will take.
  """
  tasks = {run.task: run for run in plan.tasks}
  return [
      benchmark_jobs.Job(
          name=run.name,
          prepare=lambda run=run: _prepare(run, tasks[run.task], command),
          is_done=run.is_done,
          log=plan.directory / 'logs' / f'{run.name.replace("/", ".")}.log',
          needs=run.task if run.method else None,
          seconds=seconds.get(run.name, 0.0),
      )
      for run in (*plan.tasks, *plan.cells)
  ]


def _prepare(run: Run, task: Run, command: str) -> list[str]:
  """Writes the settings of a run as the launcher does; returns its command."""
  config = run.config
  if run.method:
    _check_teacher(task)
    config = _with_shared(config, task)
  paths = run_directory.RunDirectory(run.directory)
  with paths.lock():
    run_config.settle(paths, config, command)
  return [
      sys.executable,
      '-m',
      'rrl_pipeline.launch.launch',
      f'--run_dir={run.directory}',
      f'--stage={",".join(run.stages)}',
  ]


def _task_config(request: Request, game: str) -> 'config_lib.PipelineConfig':
  config = suites.SUITES[request.suite].settings(game)
  return overrides.apply(config, _changes(request, game))


def _cell_config(
    request: Request, task: Run, method: str, seed: int
) -> 'config_lib.PipelineConfig':
  from rrl_pipeline.agents import methods

  suite = suites.SUITES[request.suite]
  game = task.config.environment.game
  config = dataclasses.replace(suite.settings(game), seed=seed)
  config = method_choice.apply(
      config, method, suite.adapt, suite.adapt_network
  )
  config = overrides.apply(config, _changes(request, game))
  if not methods.METHODS[method].learns_offline:
    # Settings of the user are for all runs, that of the offline stage too.
    config = method_choice.without_offline_stage(config)
  return config


def _changes(request: Request, game: str) -> list[str]:
  return [change.replace(_GAME, game) for change in request.changes]


def _uses_teacher(agent: 'agent_config.AgentConfig') -> bool:
  return agent.needs_teacher or agent.initial_network == 'teacher'


def _uses_data(config: 'config_lib.PipelineConfig') -> bool:
  return config.offline.num_learner_steps > 0 or config.agent.needs_data


def _check_teacher(task: Run) -> None:
  """Raises before hours are spent on students that could not be scored."""
  from rrl_pipeline.environments import random_returns

  bundle = run_directory.read_json(_bundle(task) / 'bundle.json')
  scores.Scale(
      random_returns.random_return(task.task), bundle['score']['mean_return']
  )


def _bundle(task: Run) -> pathlib.Path:
  return task.directory / 'teacher' / 'bundle'


def _with_shared(
    config: 'config_lib.PipelineConfig', task: Run
) -> 'config_lib.PipelineConfig':
  """Gives a cell the teacher and the data of its task."""
  done = run_directory.RunDirectory(task.directory).read_done('dataset')
  return dataclasses.replace(
      config,
      teacher=dataclasses.replace(
          config.teacher, bundle=str(_bundle(task))
      ),
      dataset=dataclasses.replace(
          config.dataset, path=str(task.directory / done['outputs']['dataset'])
      ),
      # The logs have become the dataset.
      logs=type(config.logs)(),
  )


def _cell_entry(plan: Plan, run: Run) -> dict[str, Any]:
  return {
      'method': run.method,
      'task': run.task,
      'seed': run.config.seed,
      'run': _relative(plan, run),
      'uses_teacher': _uses_teacher(run.config.agent),
      'uses_data': _uses_data(run.config),
  }


def _relative(plan: Plan, run: Run) -> str:
  return run.directory.relative_to(plan.directory).as_posix()
