"""Makes the environment that a configuration describes."""

from rrl_pipeline.environments import atari


def make(config: atari.AtariConfig, seed: int) -> atari.AtariEnvironment:
  """An environment whose episodes are determined by `seed` and their number."""
  return atari.AtariEnvironment(config, seed)
