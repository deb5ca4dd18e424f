"""Records the episodes that an agent plays while it trains."""

import contextlib
import dataclasses
import os
from typing import Iterator

import dm_env

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import recording
from rrl_pipeline.logs import recorder


@contextlib.contextmanager
def recorded(
    environment: atari.AtariEnvironment,
    config: atari.AtariConfig,
    agent: str,
    seed: int,
    directory: str | os.PathLike,
    num_episodes: int,
) -> Iterator[dm_env.Environment]:
  """Gives an environment that is recorded until the block ends.

  Args:
    environment: to be recorded.
    config: that it was made from.
    agent: name of who acts in it.
    seed: of the run.
    directory: of the recording.
    num_episodes: that the run has played so far, as its checkpoint says. Later
      ones, of which the checkpoint does not know, will be played once more.

  Raises:
    ValueError: if the recording holds fewer, or other ones.
  """
  description = recording.describe(
      environment,
      {
          'environment': dataclasses.asdict(config),
          'action_meanings': list(environment.action_meanings),
          'agent': agent,
          'seed': seed,
      },
  )
  with recorder.RecordingWriter(os.fspath(directory), description) as writer:
    writer.truncate(num_episodes)
    yield recording.RecordingEnvironment(environment, writer)
