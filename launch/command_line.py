"""What programs with absl's flags share: their help and their command line."""

import pathlib
import shlex
import textwrap
from typing import Iterator, Mapping, Sequence


def flag_lines(texts: Mapping[str, str]) -> Iterator[str]:
  """The lines of --help on the flags, from what each of them does."""
  yield 'Flags:'
  for name, text in texts.items():
    yield f'  --{name}'
    yield from textwrap.wrap(
        text, 79, initial_indent=' ' * 6, subsequent_indent=' ' * 6
    )


def command(argv: Sequence[str]) -> str:
  """The command line to type into a shell, from the program's arguments."""
  program = pathlib.Path(argv[0])
  if program.suffix == '.py':
    return shlex.join(['python', *argv])
  return shlex.join([program.name, *argv[1:]])
