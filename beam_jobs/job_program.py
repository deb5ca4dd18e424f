"""Runs the program of a job: its flags, its errors, its exit code."""

import argparse
import logging
from typing import Any, Callable, Mapping, Optional, Sequence

from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import job_flags
from rrl_pipeline.beam_jobs import work_directory


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
