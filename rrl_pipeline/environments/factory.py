"""Makes the environment that a configuration describes."""

import functools

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import config as config_lib
from rrl_pipeline.environments import environment
from rrl_pipeline.environments import minatar
from rrl_pipeline.replay import stacks


def make(
    config: config_lib.EnvironmentConfig, seed: int
) -> environment.Environment:
  """An environment whose episodes are determined by `seed` and their number.

  Raises:
    ValueError: there is no such environment, or its packages are not installed.
  """
  # pylint: disable=g-import-not-at-top
  if isinstance(config, balloon_config.BalloonConfig):
    from rrl_pipeline.environments import balloon
    return balloon.BalloonEnvironment(config, seed)
  if isinstance(config, minatar.MinAtarConfig):
    return minatar.MinAtarEnvironment(config, seed)
  return atari.AtariEnvironment(config, seed)


@functools.lru_cache
def interface(config: config_lib.EnvironmentConfig) -> environment.Interface:
  """What an agent sees and does in the environment that `config` describes."""
  made = make(config, seed=0)
  frame = made.observation_spec()
  return environment.Interface(
      frame=frame,
      observation_shape=stacks.stacked_shape(frame.shape, config.stack_size),
      action_meanings=made.action_meanings,
  )
