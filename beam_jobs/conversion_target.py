"""Which dataset a log becomes, and how its observations are stored there."""

import dataclasses
import re
from typing import Any, Mapping, Optional

from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import validation

# What the writers of recordings say of them.
_ENVIRONMENT = 'environment'
_ACTION_MEANINGS = 'action_meanings'
_AGENT = 'agent'


@dataclasses.dataclass(frozen=True)
class ConversionTarget:
  """What a conversion makes of a log.

  Attributes:
    dataset: its configuration and features.
    num_actions: how many actions the environment has.
    compressor: of PNG; None if nothing becomes PNG.
    stack_size: frames that the agent stacked; 1 if none.
    reason: why it is this dataset, one sentence.
  """

  dataset: replay_datasets.ReplayDataset
  num_actions: int
  compressor: Optional[str]
  stack_size: int
  reason: str

  def limits(self, index: reader.LogIndex) -> validation.Limits:
    """What episodes of a log are held against."""
    return validation.Limits(
        self.num_actions,
        self.stack_size,
        index.ends_marked,
        frames=self.dataset.observation.is_frame,
    )


def choose(
    config: conversion_config.BuildRldsConfig, index: reader.LogIndex
) -> ConversionTarget:
  """What becomes of a log.

  Raises:
    reader.LogError: if its observations do not fit the dataset.
    ValueError: if it cannot be told which dataset that is, what its
      configuration is called or how many actions there are.
  """
  dataset, reason = _choose_dataset(config, index)
  shape, dtype = index.frame_shape, index.frame_dtype
  if dataset == replay_datasets.ATARI and shape != schema.ATARI_FRAME_SHAPE:
    raise reader.LogError(
        f'the frames of {config.log_dir} are {shape}; {dataset} holds frames '
        f'of {schema.ATARI_FRAME_SHAPE}. Give another name with --dataset'
    )
  observation = observations.ObservationFormat(
      shape,
      config.frame_encoding or observations.default_encoding(shape, dtype),
      dtype,
  )
  name = _name(config, dataset, index.metadata)
  compressor = None
  if observation.encoding == schema.PNG:
    compressor = config.png_compressor
    if compressor == conversion_config.AUTO:
      compressor = png.default_compressor()
  return ConversionTarget(
      dataset=replay_datasets.ReplayDataset(
          dataset,
          str(
              replay_datasets.ConfigName(
                  name, config.run, observation.encoding == schema.RAW
              )
          ),
          observation,
      ),
      num_actions=_num_actions(config, dataset, index.metadata),
      compressor=compressor,
      stack_size=config.stack_size if observation.is_frame else 1,
      reason=reason,
  )


def _choose_dataset(
    config: conversion_config.BuildRldsConfig, index: reader.LogIndex
) -> tuple[str, str]:
  """The name of the dataset, and why."""
  if config.dataset != conversion_config.AUTO:
    return config.dataset, f'The dataset is {config.dataset}, as asked for.'
  kind = _environment(index.metadata).get('kind')
  if kind in replay_datasets.OF_KIND:
    dataset = replay_datasets.OF_KIND[kind]
    return dataset, (
        f'The dataset is {dataset}: the log says that its environment is of '
        f'the kind {kind!r}.'
    )
  if observations.is_frame(index.frame_shape, index.frame_dtype):
    return replay_datasets.ATARI, (
        f'The dataset is {replay_datasets.ATARI}: the log holds frames '
        f'{index.frame_shape}.'
    )
  raise ValueError(
      f'{config.log_dir} holds observations {index.frame_dtype} '
      f'{index.frame_shape} of an environment that is not known; give a name '
      'to the dataset, as in --dataset=cartpole_replay'
  )


def _name(
    config: conversion_config.BuildRldsConfig,
    dataset: str,
    metadata: Mapping[str, Any],
) -> str:
  """What the configuration is named after."""
  if dataset == replay_datasets.ATARI:
    return config.name or config.game
  if config.name:
    return config.name
  if dataset == replay_datasets.MINATAR:
    found = _environment(metadata).get('game')
  else:
    found = metadata.get(_AGENT)
  if not isinstance(found, str) or not found:
    raise ValueError(
        f'the log in {config.log_dir} does not say whose it is; name it, as '
        'in --name=Breakout for a game or --name=my_agent for an agent'
    )
  return re.sub(r'\W+', '_', found, flags=re.ASCII)


def _num_actions(
    config: conversion_config.BuildRldsConfig,
    dataset: str,
    metadata: Mapping[str, Any],
) -> int:
  """How many actions the environment has."""
  if config.num_actions is not None:
    return config.num_actions
  if dataset == replay_datasets.ATARI:
    return _num_actions_of_game(config.name or config.game)
  meanings = metadata.get(_ACTION_MEANINGS)
  if not isinstance(meanings, list) or not meanings:
    raise ValueError(
        f'the log in {config.log_dir} does not say how many actions there '
        f'are; give --num_actions, or {_ACTION_MEANINGS!r}, a list of names, '
        'in the metadata of the recording'
    )
  return len(meanings)


def _num_actions_of_game(game: str) -> int:
  try:
    return factory.interface(atari.AtariConfig(game=game)).num_actions
  except ValueError as error:
    raise ValueError(
        f'how many actions has the game {game}? The Arcade Learning '
        'Environment does not know it; give --num_actions'
    ) from error


def _environment(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
  """What a log says of its environment; empty if nothing."""
  found = metadata.get(_ENVIRONMENT)
  return found if isinstance(found, Mapping) else {}
