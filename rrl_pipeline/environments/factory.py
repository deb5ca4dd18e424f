"""Makes the environment that a configuration describes."""

import functools

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as config_lib
from rrl_pipeline.environments import environment
from rrl_pipeline.replay import stacks


def make(
    config: config_lib.EnvironmentConfig, seed: int
) -> environment.Environment:
  """An environment whose episodes are determined by `seed` and their number."""
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
