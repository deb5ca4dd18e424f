"""Runs the pipeline, from a teacher to the report on its student.

    teacher -> logs -> dataset -> offline -> online -> report

Each stage reads what earlier stages left in the run directory and is skipped
if it is done. After an interruption, the same command goes on where it was.
"""

import dataclasses
import os
import pathlib
import signal
import sys
import textwrap
from typing import Optional, Sequence

from absl import flags

from rrl_pipeline import run_directory
from rrl_pipeline import settings
from rrl_pipeline import stages as stages_lib
from rrl_pipeline import stopping
from rrl_pipeline.launch import command_line
from rrl_pipeline.launch import online_roles
from rrl_pipeline.launch import pipeline
from rrl_pipeline.launch import presets
from rrl_pipeline.launch import run_config
from rrl_pipeline.launch import user_errors

_ALL = 'all'

_EXAMPLES = """\
  # All of it, in runs/pong_quick_seed0:
  python launch/launch.py --preset=pong_quick

  # The same in two commands; the second one finds the settings in the run:
  python launch/launch.py --preset=pong_quick --run_dir=runs/a \\
    --stage=teacher,collect,dataset,offline
  python launch/launch.py --run_dir=runs/a --stage=online,evaluate,report

  # Another seed, and other settings:
  python launch/launch.py --preset=pong_quick --seed=1 --set agent.n_step=5

  # Another method of docs/methods.md:
  python launch/launch.py --preset=pong_quick --method=kickstarting

  # The online stage with four actors, each role a process of its own:
  python launch/launch.py --run_dir=runs/a --stage=online --num_actors=4

  # Logs of your own instead of the collect stage:
  python launch/launch.py --preset=pong_quick --set logs.path=/data/Pong/1
"""


_FLAGS = {
    'stage': (
        f"Stages to run, with commas between them, or '{_ALL}', which is the"
        ' default. They run in the order of the pipeline, however they are'
        ' written.'
    ),
    'preset': (
        'Settings to start a run with. Without it, --run_dir names a run that'
        ' exists, and its settings are used.'
    ),
    'method': (
        "The student's method, at the scale of the preset, instead of the"
        " preset's own; docs/methods.md describes them all."
    ),
    'set': (
        'One setting as group.name=value; may be given several times. The'
        ' config.json in a run directory shows all settings there are.'
    ),
    'run_dir': (
        'Where the run is kept; if it is not given,'
        ' runs/<preset>_seed<seed>, or runs/<preset>_<method>_seed<seed>.'
    ),
    'seed': "Seed of the run; the preset's if it is not given.",
    'num_actors': (
        'Runs the online stage as processes of their own: a replay server, the'
        ' learner, an evaluator and so many actors. Without it, one process'
        ' acts and learns in turn, and can be repeated exactly.'
    ),
    'role': (
        'Runs one of these processes only, of the run in --run_dir: replay,'
        ' learner, actor or evaluator; docs/distributed.md says how.'
    ),
    'replay_address': 'HOST:PORT of the replay server, for --role.',
    'agent': 'Which agent --role is for: student, or tabula_rasa.',
    'actor_index': 'Tells the actors of --role=actor apart: 0, 1, …',
    'help': 'Shows this text.',
}


def define_flags() -> flags.FlagValues:
  """Returns the flags, apart from those that libraries add to absl's own."""
  values = flags.FlagValues()
  flags.DEFINE_list('stage', [_ALL], _FLAGS['stage'], flag_values=values)
  flags.DEFINE_string('preset', None, _FLAGS['preset'], flag_values=values)
  flags.DEFINE_string('method', None, _FLAGS['method'], flag_values=values)
  flags.DEFINE_multi_string('set', [], _FLAGS['set'], flag_values=values)
  flags.DEFINE_string('run_dir', None, _FLAGS['run_dir'], flag_values=values)
  flags.DEFINE_integer(
      'seed', None, _FLAGS['seed'], lower_bound=0, flag_values=values
  )
  flags.DEFINE_integer(
      'num_actors',
      None,
      _FLAGS['num_actors'],
      lower_bound=1,
      flag_values=values,
  )
  flags.DEFINE_enum(
      'role', None, online_roles.ROLES, _FLAGS['role'], flag_values=values
  )
  flags.DEFINE_string(
      'replay_address', None, _FLAGS['replay_address'], flag_values=values
  )
  flags.DEFINE_string('agent', 'student', _FLAGS['agent'], flag_values=values)
  flags.DEFINE_integer(
      'actor_index',
      0,
      _FLAGS['actor_index'],
      lower_bound=0,
      flag_values=values,
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
    0, also after a SIGTERM that was followed in order; 2 after an error of the
    user, which is one line on standard error; 130 after Ctrl-C.
  """
  argv = list(sys.argv if argv is None else argv)

  def program() -> int:
    try:
      return _main(argv)
    except stopping.Stopped as stopped:
      print('stopped; the same command goes on from here', file=sys.stderr)
      if stopped.signal_number == signal.SIGTERM:
        return 0
      return user_errors.INTERRUPTED

  return user_errors.run(program)


def _main(argv: Sequence[str]) -> int:
  values = define_flags()
  rest = values(argv)[1:]
  if values.help:
    print(help_text())
    return 0
  if rest:
    raise ValueError(f'expected only flags, got {rest[0]!r}; see --help')
  if values.role:
    return _run_role(values)
  stages = select_stages(values.stage)
  if values.num_actors:
    stages = [_with_actors(stage, values.num_actors) for stage in stages]
  _prepare_libraries()
  config = run_config.make(
      values.preset, values.run_dir, values.set, values.seed, values.method
  )
  name = '_'.join(filter(None, (values.preset, values.method)))
  run = run_directory.RunDirectory(
      pathlib.Path(values.run_dir or f'runs/{name}_seed{config.seed}')
  )
  with run.lock():
    run.sweep()
    run_config.settle(run, config, command_line.command(argv))
    for stage in stages:
      done = stages_lib.run_stage(stage, config, run, say=_say)
      if stage.name == 'report':
        _say(f'Report: {run.root / done["outputs"]["html"]}')
  return 0


def _run_role(values: flags.FlagValues) -> int:
  """Runs one process of the online stage."""
  for name in ('preset', 'method', 'seed', 'set', 'num_actors'):
    if values[name].value:
      raise ValueError(
          f'--role goes on with the run in --run_dir and takes no --{name}'
      )
  _prepare_libraries()
  config = run_config.make(None, values.run_dir, [], None)
  online_roles.run_role(
      values.role,
      run_directory.RunDirectory(pathlib.Path(values.run_dir)),
      config,
      values.agent,
      values.replay_address,
      values.actor_index,
  )
  return 0


def _with_actors(stage: stages_lib.Stage, num_actors: int) -> stages_lib.Stage:
  """The stage as several processes, if it is the one that can be."""
  if stage.name != 'online':
    return stage
  return dataclasses.replace(
      stage,
      run=lambda context: online_roles.online(context, num_actors, _say),
  )


def help_text() -> str:
  """Returns what --help prints."""
  lines = [__doc__.strip(), '', *command_line.flag_lines(_FLAGS)]
  for title, entries in (
      ('Stages', {stage.name: stage.summary for stage in pipeline.STAGES}),
      ('Presets', {n: preset.summary for n, preset in presets.PRESETS.items()}),
  ):
    lines += ['', f'{title}:']
    for name, summary in entries.items():
      lines.extend(textwrap.wrap(
          f'  {name:<12} {summary}', 79, subsequent_indent=' ' * 15
      ))
  return '\n'.join(lines + ['', 'Examples:', _EXAMPLES.rstrip()])


def select_stages(names: Sequence[str]) -> list[stages_lib.Stage]:
  """Returns the named stages in the order of the pipeline.

  Raises:
    ValueError: no name, or one that is none of a stage.
  """
  known = {stage.name: stage for stage in pipeline.STAGES}
  if not names:
    raise ValueError(f'--stage is empty; it takes {", ".join(known)} or {_ALL}')
  for name in names:
    if name != _ALL and name not in known:
      raise ValueError(
          f'no stage is called {name!r}{settings.near_misses(name, known)}; the'
          f' stages are {", ".join(known)} and {_ALL}'
      )
  return [s for s in pipeline.STAGES if _ALL in names or s.name in names]


def _say(line: str) -> None:
  print(line, flush=True)


def _prepare_libraries() -> None:
  # TensorFlow's start-up messages are about graphics cards; its errors also
  # come as Python exceptions.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  # Acme reads a flag of its own, which fails while absl's flags are unparsed.
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()


if __name__ == '__main__':
  sys.exit(main())
