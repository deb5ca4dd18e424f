"""Flags of programs that run Beam jobs."""

import argparse
import difflib
from typing import Optional, Sequence


def parse(
    parser: argparse.ArgumentParser, argv: Optional[Sequence[str]] = None
) -> tuple[argparse.Namespace, list[str]]:
  """The values of the program's own flags, and the other flags: Beam's.

  Beam ignores flags that it does not know, so that a slip of the pen would go
  unseen: the program ends if another flag is almost one of its own.
  """
  flags, pipeline_args = parser.parse_known_args(argv)
  ours = [f'--{name}' for name in vars(flags)]
  for arg in pipeline_args:
    similar = difflib.get_close_matches(arg.split('=')[0], ours, cutoff=0.85)
    if similar:
      parser.error(f'unknown flag {arg}; did you mean {similar[0]}?')
  return flags, pipeline_args
