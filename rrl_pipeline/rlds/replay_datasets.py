"""The datasets of replay logs: their names, and what each of them holds.

A dataset is named after what plays in it, `<what>_replay`. Three are known:
`atari_replay`, `minatar_replay` and `balloon_replay`. Any other name is a
dataset of the user's own environment. A configuration, `<name>_run_<number>`, is
one log: of one game, or by one agent.
"""

import dataclasses
import re
from typing import Optional

import tensorflow_datasets as tfds

from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import schema

ATARI = schema.ATARI_DATASET
MINATAR = 'minatar_replay'
BALLOON = 'balloon_replay'
# By the kind of the environment, as its configuration says.
OF_KIND = {'atari': ATARI, 'minatar': MINATAR, 'balloon': BALLOON}
# Datasets whose configurations are named after games.
OF_GAMES = (ATARI, MINATAR)

# Things of how many kinds a game of MinAtar shows, each in a channel.
MINATAR_CHANNELS = {
    'Asterix': 4,
    'Breakout': 4,
    'Freeway': 7,
    'Seaquest': 10,
    'SpaceInvaders': 6,
}
_BALLOON_FEATURES = 1099  # 16 of the balloon, 3 of each of 361 wind levels.

_NAME = re.compile(r'[a-z][a-z0-9]*(_[a-z0-9]+)*')
_CONFIG = re.compile(
    r'(?P<name>[A-Za-z][A-Za-z0-9_]*)_run_(?P<run>\d+)(_(?P<encoding>raw))?'
)


def check_name(dataset: str) -> None:
  """Raises ValueError unless a dataset can have this name."""
  if not _NAME.fullmatch(dataset):
    raise ValueError(
        f'the dataset is named {dataset!r}; expected lower case and '
        'underscores, as in cartpole_replay'
    )


@dataclasses.dataclass(frozen=True)
class ConfigName:
  """The name of a configuration in its parts.

  Attributes:
    name: of a game or an agent.
    run: number of the log.
    is_raw: whether observations are stored raw.
  """

  name: str
  run: int
  is_raw: bool = False

  def __str__(self) -> str:
    return f'{self.name}_run_{self.run}' + (
        f'_{schema.RAW}' if self.is_raw else ''
    )


def parse_config(dataset: str, config: str) -> Optional[ConfigName]:
  """The parts of a configuration's name; None if it is of another form."""
  pattern = schema.CONFIG_NAME_PATTERN if dataset in OF_GAMES else _CONFIG
  match = pattern.fullmatch(config)
  if match is None:
    return None
  name = match['game'] if dataset in OF_GAMES else match['name']
  return ConfigName(name, int(match['run']), bool(match['encoding']))


@dataclasses.dataclass(frozen=True)
class ReplayDataset:
  """A configuration of a dataset and what its steps hold.

  Attributes:
    name: of the dataset, as in 'balloon_replay'.
    config: name of the configuration, as in 'Perciatelli44_run_1'.
    observation: of a step.
  """

  name: str
  config: str
  observation: observations.ObservationFormat

  def __post_init__(self):
    check_name(self.name)
    parts = parse_config(self.name, self.config)
    if parts is None:
      example = 'SpaceInvaders' if self.is_of_games else 'my_agent'
      raise ValueError(
          f'the configuration of {self.name} is named {self.config!r}; '
          f'expected <name>_run_<number>, as in {example}_run_1'
      )
    if self.name == MINATAR and parts.name not in MINATAR_CHANNELS:
      raise ValueError(
          f'MinAtar has no game {parts.name!r}; expected one of '
          f'{", ".join(MINATAR_CHANNELS)}'
      )
    known = known_observation(self.name, parts.name)
    found = self.observation.shape, self.observation.dtype
    if known not in (None, found):
      raise ValueError(
          f'the observations are {self.observation}; {self.name}/{self.config} '
          f'holds {known[1]} {known[0]}. Give another name with --dataset'
      )

  @property
  def is_of_games(self) -> bool:
    """Whether configurations are named after games."""
    return self.name in OF_GAMES

  @property
  def holds_metadata(self) -> bool:
    """Whether an episode holds what else the log says of it."""
    return self.name != ATARI

  def features(self) -> tfds.features.FeaturesDict:
    """The features of TFDS."""
    if self.name == ATARI:
      return schema.atari_features(self.observation.encoding)
    return self.observation.features()


def known_observation(
    dataset: str, name: str
) -> Optional[tuple[tuple[int, ...], str]]:
  """Shape and dtype of the observations of a known dataset.

  Args:
    dataset: its name.
    name: first part of the configuration's name: for MinAtar the game.

  Returns:
    None if the dataset, or the game, is not known.
  """
  if dataset == ATARI:
    return schema.ATARI_FRAME_SHAPE, 'uint8'
  if dataset == BALLOON:
    return (_BALLOON_FEATURES,), 'float32'
  if dataset == MINATAR and name in MINATAR_CHANNELS:
    return (10, 10, MINATAR_CHANNELS[name]), 'uint8'
  return None


def known_dataset(dataset: str, config: str) -> Optional[ReplayDataset]:
  """A configuration of a known dataset; None if it has no such."""
  parts = parse_config(dataset, config)
  known = parts and known_observation(dataset, parts.name)
  if not known:
    return None
  shape, dtype = known
  encoding = (
      schema.RAW
      if parts.is_raw
      else observations.default_encoding(shape, dtype)
  )
  return ReplayDataset(
      dataset, config, observations.ObservationFormat(shape, encoding, dtype)
  )
