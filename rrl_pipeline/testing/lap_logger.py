"""A model of the logger of the DQN Replay Dataset, to test its reader against.

It follows `OutOfGraphLoggedReplayBuffer` and the buffer that it extends: see
`rrl_pipeline/logs/dqn_replay.py` for what comes of that. It shares no code with
the reader, nor with `DopamineLogWriter`.
"""

import gzip
import io
import os

import numpy as np


class LapLogger:
  """A ring buffer that is saved whenever a step brings it to the end of a lap.

  Attributes:
    add_count: entries ever added, padding included.
    num_files: files saved so far.
  """

  def __init__(
      self,
      directory: str,
      frame_shape: tuple[int, ...],
      capacity: int,
      stack_size: int = 4,
      garbage_seed: int = 0,
  ):
    """Makes a ring; what its slots hold before they are written is garbage."""
    self.add_count = 0
    self.num_files = 0
    self._directory = directory
    self._capacity = capacity
    self._stack_size = stack_size
    rng = np.random.default_rng(garbage_seed)
    self._store = {
        'observation': rng.integers(
            0, 256, (capacity, *frame_shape), dtype=np.uint8
        ),
        'action': rng.integers(-1 << 31, 1 << 31, capacity, dtype=np.int32),
        'reward': rng.normal(0, 1e28, capacity).astype(np.float32),
        'terminal': rng.integers(0, 256, capacity, dtype=np.uint8),
    }
    os.makedirs(directory, exist_ok=True)

  def add(
      self, observation: np.ndarray, action: int, reward: float, terminal: bool
  ) -> None:
    """Adds a step, and padding before it if it is the first of an episode."""
    last = (self.add_count - 1) % self._capacity
    if self.add_count == 0 or self._store['terminal'][last] == 1:
      for _ in range(self._stack_size - 1):
        self._write(0, 0, 0, 0)
    self._write(observation, action, reward, terminal)
    if self.add_count % self._capacity == self._capacity - 1:
      self._save(self.add_count)

  def save_final(self) -> None:
    """Saves the ring at the end of the run."""
    self._save(self.add_count % self._capacity)

  def _write(self, observation, action, reward, terminal) -> None:
    slot = self.add_count % self._capacity
    self._store['observation'][slot] = observation
    self._store['action'][slot] = action
    self._store['reward'][slot] = reward
    self._store['terminal'][slot] = terminal
    self.add_count += 1

  def _save(self, add_count: int) -> None:
    arrays = {f'$store$_{name}': array for name, array in self._store.items()}
    arrays['add_count'] = np.array(add_count)
    arrays['invalid_range'] = (
        np.arange(self._stack_size + 1) + self.add_count - 1
    ) % self._capacity
    for name, array in arrays.items():
      contents = io.BytesIO()
      np.save(contents, array, allow_pickle=False)
      path = os.path.join(
          self._directory, f'{name}_ckpt.{self.num_files}.gz'
      )
      with open(path, 'wb') as file:
        file.write(gzip.compress(contents.getvalue(), 1, mtime=0))
    self.num_files += 1
