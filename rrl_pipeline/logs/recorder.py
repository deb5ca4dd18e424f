"""Records whole episodes of any environment, so that runs become datasets.

An episode appears on disk when it is complete, as one file under its final
name. A process that is killed loses the episode it was playing and nothing
else; started again, it goes on with the next number. Several processes record
into one directory if each is a writer of its own number.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import types
from typing import Any, BinaryIO, Mapping, Sequence

import numpy as np

from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import episode_archive as archive
from rrl_pipeline.logs import recording_files as files


class BusyError(Exception):
  """Another process records under the same number."""


@dataclasses.dataclass(frozen=True)
class RecordedEpisode:
  """A complete episode of T ≥ 1 steps.

  Attributes:
    observations: T + 1 arrays, the last one after the last action.
    actions: [T, ...].
    rewards: [T], as the environment gave them.
    discounts: [T] float32; the last one is 0 if the episode ended in a terminal
      state, as in `dm_env`.
    metadata: what else is known of the episode, such as the seed of its
      environment, as JSON.
  """

  observations: Sequence[np.ndarray]
  actions: np.ndarray
  rewards: np.ndarray
  discounts: np.ndarray
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class RecordingWriter:
  """One writer of a recording; a context manager that lets go of its number.

  Attributes:
    description: of the recording.
    num_episodes: that this writer has recorded, in this process and before.
    num_steps: of those episodes.
  """

  def __init__(
      self, directory: str, description: files.Description, writer: int = 0
  ):
    """Begins a recording, or goes on with one.

    Args:
      directory: of the recording; made when it does not exist.
      description: what is recorded; the same for all writers.
      writer: number of this writer, for example the index of an actor.

    Raises:
      BusyError: if another process is this writer at the moment.
      ValueError: if the directory holds a recording of something else.
      reader.LogError: if the recording there is damaged.
    """
    if writer < 0:
      raise ValueError(f'writer is {writer}; expected a number from 0')
    self.description = description
    self._directory = directory
    self._writer = writer
    os.makedirs(directory, exist_ok=True)
    self._lock = _lock(directory, writer)
    try:
      self._remove_leftovers()
      self._publish()
      self._count()
    except BaseException:
      self.close()
      raise

  def __enter__(self) -> 'RecordingWriter':
    return self

  def __exit__(self, *_) -> None:
    self.close()

  def close(self) -> None:
    """Lets another process be this writer."""
    self._lock.close()

  def write(self, episode: RecordedEpisode) -> None:
    """Records an episode; it is on disk when this returns.

    Raises:
      ValueError: if it is not what the description says, or the writer is
        closed.
      OSError: if it cannot be written; nothing of it is then left.
    """
    if self._lock.closed:
      raise ValueError(
          f'writer {self._writer} of {self._directory} is closed already'
      )
    arrays = self._checked(episode)
    header = archive.Header(
        writer=self._writer,
        episode=self.num_episodes,
        first_step=self.num_steps,
        length=len(arrays[archive.ACTIONS]),
        terminal=bool(arrays[archive.DISCOUNTS][-1] == 0),
    )
    _check_metadata(episode.metadata)
    with atomic.replacing(self._path(self.num_episodes)) as file:
      archive.write(file, header, arrays, episode.metadata)
    self.num_episodes += 1
    self.num_steps += header.length

  def truncate(self, num_episodes: int) -> None:
    """Removes this writer's episodes from that number on.

    A run that goes on from a checkpoint plays them once more.

    Raises:
      ValueError: if there are fewer.
    """
    if num_episodes > self.num_episodes:
      raise ValueError(
          f'{self._directory} holds {self.num_episodes} episodes of writer '
          f'{self._writer}, but {num_episodes} were played; restore the '
          'missing ones, or remove what played them and start it afresh'
      )
    # From the last one on: if the process is killed here, no gap is left.
    for episode in reversed(self._numbers()):
      if episode >= num_episodes:
        os.remove(self._path(episode))
    self._count()

  def _path(self, episode: int) -> str:
    return os.path.join(
        self._directory, files.episode_name(self._writer, episode)
    )

  def _numbers(self) -> list[int]:
    """Of this writer's episodes on disk."""
    names = map(files.parse_name, os.listdir(self._directory))
    return sorted(n[1] for n in names if n and n[0] == self._writer)

  def _remove_leftovers(self) -> None:
    """Removes the files that this writer was writing when it was killed."""
    for name in os.listdir(self._directory):
      if files.is_temporary(name) and files.own_part(self._writer) in name:
        os.remove(os.path.join(self._directory, name))

  def _publish(self) -> None:
    """Writes the description, or checks that the one there is the same."""
    path = os.path.join(self._directory, files.DESCRIPTION_FILE)
    if not os.path.exists(path):
      temporary = os.path.join(
          self._directory,
          f'{atomic.TEMPORARY_PREFIX}{files.own_part(self._writer)}',
      )
      with atomic.replacing(temporary) as file:
        file.write(self.description.to_json().encode())
      # A link replaces nothing: of two writers that begin at once, the second
      # finds the first one's description.
      with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
      os.remove(temporary)
    found = files.read_description(self._directory)
    if found.to_json() != self.description.to_json():
      raise ValueError(
          f'{self._directory} holds a recording of something else: '
          f'{_difference(found, self.description)}; record into another '
          'directory'
      )

  def _count(self) -> None:
    self.num_episodes = self.num_steps = 0
    numbers = self._numbers()
    if numbers:
      with archive.EpisodeArchive(self._path(numbers[-1])) as newest:
        self.num_episodes = numbers[-1] + 1
        self.num_steps = newest.header.first_step + newest.header.length

  def _checked(
      self, episode: RecordedEpisode
  ) -> dict[str, Sequence[np.ndarray]]:
    """The arrays of an episode, each of which fits the description."""
    arrays = {
        archive.OBSERVATIONS: episode.observations,
        archive.ACTIONS: np.asarray(episode.actions),
        archive.REWARDS: np.asarray(episode.rewards),
        archive.DISCOUNTS: np.asarray(episode.discounts),
    }
    lengths = {name: len(rows) for name, rows in arrays.items()}
    length = lengths[archive.ACTIONS]
    expected = {**dict.fromkeys(arrays, length),
                archive.OBSERVATIONS: length + 1}
    if length == 0 or lengths != expected:
      raise ValueError(
          f'the episode has {lengths}; expected T ≥ 1 actions, rewards and '
          'discounts, and T + 1 observations'
      )
    fitting = {
        **self.description.arrays(),
        archive.DISCOUNTS: files.Array((), archive.DISCOUNT_DTYPE),
    }
    for name, described in fitting.items():
      for t, row in enumerate(arrays[name]):
        if row.shape != described.shape or row.dtype != described.dtype:
          raise ValueError(
              f'{name}[{t}] is {row.dtype} {row.shape}; the recording in '
              f'{self._directory} holds {described}'
          )
    return arrays


class EpisodeRecorder:
  """Collects the steps of one episode after the other for a writer.

  The raw observations of the episode that is being played are in memory: 7 KB
  for each step of an Atari game.
  """

  def __init__(self, writer: RecordingWriter):
    self._writer = writer
    self._observations: list[np.ndarray] = []

  @property
  def num_episodes(self) -> int:
    """Episodes that the writer has recorded."""
    return self._writer.num_episodes

  def begin(self, observation: np.ndarray) -> None:
    """Begins an episode; one that has not ended is dropped."""
    self._observations = [np.array(observation)]
    self._actions: list[np.ndarray] = []
    self._rewards: list[float] = []
    self._discounts: list[float] = []

  def add(
      self,
      action: np.ndarray,
      reward: float,
      discount: float,
      observation: np.ndarray,
      last: bool,
      metadata: Mapping[str, Any] = types.MappingProxyType({}),
  ) -> None:
    """Adds a step; the last one writes the episode.

    Args:
      action: taken at the observation before, of the recording's dtype or one
        that it can stand for, as int64 for int32.
      reward: that it brought.
      discount: 0 if it led to a terminal state.
      observation: that it led to; it is copied.
      last: whether the episode ends with it.
      metadata: of the episode, as JSON; taken with its last step.

    Raises:
      ValueError: if no episode was begun, or it does not fit the recording.
    """
    if not self._observations:
      raise ValueError('a step was added, but no episode was begun')
    described = self._writer.description
    self._observations.append(np.array(observation))
    self._actions.append(_cast(action, described.action))
    self._rewards.append(_cast(reward, described.reward))
    self._discounts.append(discount)
    if last:
      observations, self._observations = self._observations, []
      self._writer.write(
          RecordedEpisode(
              observations,
              np.stack(self._actions),
              np.stack(self._rewards),
              np.array(self._discounts, archive.DISCOUNT_DTYPE),
              metadata,
          )
      )


def _cast(value: np.ndarray, described: files.Array) -> np.ndarray:
  """Agents and environments are not strict about the width of numbers."""
  value = np.asarray(value)
  if np.can_cast(value.dtype, described.dtype, 'same_kind'):
    return value.astype(described.dtype)
  return value  # The writer refuses it.


def _check_metadata(metadata: Mapping[str, Any]) -> None:
  try:
    json.dumps(dict(metadata), allow_nan=False)
  except (TypeError, ValueError) as error:
    raise ValueError(
        f'the metadata of the episode is {metadata!r}; expected what JSON can '
        f'hold: names, numbers, lists and mappings ({error})'
    ) from error


def _lock(directory: str, writer: int) -> BinaryIO:
  """An open file that no other process has locked; closed, it is unlocked."""
  file = open(files.lock_path(directory, writer), 'ab')
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    file.close()
    if not isinstance(error, BlockingIOError):
      raise
    raise BusyError(
        f'another process records into {directory} as writer {writer}; give '
        'each process a number of its own'
    ) from error
  return file


def _difference(found: files.Description, wanted: files.Description) -> str:
  """Names one thing in which two descriptions differ."""
  for name, described in found.arrays().items():
    other = wanted.arrays()[name]
    if described != other:
      return f'its {name} are {described}, not {other}'
  if found.bounds != wanted.bounds:
    return 'the range of its observations is another'
  names = sorted({*found.metadata, *wanted.metadata})
  for name in names:
    values = [repr(d.metadata.get(name)) for d in (found, wanted)]
    if values[0] != values[1]:
      return f'its {name} is {values[0]}, not {values[1]}'
  return 'its metadata differ'
