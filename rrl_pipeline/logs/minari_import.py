"""Turns Minari datasets into recordings, which are converted as logs are.

Minari keeps of an episode of T steps T + 1 observations, as recordings do, so
nothing is lost on the way. What Minari itself loses is said: it stores images
as JPEG unless told otherwise.
"""

import dataclasses
import os
import types as python_types
from typing import Any, Iterator, Optional

import numpy as np

from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording_files

# In a Minari dataset's metadata: what it lacks, one sentence each.
LOSSES = 'losses'
_JPEG_LOSS = (
    'Minari stored the observations as JPEG: they differ from those of the '
    'environment, by up to tens of grey levels in single pixels'
)


@dataclasses.dataclass(frozen=True)
class ImportConfig:
  """What to import.

  Attributes:
    dataset: id of a dataset that Minari finds on this machine, such as
      'atari/pong/expert-v0', or its folder.
    recording_dir: directory of the recording to make, or to go on with.
    stack_axis: axis of an observation along which frames are stacked, the
      newest last, of which only that one is kept; None if there is none.
  """

  dataset: str
  recording_dir: str
  stack_axis: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Imported:
  """What a recording holds after an import."""

  directory: str
  episodes: int
  steps: int

  def __str__(self) -> str:
    return f'{self.directory}: {self.episodes} episodes, {self.steps} steps'


def load_minari() -> python_types.ModuleType:
  """The library.

  Raises:
    ValueError: if it is not installed.
  """
  try:
    import minari  # pylint: disable=g-import-not-at-top
  except ImportError as error:
    raise ValueError(
        'Minari datasets need the package minari, which is not installed: pip '
        "install 'minari[hdf5,arrow]>=0.5.3,<0.5.4'"
    ) from error
  return minari


def import_dataset(config: ImportConfig) -> Imported:
  """Records the episodes of a Minari dataset.

  If it is interrupted, calling it again goes on where it was.

  Raises:
    reader.LogError: if there is no such dataset, or it is damaged.
    ValueError: if its spaces are not those of a replay log, or the directory
      holds another recording.
  """
  dataset = _open(config.dataset)
  _check_spaces(dataset, config.dataset)
  first = next(_episodes(dataset, config, 0), None)
  if first is None:
    raise reader.LogError(f'the Minari dataset {config.dataset} is empty')
  description = recording_files.Description(
      observation=recording_files.Array(
          first.observations[0].shape, str(first.observations.dtype)
      ),
      action=recording_files.Array((), 'int64'),
      reward=recording_files.Array((), str(first.rewards.dtype)),
      metadata=_metadata(dataset, config),
  )
  with recorder.RecordingWriter(config.recording_dir, description) as writer:
    for episode in _episodes(dataset, config, writer.num_episodes):
      writer.write(episode)
    return Imported(config.recording_dir, writer.num_episodes, writer.num_steps)


def _open(name: str) -> Any:
  """The dataset of an id or a folder, a `minari.MinariDataset`."""
  minari = load_minari()
  try:
    if os.path.isdir(name):
      data = os.path.join(name, 'data')
      return minari.MinariDataset(data if os.path.isdir(data) else name)
    return minari.load_dataset(name)
  except (ValueError, KeyError, TypeError, OSError, AssertionError) as error:
    raise reader.LogError(
        f'{name} is no Minari dataset on this machine ({error}); give an id '
        "such as 'atari/pong/expert-v0' that `minari list local` shows, or the "
        'folder of a dataset'
    ) from error


def _check_spaces(dataset: Any, name: str) -> None:
  from gymnasium import spaces  # pylint: disable=g-import-not-at-top

  for what, space, wanted in (
      ('observation', dataset.observation_space, spaces.Box),
      ('action', dataset.action_space, spaces.Discrete),
  ):
    if not isinstance(space, wanted):
      raise ValueError(
          f'the {what} space of {name} is {space}; expected a '
          f'{wanted.__name__}: observations are single arrays and actions '
          'single whole numbers'
      )


def _metadata(dataset: Any, config: ImportConfig) -> dict[str, Any]:
  # pylint: disable=g-import-not-at-top
  from minari.dataset import minari_storage

  storage = dataset.storage
  found = storage.metadata
  metadata = {
      'minari': {
          'dataset_id': dataset.id,
          'total_steps': int(dataset.total_steps),
          **{
              name: found[name]
              for name in (
                  'env_spec',
                  'algorithm_name',
                  'code_permalink',
                  'description',
                  'minari_version',
                  'rlds_metadata',
              )
              if isinstance(found.get(name), str)
          },
          'author': sorted(found.get('author', ())),
          'stack_axis': config.stack_axis,
      },
      'rewards': 'as the Minari dataset holds them',
      'losses': list(found.get(LOSSES, ())),
  }
  if minari_storage.is_image_space(dataset.observation_space) and found.get(
      'jpeg_encoding', True  # Minari up to 0.5.3 does not say.
  ):
    metadata['losses'].append(_JPEG_LOSS)
  return metadata


def _episodes(
    dataset: Any, config: ImportConfig, start: int
) -> Iterator[recorder.RecordedEpisode]:
  """The episodes from one of the given number on."""
  numbers = dataset.episode_indices[start:]
  try:
    for number, found in zip(numbers, dataset.iterate_episodes(numbers)):
      where = f'episode {number} of {config.dataset}'
      observations = np.asarray(found.observations)
      if config.stack_axis is not None:
        observations = _newest(observations, config.stack_axis, where)
      yield recorder.RecordedEpisode(
          observations=_without_channel(observations),
          actions=np.asarray(found.actions, np.int64)
          - int(dataset.action_space.start),
          rewards=np.asarray(found.rewards),
          discounts=_discounts(found.terminations, found.truncations, where),
      )
  except reader.LogError:
    raise
  except (KeyError, OSError, AssertionError) as error:
    raise reader.LogError(
        f'the Minari dataset {config.dataset} is damaged '
        f'({type(error).__name__}: {error}); download or make it anew'
    ) from error


def _newest(observations: np.ndarray, axis: int, where: str) -> np.ndarray:
  """The newest frame of each stack [T + 1, ...]."""
  if not 0 <= axis < observations.ndim - 1:
    raise ValueError(
        f'stack_axis is {axis}, but the observations of {where} have the shape '
        f'{observations.shape[1:]}'
    )
  frames = np.moveaxis(observations, axis + 1, 1)
  if not np.array_equal(frames[1:, :-1], frames[:-1, 1:]):
    raise reader.LogError(
        f'{where}: along axis {axis} the observations are no stacks of frames, '
        'the newest last: they do not move on by one frame in each step; give '
        'another stack_axis, or none'
    )
  return frames[:, -1]


def _without_channel(observations: np.ndarray) -> np.ndarray:
  """Grey images [T + 1, H, W] without an axis for their only channel."""
  if observations.dtype == np.uint8 and observations.ndim == 4:
    for axis in (1, 3):
      if observations.shape[axis] == 1:
        return observations.squeeze(axis)
  return observations


def _discounts(
    terminations: np.ndarray, truncations: np.ndarray, where: str
) -> np.ndarray:
  """Discounts [T] as `dm_env` gives them: 0 where a terminal state follows."""
  ended = np.asarray(terminations, bool) | np.asarray(truncations, bool)
  if ended[:-1].any():
    raise reader.LogError(
        f'{where} goes on after its step {int(np.argmax(ended))}, which '
        'terminates or truncates it'
    )
  # An episode without an end is one that its collector did not finish.
  return 1 - np.asarray(terminations, np.float32)
