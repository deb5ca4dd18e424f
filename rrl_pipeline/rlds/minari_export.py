"""Writes an RLDS dataset as a Minari dataset, for users of Gymnasium.

An RLDS episode of N steps becomes a Minari episode of N - 1 steps and N
observations; RLDS's last step holds only the last observation. Every array is
kept exactly, and read back with Minari's own reader to prove it.

Images get their channel axis in front, (1, 84, 84): Minari takes (84, 84) for
an image and stores it as JPEG, which changes pixels.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
from typing import Any, Iterator, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from rrl_pipeline.logs import minari_import
from rrl_pipeline.rlds import opening
from rrl_pipeline.rlds import schema

DATA_FORMATS = ('parquet', 'hdf5', 'arrow')
_STEP_FIELDS = (
    schema.OBSERVATION,
    schema.ACTION,
    schema.REWARD,
    schema.IS_LAST,
    schema.IS_TERMINAL,
)
_ID_PATTERN = re.compile(r'([-\w]+/)*[-\w]+-v\d+')
# More than any episode has.
_MAX_STEPS = 1 << 24


@dataclasses.dataclass(frozen=True)
class ExportConfig:
  """What to export.

  Attributes:
    dataset_dir: version folder of a TFDS dataset in the RLDS schema.
    dataset: id of the Minari dataset to make, such as 'pong/teacher-v0'. It
      appears among Minari's datasets on this machine, where
      MINARI_DATASETS_PATH says.
    num_actions: that the environment has.
    split: of the TFDS dataset, as in 'train[:10%]'.
    data_format: of Minari: 'parquet' takes about a hundredth of the room of
      the others for Atari frames and is read more slowly.
  """

  dataset_dir: str
  dataset: str
  num_actions: int
  split: str = 'all'
  data_format: str = DATA_FORMATS[0]

  def __post_init__(self):
    if not _ID_PATTERN.fullmatch(self.dataset):
      raise ValueError(
          f'the id of the Minari dataset is {self.dataset!r}; expected a name '
          "with a version, such as 'pong/teacher-v0'"
      )
    if self.num_actions < 1:
      raise ValueError(
          f'num_actions is {self.num_actions}; expected at least 1'
      )
    if self.data_format not in DATA_FORMATS:
      raise ValueError(
          f'data_format is {self.data_format!r}; expected one of '
          f'{", ".join(DATA_FORMATS)}'
      )


@dataclasses.dataclass(frozen=True)
class Exported:
  """A Minari dataset that was made.

  Attributes:
    dataset: its id.
    path: its folder.
    episodes: in it.
    steps: in it.
    left_out: episodes of a single RLDS step, which has no action.
  """

  dataset: str
  path: str
  episodes: int
  steps: int
  left_out: int

  def __str__(self) -> str:
    return (
        f'{self.dataset}: {self.episodes} episodes, {self.steps} steps in '
        f'{self.path}; {self.left_out} episodes without an action left out'
    )


@dataclasses.dataclass(frozen=True)
class _Episode:
  """An episode as Minari has it: T + 1 observations, T of the others."""

  observations: np.ndarray
  actions: np.ndarray
  rewards: np.ndarray
  terminations: np.ndarray
  truncations: np.ndarray

  def digest(self) -> bytes:
    """Tells it from any other, dtypes included."""
    sha256 = hashlib.sha256()
    for field in dataclasses.fields(self):
      array = np.ascontiguousarray(getattr(self, field.name))
      sha256.update(f'{array.dtype} {array.shape} '.encode())
      sha256.update(array.data)
    return sha256.digest()


class MismatchError(Exception):
  """Minari reads something else than was given to it."""


def export_dataset(config: ExportConfig) -> Exported:
  """Makes a Minari dataset of an RLDS dataset.

  The dataset appears when it is complete and checked.

  Raises:
    ValueError: if the RLDS dataset is missing, damaged or of another schema,
      or if there is a Minari dataset of that id already.
    MismatchError: if what Minari reads is not what it was given.
  """
  minari = minari_import.load_minari()
  # pylint: disable=g-import-not-at-top
  from minari import namespace
  from minari.storage import datasets_root_dir

  builder = _open(config)
  target = pathlib.Path(datasets_root_dir.get_dataset_path(config.dataset))
  if target.exists():
    raise ValueError(
        f'there is a Minari dataset {config.dataset} already, in {target}; '
        'choose another id, such as its next version'
    )
  # Minari does not list hidden folders. One of a killed export is made anew.
  temporary = target.parent / f'.exporting-{target.name}'
  shutil.rmtree(temporary, ignore_errors=True)
  (temporary / 'data').mkdir(parents=True)
  digests, left_out = _write(minari, builder, config, temporary / 'data')
  steps = _verify(minari.MinariDataset(temporary / 'data'), digests)
  name = config.dataset.rpartition('/')[0]
  if name and name not in namespace.list_local_namespaces():
    namespace.create_namespace(name)
  os.rename(temporary, target)
  return Exported(config.dataset, str(target), len(digests), steps, left_out)


def _open(config: ExportConfig) -> tfds.core.DatasetBuilder:
  """The dataset, which has all that is needed."""
  builder = opening.open_builder(config.dataset_dir)
  features = builder.info.features[schema.STEPS].feature
  missing = [name for name in _STEP_FIELDS if name not in features]
  if missing:
    raise ValueError(
        f'the dataset {config.dataset_dir} lacks the step fields '
        f'{", ".join(missing)}'
    )
  try:
    builder.info.splits[config.split]
  except (ValueError, KeyError) as error:
    raise ValueError(
        f'the dataset {config.dataset_dir} has no split {config.split!r}; it '
        f'has {", ".join(builder.info.splits) or "none"}, and all'
    ) from error
  return builder


def _write(
    minari: Any,
    builder: tfds.core.DatasetBuilder,
    config: ExportConfig,
    directory: pathlib.Path,
) -> tuple[list[bytes], int]:
  """Writes Minari's files; returns digests, and how many were left out."""
  # pylint: disable=g-import-not-at-top
  from gymnasium import spaces
  from minari import data_collector
  from minari.dataset import minari_storage

  feature = builder.info.features[schema.STEPS].feature[schema.OBSERVATION]
  shape = _front_channel(np.empty((0, *feature.shape), np.uint8)).shape[1:]
  dtype = np.dtype(feature.np_dtype)
  limits = (0, 255) if dtype == np.uint8 else (-np.inf, np.inf)
  space = spaces.Box(*limits, shape, dtype)
  if minari_storage.is_image_space(space):
    raise ValueError(
        f'Minari would store observations of shape {shape} as JPEG, which is '
        'not exact'
    )
  storage = minari_storage.MinariStorage.new(
      directory,
      observation_space=space,
      action_space=spaces.Discrete(config.num_actions),
      data_format=config.data_format,
  )
  storage.update_metadata({
      'dataset_id': config.dataset,
      'minari_version': minari.__version__,
      'description': f'The TFDS dataset {builder.info.full_name}.',
      'rlds_metadata': json.dumps(dict(builder.info.metadata or {})),
  })
  digests = []
  metadata = []
  left_out = []

  def buffers() -> Iterator[Any]:
    for episode, described in _episodes(builder, config):
      if not len(episode.actions):
        left_out.append(described)
        continue
      digests.append(episode.digest())
      metadata.append(described)
      yield data_collector.EpisodeBuffer(
          **{
              field.name: getattr(episode, field.name)
              for field in dataclasses.fields(episode)
          },
          infos={},
      )

  storage.update_episodes(buffers())
  if not digests:
    raise ValueError(
        f'the dataset {config.dataset_dir} holds no episode with an action'
    )
  storage.update_episode_metadata(metadata)
  made_up = sum(
      bool(described.get(schema.LAST_OBSERVATION_SYNTHETIC))
      for described in metadata
  )
  if made_up:
    storage.update_metadata({
        minari_import.LOSSES: [
            f'the last observation of {made_up} episodes that end in a '
            'terminal state is made up of zeros: the log did not hold it'
        ]
    })
  return digests, len(left_out)


def _episodes(
    builder: tfds.core.DatasetBuilder, config: ExportConfig
) -> Iterator[tuple[_Episode, dict[str, Any]]]:
  """The episodes in order, and what is said of each."""
  dataset = builder.as_dataset(
      split=config.split,
      shuffle_files=False,
      read_config=tfds.ReadConfig(interleave_cycle_length=1),
  )
  try:
    for number, episode in enumerate(dataset):
      steps = episode.pop(schema.STEPS).batch(_MAX_STEPS).get_single_element()
      where = f'episode {number} of {config.dataset_dir}'
      yield (
          _convert(
              {name: steps[name].numpy() for name in _STEP_FIELDS},
              config.num_actions,
              where,
          ),
          {
              name: _plain(value.numpy())
              for name, value in episode.items()
              if value.shape == ()
          },
      )
  except tf.errors.OpError as error:
    raise ValueError(
        f'the dataset {config.dataset_dir} is damaged: '
        f'{error.message.rpartition("}} ")[-1]}; copy it or build it anew'
    ) from error


def _convert(
    steps: Mapping[str, np.ndarray], num_actions: int, where: str
) -> _Episode:
  """RLDS steps [N] → a Minari episode."""
  is_last = steps[schema.IS_LAST]
  if is_last[:-1].any() or not is_last[-1]:
    raise ValueError(f'{where}: is_last is not true of exactly the last step')
  actions = steps[schema.ACTION][:-1].astype(np.int64)
  if len(actions) and not 0 <= actions.min() <= actions.max() < num_actions:
    raise ValueError(
        f'{where}: the actions go from {actions.min()} to {actions.max()}, but '
        f'num_actions is {num_actions}'
    )
  terminal = bool(steps[schema.IS_TERMINAL][-1])
  is_end = np.arange(len(actions)) == len(actions) - 1
  return _Episode(
      observations=_front_channel(steps[schema.OBSERVATION]),
      actions=actions,
      rewards=steps[schema.REWARD][:-1],
      terminations=is_end & terminal,
      truncations=is_end & (not terminal),
  )


def _front_channel(observations: np.ndarray) -> np.ndarray:
  """Images [N, H, W, C] with their channels in front; others as they are."""
  if observations.ndim == 4 and observations.dtype == np.uint8:
    return np.ascontiguousarray(observations.transpose(0, 3, 1, 2))
  return observations


def _plain(value: Any) -> Any:
  """A scalar as Minari's files can hold it."""
  if isinstance(value, bytes):
    return value.decode(errors='replace')
  return value.item() if isinstance(value, np.generic) else value


def _verify(dataset: Any, digests: list[bytes]) -> int:
  """Compares what Minari reads with what it was given; returns its steps."""
  number = steps = 0
  for number, found in enumerate(dataset.iterate_episodes(), start=1):
    episode = _Episode(
        **{
            field.name: np.asarray(getattr(found, field.name))
            for field in dataclasses.fields(_Episode)
        }
    )
    if number > len(digests) or episode.digest() != digests[number - 1]:
      raise MismatchError(
          f'Minari reads episode {number - 1} of {dataset.id} other than it '
          'was written; the dataset was not published'
      )
    steps += len(episode.actions)
  if number != len(digests):
    raise MismatchError(
        f'Minari reads {number} of {len(digests)} episodes of {dataset.id}; '
        'the dataset was not published'
    )
  return steps
