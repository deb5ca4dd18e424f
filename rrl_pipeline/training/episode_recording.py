"""Records the episodes that an agent plays while it trains."""

import contextlib
import os
from typing import Iterator

import dm_env

from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import recording
from rrl_pipeline.logs import recorder


@contextlib.contextmanager
def recorded(
    environment: environment_lib.Environment,
    config: environment_config_lib.EnvironmentConfig,
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
          'environment': environment_config_lib.to_json(config),
          'action_meanings': list(environment.action_meanings),
          'agent': agent,
          'seed': seed,
      },
  )
  with recorder.RecordingWriter(os.fspath(directory), description) as writer:
    writer.truncate(num_episodes)
    yield recording.RecordingEnvironment(
        environment, writer, lambda played: played.episode_facts
    )
