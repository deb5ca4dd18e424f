"""Imports teachers of other projects, and says what a bundle is.

  rrl-teacher import --game Pong --output DIR CHECKPOINTS

makes a teacher bundle of an agent of Dopamine (JAX or TensorFlow) or CleanRL,
which rrl-launch takes with --set teacher.bundle=DIR, and

  rrl-teacher describe DIR

says what a bundle sees and does, what it scored and where it is from.
"""

import argparse
import os
import shlex
import sys
from typing import Iterator, Optional, Sequence

from rrl_pipeline.launch import user_errors

_AUTO = 'auto'
# Those of teachers/foreign_formats.py and teachers/foreign_network.py, which
# import TensorFlow: --help shall not wait for it.
FORMATS = ('dopamine_tf', 'dopamine_jax', 'cleanrl')
ALGORITHMS = ('dqn', 'c51', 'quantile', 'iqn')


def _make_parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog='rrl-teacher',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
  )
  commands = parser.add_subparsers(
      title='commands', metavar='COMMAND', required=True
  )

  def add(name: str, run, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False
    )
    command.set_defaults(run=run)
    return command

  command = add('import', _import, 'make a bundle of an agent')
  command.add_argument(
      'path', metavar='PATH',
      help='ckpt.N or tf_ckpt-N of Dopamine, *.cleanrl_model of CleanRL, or '
      'the folder that holds such files',
  )
  command.add_argument(
      '--game', required=True,
      help="that it was trained on, such as 'Pong' or 'SpaceInvaders'",
  )
  command.add_argument(
      '--output', required=True, help='folder of the bundle to make'
  )
  command.add_argument(
      '--format', choices=(_AUTO, *FORMATS), default=_AUTO,
      help='of the files (told by their names)',
  )
  command.add_argument(
      '--algorithm', choices=(_AUTO, *ALGORITHMS), default=_AUTO,
      help='of the agent (told by its layers)',
  )
  command.add_argument(
      '--v_max', type=float, default=10.0,
      help="greatest of C51's atoms, where the files do not hold them (10)",
  )
  command.add_argument(
      '--evaluate_episodes', type=int, default=10, metavar='N',
      help='episodes to play for its score (10)',
  )
  command.add_argument(
      '--set', action='append', default=[], metavar='NAME=VALUE',
      help='a setting of the environment, such as sticky_actions=0; may be '
      'repeated',
  )
  command.add_argument(
      '--seed', type=int, default=0, help='of the episodes (0)'
  )
  command = add('describe', _describe, 'what a bundle is')
  command.add_argument(
      'bundle', metavar='DIR',
      help='folder of a bundle, or the name of one of this package',
  )
  return parser


def _import(flags: argparse.Namespace, command: str) -> Iterator[str]:
  # pylint: disable=g-import-not-at-top
  from rrl_pipeline import overrides
  from rrl_pipeline.environments import atari
  from rrl_pipeline.training import teacher_import

  environment = overrides.apply(atari.AtariConfig(game=flags.game), flags.set)
  return teacher_import.import_teacher(
      teacher_import.ImportConfig(
          path=flags.path,
          output=flags.output,
          environment=environment,
          format=None if flags.format == _AUTO else flags.format,
          algorithm=None if flags.algorithm == _AUTO else flags.algorithm,
          v_max=flags.v_max,
          evaluate_episodes=flags.evaluate_episodes,
          seed=flags.seed,
      ),
      command,
  )


def _describe(flags: argparse.Namespace, command: str) -> Iterator[str]:
  # pylint: disable=g-import-not-at-top
  from rrl_pipeline.teachers import bundle
  from rrl_pipeline.teachers import bundle_text

  del command
  return bundle_text.describe(bundle.read(bundle.find(flags.bundle)))


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program.

  Args:
    argv: the command line without the program's name; sys.argv's if None.

  Returns:
    0; 2 after an error of the user, which is one line on standard error; 130
    after Ctrl-C.
  """
  argv = sys.argv[1:] if argv is None else argv
  flags = _make_parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

  def program() -> int:
    for line in flags.run(flags, shlex.join(['rrl-teacher', *argv])):
      print(line, flush=True)
    return 0

  return user_errors.run(
      program, 'interrupted; the same command may be given again'
  )


if __name__ == '__main__':
  sys.exit(main())
