"""Samples from a dataset larger than memory through a pool of its episodes.

Episodes enter the pool in a random order, a new one for each pass over the
dataset, and the oldest rows leave. Transitions are drawn uniformly from the
pool. Uniform sampling from the whole dataset differs in three ways:

* over a pass each transition is drawn equally often on average, as it would be;
  but its draws lie close together in time, within the stay of its episode;
* two transitions of one batch come from the same episode more often: as often
  as if the pool were the whole dataset;
* the rows that fill the pool at the start stay for a part of a full stay only,
  the first ones the shortest.

What is in the pool when batch i is drawn is a function of i, so the pool can be
made anew for any batch and nothing of it needs to be in a checkpoint.
"""

from concurrent import futures
import math
from typing import Callable, Optional, Sequence

from acme import types
import numpy as np

from rrl_pipeline.replay import frame_store


class RollingPool:
  """A `TransitionSource` of limited memory. Not thread-safe."""

  def __init__(
      self,
      lengths: Sequence[int],
      read: Callable[[int], frame_store.Rows],
      capacity: int,
      rows_per_batch: float,
      stack_size: int,
      seed: int,
      annotate: Optional[Callable[[np.ndarray], np.ndarray]] = None,
      reward_limit: Optional[float] = None,
  ):
    """Makes a pool; it is filled when the first batch is asked for.

    Args:
      lengths: rows of each episode of the dataset.
      read: gives the rows of an episode; called from another thread, one
        episode ahead.
      capacity: rows in the pool.
      rows_per_batch: rows that are replaced from one batch to the next, on
        average. Where batches have B transitions, each row is drawn
        B / rows_per_batch times in its stay, on average.
      stack_size: frames in a stacked observation.
      seed: of the order of the episodes.
      annotate: gives the teacher's values [N, A] for observations [N, …], if
        the rows do not hold them.
      reward_limit: to which rewards are clipped; see `FrameStore`.

    Raises:
      ValueError: if an episode does not fit the pool.
    """
    self._lengths = np.asarray(lengths, np.int64)
    if not len(self._lengths) or self._lengths.max() > capacity:
      raise ValueError(
          f'A pool of {capacity} rows cannot hold an episode of'
          f' {max(lengths, default=0)}; give it more memory.'
      )
    self._read = read
    self._capacity = capacity
    self._rows_per_batch = rows_per_batch
    self._stack_size = stack_size
    self._seed = seed
    self._annotate = annotate
    self._reward_limit = reward_limit
    self._store = None
    self._end = 0
    self._passes = {}
    self._reader = futures.ThreadPoolExecutor(1)
    self._ahead = {}

  def sample(
      self, batch_size: int, n_step: int, discount: float, seed: int, index: int
  ) -> types.Transition:
    """Batch `index` of the stream of `seed`; see `TransitionSource`."""
    self._move_to(self._num_entered(index))
    return self._store.sample(batch_size, n_step, discount, seed, index)

  def _num_entered(self, index: int) -> int:
    """Episodes that have entered the pool, over all passes, at a batch."""
    rows = self._capacity + math.floor(index * self._rows_per_batch)
    # The fewest episodes that have so many rows; those of a whole pass first.
    number = (rows - 1) // int(self._lengths.sum())
    order, rows_until = self._pass(number)
    rows -= number * int(rows_until[-1])
    within = int(np.searchsorted(rows_until, rows))
    return number * len(order) + within + 1

  def _pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The order of the episodes in a pass, and the rows until after each."""
    if number not in self._passes:
      # No more than two are in use at a time, one after the other.
      self._passes = {
          k: v for k, v in self._passes.items() if abs(k - number) == 1
      }
      generator = np.random.Generator(
          np.random.Philox(key=[self._seed, number])
      )
      order = generator.permutation(len(self._lengths))
      self._passes[number] = order, np.cumsum(self._lengths[order])
    return self._passes[number]

  def _episode(self, position: int) -> int:
    number, within = divmod(position, len(self._lengths))
    return int(self._pass(number)[0][within])

  def _move_to(self, end: int) -> None:
    """Lets episodes enter until `end` have; fills the pool anew if it must."""
    if self._store is None or self._end > end:
      self._store = None
      self._end = end
      rows = 0
      while rows < self._capacity:
        self._end -= 1
        rows += self._lengths[self._episode(self._end)]
    while self._end < end:
      self._enter(self._take(self._end))
      self._end += 1

  def _take(self, position: int) -> frame_store.Rows:
    """The rows of an episode; the next one is read meanwhile."""
    self._ahead = {
        p: self._ahead.get(p)
        or self._reader.submit(self._read, self._episode(p))
        for p in (position, position + 1)
    }
    return self._ahead[position].result()

  def _enter(self, rows: frame_store.Rows) -> None:
    if self._store is None:
      self._store = frame_store.FrameStore(
          self._capacity,
          rows.observation.shape[1:],
          rows.teacher_values.shape[1],
          self._stack_size,
          rows.observation.dtype,
          self._reward_limit,
      )
    store = self._store
    store.extend(rows)
    if self._annotate is not None:
      numbers = np.arange(store.num_added - len(rows.action), store.num_added)
      values = self._annotate(store.stacks(numbers))
      store.teacher_values[numbers % self._capacity] = values
