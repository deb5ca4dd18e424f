"""The configurations of all environments.

Each has, beside its own settings: `kind`; `task`, the name under which scores
are kept and compared; `frame_skip`, frames of the environment per agent step;
`stack_size`, frames in one observation of an agent; `max_episode_steps`; and
`reward_limit`, the absolute value to which agents clip rewards when they learn,
None for not at all.
"""

from typing import Any, Mapping, Union

from rrl_pipeline import settings
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import minatar

EnvironmentConfig = Union[
    atari.AtariConfig, minatar.MinAtarConfig, balloon_config.BalloonConfig
]


def to_json(config: EnvironmentConfig) -> dict[str, Any]:
  """The settings as a JSON object, their `kind` among them."""
  return settings.to_json_value(config)


def from_json(value: Mapping[str, Any]) -> EnvironmentConfig:
  """The settings that `to_json` wrote.

  Raises:
    ValueError: they are not settings of an environment that is known here.
  """
  return settings.from_json_value(EnvironmentConfig, value)
