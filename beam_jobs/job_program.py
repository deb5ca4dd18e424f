"""Runs the program of a job: its flags, its errors, its exit code."""

import argparse
import logging
from typing import Any, Callable, Mapping, Optional, Sequence

from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import job_flags
from rrl_pipeline.beam_jobs import work_directory


def make_parser(description: str) -> argparse.ArgumentParser:
  """A parser for the flags of a program, which its docstring describes."""
  return argparse.ArgumentParser(
      description=description,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
  )


def make_derivation_parser(description: str) -> argparse.ArgumentParser:
  """The same for a job that makes a dataset of a dataset."""
  parser = make_parser(description)
  parser.add_argument(
      '--dataset',
      required=True,
      help='version folder of a dataset, DATA_DIR/NAME/CONFIG/VERSION',
  )
  parser.add_argument(
      '--data_dir',
      required=True,
      help='folder of TFDS datasets to write into; may be that of the source',
  )
  return parser


def run(
    parser: argparse.ArgumentParser,
    job: Callable[[Mapping[str, Any], Sequence[str]], object],
    argv: Optional[Sequence[str]],
) -> int:
  """Runs a program; returns its exit code.

  Args:
    parser: of its own flags; the others go to Beam.
    job: given the flags by name and Beam's flags, returns a summary to print.
    argv: the command line; that of the process if None.
  """
  flags, pipeline_args = job_flags.parse(parser, argv)
  logging.basicConfig(level=logging.WARNING)
  try:
    summary = job(vars(flags), pipeline_args)
  except (
      ValueError,
      OSError,
      work_directory.BusyError,
      finalize.ReconciliationError,
      execution.BeamJobError,
  ) as error:
    execution.say(f'error: {error}')
    return 1
  except KeyboardInterrupt:
    execution.say('interrupted; the same command again goes on from here')
    return 130
  print(summary)
  return 0
