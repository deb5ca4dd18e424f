"""Runs methods on the tasks of a suite, several seeds each, and compares them.

    methods x tasks x seeds -> runs of launch.py -> one report

Every run is a directory that launch.py could have made, and does its stages by
the same program. The teacher of a task and its data are made once for all. Runs
that are done are skipped: after an interruption, the same command goes on, and
with more methods, games or seeds it adds what is missing.
"""

import os
import pathlib
import signal
import sys
import textwrap
from typing import Optional, Sequence

from absl import flags

from rrl_pipeline import formats
from rrl_pipeline import run_directory
from rrl_pipeline.launch import benchmark_costs
from rrl_pipeline.launch import benchmark_jobs
from rrl_pipeline.launch import benchmark_plan
from rrl_pipeline.launch import benchmark_table
from rrl_pipeline.launch import command_line
from rrl_pipeline.launch import suites
from rrl_pipeline.launch import user_errors

_FAILED = 1

_EXAMPLES = """\
  # What it would do, and how long that would take:
  python launch/benchmark.py --suite=minatar --seeds=3 --dry_run

  # Two methods on two games, two runs at a time:
  python launch/benchmark.py --suite=minatar --methods=qdagger,tabula_rasa \\
    --games=Breakout,Asterix --seeds=3 --jobs=2 --directory=runs/minatar

  # Teachers and datasets of your own:
  python launch/benchmark.py --suite=atari10 --games=Breakout,Qbert \\
    --set 'teacher.bundle=teachers/{game}' \\
    --set 'dataset.path=data/atari_replay/{game}_run_1/1.1.0'
"""

_FLAGS = {
    'suite': 'Name of the suite.',
    'methods': 'Methods, with commas between them; all of them by default.',
    'games': 'Games of the suite, with commas between them; all by default.',
    'seeds': 'Runs of each method on each game (3).',
    'jobs': "Runs at the same time; they share the machine's cores (1).",
    'directory': 'Where the runs are kept; runs/benchmark_<suite> by default.',
    'set': (
        'One setting of all runs as group.name=value, in which {game} stands'
        ' for the game; may be given several times. Settings of the student'
        ' replace those of every method.'
    ),
    'resamples': 'Resamples of each bootstrap interval (2000).',
    'dry_run': 'Says what would be run and what it would take, and ends.',
    'help': 'Shows this text.',
}


def define_flags() -> flags.FlagValues:
  """Returns the flags, apart from those that libraries add to absl's own."""
  values = flags.FlagValues()
  for name in ('suite', 'directory'):
    flags.DEFINE_string(name, None, _FLAGS[name], flag_values=values)
  for name in ('methods', 'games'):
    flags.DEFINE_list(name, [], _FLAGS[name], flag_values=values)
  for name, default in (('seeds', 3), ('jobs', 1), ('resamples', 2000)):
    flags.DEFINE_integer(
        name, default, _FLAGS[name], lower_bound=1, flag_values=values
    )
  flags.DEFINE_multi_string('set', [], _FLAGS['set'], flag_values=values)
  flags.DEFINE_boolean(
      'dry_run', False, _FLAGS['dry_run'], flag_values=values
  )
  flags.DEFINE_boolean(
      'help', False, _FLAGS['help'], short_name='h', flag_values=values
  )
  return values


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program and returns its exit code.

  Args:
    argv: the command line, with the program's name; sys.argv if None.

  Returns:
    0 if all runs are done; 1 if any failed; 2 after an error of the user,
    which is one line on standard error; 130 after Ctrl-C.
  """
  argv = list(sys.argv if argv is None else argv)
  return user_errors.run(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
  values = define_flags()
  rest = values(argv)[1:]
  if values.help:
    print(help_text())
    return 0
  if rest:
    raise ValueError(f'expected only flags, got {rest[0]!r}; see --help')
  if values.suite is None:
    raise ValueError(
        f'which suite? Give --suite; there are: {", ".join(suites.SUITES)}'
    )
  request = benchmark_plan.make_request(
      values.suite, values.methods, values.games, values.seeds, values.set
  )
  directory = pathlib.Path(
      values.directory or f'runs/benchmark_{values.suite}'
  )
  plan = benchmark_plan.make_plan(directory, request)
  if values.dry_run:
    _say_cost(plan, values.jobs)
    return 0
  signal.signal(signal.SIGTERM, signal.default_int_handler)
  paths = run_directory.RunDirectory(directory)
  with paths.lock():
    command = command_line.command(argv)
    benchmark_plan.write_record(plan, command)
    seconds = _say_cost(plan, values.jobs)
    states = _run(plan, command, seconds, values.jobs)
    failed = [
        name
        for name, state in states.items()
        if state != benchmark_jobs.State.DONE
    ]
    if failed:
      print(
          f'{len(failed)} of {len(states)} runs are not done; their logs are in'
          f' {directory / "logs"}. The same command runs them again.',
          file=sys.stderr,
      )
    _report(directory, values.resamples)
  return _FAILED if failed else 0


def help_text() -> str:
  """Returns what --help prints."""
  lines = [__doc__.strip(), '', *command_line.flag_lines(_FLAGS)]
  lines += ['', 'Suites:']
  for name, suite in suites.SUITES.items():
    lines.append(f'  {name:<14} {suite.summary}')
    lines.extend(textwrap.wrap(
        ', '.join(suite.games), 79, initial_indent=' ' * 17,
        subsequent_indent=' ' * 17,
    ))
  return '\n'.join(lines + ['', 'Examples:', _EXAMPLES.rstrip()])


def _say_cost(plan: benchmark_plan.Plan, num_jobs: int) -> dict[str, float]:
  """Prints what is to be done and how long it takes; returns the estimates."""
  runs = {run.name: run for run in (*plan.tasks, *plan.cells)}
  open_runs = [run for run in runs.values() if not run.is_done()]
  print(
      f'{plan.request.suite}: {len(plan.request.methods)} methods x'
      f' {len(plan.tasks)} tasks x {plan.request.num_seeds} seeds ='
      f' {len(plan.cells)} students of {len(plan.tasks)} teachers;'
      f' {len(runs) - len(open_runs)} of {len(runs)} runs are done'
  )
  if not open_runs:
    return {}
  seconds = benchmark_costs.estimate(
      {run.name: run.config for run in open_runs},
      {run.name: run.open_stages() for run in open_runs},
      num_jobs,
  )
  by_method: dict[str, list[float]] = {}
  for run in open_runs:
    label = run.method or 'teachers and their data'
    by_method.setdefault(label, []).append(seconds[run.name])
  for label, own in by_method.items():
    print(
        f'  {label:<24} {formats.seconds(sum(own)):>7} for {len(own)} run'
        f'{"s" if len(own) > 1 else ""}'
    )
  total = benchmark_costs.wall_seconds(
      seconds,
      {run.name: run.task for run in plan.cells},
      num_jobs,
  )
  print(
      f'about {formats.seconds(total)} with --jobs={num_jobs}, evaluations'
      ' and conversion not included',
      flush=True,
  )
  return seconds


def _run(
    plan: benchmark_plan.Plan,
    command: str,
    seconds: dict[str, float],
    num_jobs: int,
) -> dict[str, benchmark_jobs.State]:
  """Does the runs; returns their states."""
  record = run_directory.read_json(plan.directory / 'benchmark.json')
  scheduler = benchmark_jobs.Scheduler(
      benchmark_plan.jobs(plan, command, seconds),
      num_jobs,
      lambda job, state: table.changed(job, state),
  )
  table = benchmark_table.Table(
      plan,
      scheduler,
      {task: entry['random_return'] for task, entry in record['tasks'].items()},
      sys.stdout,
  )
  states = scheduler.run(table.tick)
  table.finish()
  return dict(states)


def _report(directory: pathlib.Path, resamples: int) -> None:
  """Writes the report on what is finished, if any student is."""
  from rrl_pipeline.reports import benchmark_report
  from rrl_pipeline.reports import benchmark_results

  results = benchmark_results.read(directory)
  if not results.cells and not results.without_scale:
    return
  report = benchmark_report.build(directory, resamples)
  print(f'Report: {benchmark_report.write(report, directory / "report")}')


if __name__ == '__main__':
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  sys.exit(main())
