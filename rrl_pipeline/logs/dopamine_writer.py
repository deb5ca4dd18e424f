"""Writes replay logs in the on-disk format of Dopamine 4.0.

The rules are those of `OutOfGraphReplayBuffer.add` and `.save` in
`circular_replay_buffer.py` and of `checkpointer.py`, so that Dopamine's own
buffer can load the files. Slots that were never written hold zeros here; in
Dopamine they hold whatever was in memory.
"""

import contextlib
import gzip
import json
import os
import pickle
from typing import Any, BinaryIO, Iterator, Mapping, Optional

import numpy as np

from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader

# Level 9, which Dopamine takes, is three times as slow as 6 and 7 % smaller.
_GZIP_LEVEL = 6
_PICKLE_PROTOCOL = 4  # What Python 3.8 and later write by default.


class DopamineLogWriter:
  """A ring buffer of steps that is saved as Dopamine saves its own.

  The ring is held in memory: capacity times 7 KB for Atari frames.

  Attributes:
    add_count: entries ever added, padding included.
  """

  def __init__(
      self,
      directory: str,
      observation_shape: tuple[int, ...],
      capacity: int,
      stack_size: int = 4,
      update_horizon: int = 1,
      metadata: Optional[Mapping[str, Any]] = None,
  ):
    """Makes an empty ring.

    Args:
      directory: where checkpoints are saved; made when it does not exist.
      observation_shape: of one uint8 frame.
      capacity: slots of the ring; the oldest entries are overwritten.
      stack_size: frames that the agent stacks; stack_size - 1 entries of
        padding come before each episode.
      update_horizon: n of the agent's n-step update. It decides only which
        slots Dopamine's sampler leaves out around the cursor.
      metadata: what to say about the log in `log_metadata.json`, as JSON.

    Raises:
      ValueError: if a number is too small.
    """
    if stack_size < 1 or update_horizon < 1:
      raise ValueError(
          f'stack_size is {stack_size}, update_horizon {update_horizon}; both '
          'must be at least 1'
      )
    if capacity < stack_size + update_horizon:
      raise ValueError(
          f'capacity is {capacity}; expected at least stack_size + '
          f'update_horizon = {stack_size + update_horizon}'
      )
    self.add_count = 0
    self._directory = directory
    self._capacity = capacity
    self._stack_size = stack_size
    self._update_horizon = update_horizon
    self._metadata = metadata
    self._store = {
        files.OBSERVATION: np.zeros((capacity, *observation_shape), np.uint8),
        files.ACTION: np.zeros(capacity, np.int32),
        files.REWARD: np.zeros(capacity, np.float32),
        files.TERMINAL: np.zeros(capacity, np.uint8),
    }
    self._end_indices = set()
    self._starts_episode = True

  @classmethod
  def restore(
      cls,
      directory: str,
      checkpoint: int,
      stack_size: int = 4,
      update_horizon: int = 1,
      metadata: Optional[Mapping[str, Any]] = None,
  ) -> 'DopamineLogWriter':
    """Goes on from a checkpoint that was saved with the same settings.

    An environment cannot be resumed in the middle of an episode, so an episode
    that was open when the checkpoint was saved counts as truncated there.

    Raises:
      reader.LogError: if the checkpoint is incomplete or damaged.
    """
    listing = files.list_checkpoints(directory)
    if checkpoint not in listing.sentinels or (
        files.EPISODE_END_INDICES not in listing.elements.get(checkpoint, ())
    ):
      raise reader.LogError(
          f'checkpoint {checkpoint} of {directory} is not complete; complete '
          f'ones: {sorted(listing.sentinels) or "none"}'
      )
    opened = files.open_checkpoint(
        directory, checkpoint, listing.elements[checkpoint]
    )
    writer = cls(
        directory,
        opened.frame_shape,
        opened.capacity,
        stack_size,
        update_horizon,
        metadata,
    )
    writer.add_count = opened.add_count
    for element, column in writer._store.items():
      stream = npy_gzip.RowStream(opened.path(element))
      stream.read_into(column)
      stream.finish()
    writer._end_indices = set(
        files.read_end_indices(
            opened.path(files.EPISODE_END_INDICES), opened.capacity
        )
    )
    if writer.add_count:
      writer._end_indices.add((writer.add_count - 1) % opened.capacity)
    return writer

  def add(
      self,
      observation: np.ndarray,
      action: int,
      reward: float,
      terminal: bool,
      truncated: bool = False,
  ) -> None:
    """Adds one step.

    Args:
      observation: [...] uint8 frame before the action.
      action: taken there.
      reward: obtained by it, clipped as the agent sees it.
      terminal: whether the environment ended with it.
      truncated: whether the episode ends with it though not in a terminal
        state, as at a time limit.

    Raises:
      ValueError: if the observation is not a frame of the ring.
    """
    frames = self._store[files.OBSERVATION]
    if observation.shape != frames.shape[1:] or observation.dtype != np.uint8:
      raise ValueError(
          f'the observation is {observation.dtype} {observation.shape}; the '
          f'log holds uint8 {frames.shape[1:]}'
      )
    if self._starts_episode:
      for _ in range(self._stack_size - 1):
        self._put(np.uint8(0), 0, 0.0, terminal=False, ends_episode=False)
    self._starts_episode = terminal or truncated
    self._put(observation, action, reward, terminal, self._starts_episode)

  def _put(
      self,
      observation: np.ndarray,
      action: int,
      reward: float,
      terminal: bool,
      ends_episode: bool,
  ) -> None:
    slot = self.add_count % self._capacity
    self._store[files.OBSERVATION][slot] = observation
    self._store[files.ACTION][slot] = action
    self._store[files.REWARD][slot] = reward
    self._store[files.TERMINAL][slot] = terminal
    if ends_episode:
      self._end_indices.add(slot)
    else:
      self._end_indices.discard(slot)
    self.add_count += 1

  def save(self, checkpoint: int) -> None:
    """Saves the ring; the sentinel appears last, when all files are complete.

    Args:
      checkpoint: the number to save it under. One saved before under the same
        number is replaced.
    """
    os.makedirs(self._directory, exist_ok=True)
    sentinel = files.sentinel_path(self._directory, checkpoint)
    if os.path.exists(sentinel):
      os.remove(sentinel)
    if self._metadata is not None:
      path = os.path.join(self._directory, files.METADATA_FILE)
      with atomic.replacing(path) as file:
        file.write(json.dumps(self._metadata, indent=2).encode())
    arrays = {
        **self._store,
        files.ADD_COUNT: np.array(self.add_count, np.int64),
        files.INVALID_RANGE: self._invalid_range(),
    }
    for element, array in arrays.items():
      with self._replacing_gzip(element, checkpoint) as file:
        np.save(file, array, allow_pickle=False)
    # A set's order depends on its history; made anew, it depends on its
    # contents only. Dopamine holds NumPy's integers, not Python's.
    end_indices = {np.int64(slot) for slot in sorted(self._end_indices)}
    with self._replacing_gzip(files.EPISODE_END_INDICES, checkpoint) as file:
      pickle.dump(end_indices, file, protocol=_PICKLE_PROTOCOL)
    with atomic.replacing(sentinel) as file:
      file.write(b'done')

  def _invalid_range(self) -> np.ndarray:
    """The slots around the cursor that Dopamine's sampler leaves out."""
    if not self.add_count:
      return np.zeros(self._stack_size)
    first = self.add_count % self._capacity - self._update_horizon
    return np.arange(
        first, first + self._stack_size + self._update_horizon, dtype=np.int64
    ) % self._capacity

  @contextlib.contextmanager
  def _replacing_gzip(
      self, element: str, checkpoint: int
  ) -> Iterator[BinaryIO]:
    path = files.path_of(self._directory, element, checkpoint)
    with atomic.replacing(path) as raw:
      # No time stamp and no name, so that equal contents are equal files.
      with gzip.GzipFile('', 'wb', _GZIP_LEVEL, raw, mtime=0) as file:
        yield file
