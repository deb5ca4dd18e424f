"""The files of a recording: whole episodes of one environment.

    DIR/recording.json             what is recorded, written once
    DIR/episode-000-00000000.npz   the first episode of writer 0
    DIR/episode-000-00000001.npz   its second
    DIR/episode-001-00000000.npz   the first episode of writer 1
    DIR/.lock-000                  held by the process that is writer 0

The episodes are those of `episode_archive`. A file whose name begins as
temporary files do was being written when its process was killed.
"""

import dataclasses
import json
import os
import re
from typing import Any, Mapping, Optional

import numpy as np

from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import bounds as bounds_lib
from rrl_pipeline.logs import episode_archive
from rrl_pipeline.logs import reader

DESCRIPTION_FILE = 'recording.json'

_FORMAT = 'rrl_pipeline recording'
_VERSION = 1
_EPISODE_NAME = re.compile(r'episode-(\d{3,})-(\d{8,})\.npz')


@dataclasses.dataclass(frozen=True)
class Array:
  """Shape and dtype of what is recorded at each step.

  Attributes:
    shape: of one observation, action or reward.
    dtype: as `numpy.dtype` says it, for example 'uint8'.
  """

  shape: tuple[int, ...]
  dtype: str

  def __post_init__(self):
    try:
      dtype = np.dtype(self.dtype)
    except TypeError as error:
      raise ValueError(
          f'the dtype is {self.dtype!r}; expected one of NumPy, such as uint8'
      ) from error
    if dtype.kind not in 'biuf':
      raise ValueError(
          f'the dtype is {self.dtype!r}; a recording holds numbers only'
      )

  def __str__(self) -> str:
    return f'{self.dtype} {self.shape}'


@dataclasses.dataclass(frozen=True)
class Description:
  """What a recording holds.

  Attributes:
    observation: of the environment; single frames, not stacks of them.
    action: of the agent.
    reward: of the environment, as it gave it: nothing is clipped.
    metadata: of the environment and of who acts in it, as JSON.
    bounds: of the observations, if the environment declares any.
  """

  observation: Array
  action: Array
  reward: Array
  metadata: Mapping[str, Any]
  bounds: Optional[bounds_lib.Bounds] = None

  def arrays(self) -> dict[str, Array]:
    """The recorded arrays by their names in the files."""
    return {
        episode_archive.OBSERVATIONS: self.observation,
        episode_archive.ACTIONS: self.action,
        episode_archive.REWARDS: self.reward,
    }

  def to_json(self) -> str:
    fields = dataclasses.asdict(self)
    del fields['bounds']
    if self.bounds is not None:
      fields['bounds'] = self.bounds.to_json_value()
    return json.dumps(
        {'format': _FORMAT, 'version': _VERSION, **fields},
        indent=2,
        sort_keys=True,
    )


def episode_name(writer: int, episode: int) -> str:
  """The file name of a writer's episode."""
  return f'episode-{writer:03d}-{episode:08d}.npz'


def own_part(writer: int) -> str:
  """What is in the name of every temporary file of a writer."""
  return f'-episode-{writer:03d}-'


def parse_name(name: str) -> tuple[int, int] | None:
  """The writer and the number of an episode file; None for other names."""
  match = _EPISODE_NAME.fullmatch(name)
  if match is None:
    return None
  numbers = int(match[1]), int(match[2])
  return numbers if episode_name(*numbers) == name else None


def is_temporary(name: str) -> bool:
  """Whether a file is what a killed process left behind."""
  return name.startswith(atomic.TEMPORARY_PREFIX)


def lock_path(directory: str, writer: int) -> str:
  return os.path.join(directory, f'.lock-{writer:03d}')


def read_description(directory: str) -> Description:
  """Reads what a recording says about itself.

  Raises:
    reader.LogError: if the file is missing or damaged.
  """
  path = os.path.join(directory, DESCRIPTION_FILE)
  try:
    with open(path, 'rb') as file:
      fields = json.loads(file.read())
    if fields.pop('format') != _FORMAT:
      raise KeyError('format')
    version = fields.pop('version')
    if version == _VERSION:
      arrays = {
          name: Array(tuple(map(int, fields[name]['shape'])),
                      fields[name]['dtype'])
          for name in ('observation', 'action', 'reward')
      }
      bounds = fields.get('bounds')
      return Description(
          **arrays,
          metadata=dict(fields['metadata']),
          bounds=bounds and bounds_lib.Bounds.from_json_value(bounds),
      )
  except FileNotFoundError as error:
    raise reader.LogError(
        f'{directory} holds no recording: {DESCRIPTION_FILE} is missing'
    ) from error
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise reader.LogError(
        f'{path} is damaged, or not that of a recording '
        f'({type(error).__name__}: {error}); copy it again from where it was '
        'written'
    ) from error
  raise reader.LogError(
      f'{path} is of version {version} of the format; this program knows '
      f'version {_VERSION}: update it'
  )
