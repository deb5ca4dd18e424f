"""Prioritised replay: draws the rows of a frame store by their priorities.

Schaul et al., "Prioritized experience replay" (ICLR 2016), in the form of
Dopamine's Rainbow, which the reincarnating RL paper's Rainbow uses: a
transition is drawn in proportion to its priority, the root of its TD loss, and
weighs 1 / √priority, the greatest of a batch 1. Neither exponent is annealed.
"""

from typing import Mapping, NamedTuple

from acme import types
import numpy as np

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import random_streams
from rrl_pipeline.replay import sum_tree

# Keeps Dopamine's importance weights finite.
_EPSILON = 1e-10


class Batch(NamedTuple):
  """Transitions that were drawn by their priorities.

  Attributes:
    transitions: [B], as `frame_store.FrameStore.sample` gives them.
    numbers: int64 [B], the rows that they start in, by which the learner
      returns their priorities.
    probabilities: float64 [B], of each to be drawn.
    importance_weights: float32 [B] in (0, 1], for the terms of the loss.
  """

  transitions: types.Transition
  numbers: np.ndarray
  probabilities: np.ndarray
  importance_weights: np.ndarray


def importance_weights(priorities: np.ndarray) -> np.ndarray:
  """Weights float32 [B] of transitions drawn by these priorities [B].

  The square roots of what would make up for the draw, relative to the greatest.
  As in Dopamine 4.0 the small number is added to the priority, not to the
  probability, to which it would be less small.
  """
  weights = 1 / np.sqrt(priorities + _EPSILON)
  return (weights / weights.max()).astype(np.float32)


class PrioritizedSampler:
  """Priorities of the rows of a frame store, and draws by them.

  A row that newly can start a transition has the greatest priority that was
  ever given, so that each is likely to be drawn soon. A row that cannot, an
  episode's last or the newest n, has none. Not thread-safe.
  """

  def __init__(self, store: frame_store.FrameStore, n_step: int):
    """Makes a sampler; it follows the store, which others may extend.

    Args:
      store: of the rows.
      n_step: n of the transitions.
    """
    self._store = store
    self._n_step = n_step
    self._tree = sum_tree.SumTree(store.capacity)
    self._streams = random_streams.RandomStreams()
    self._max_priority = 1.0
    self._num_followed = 0

  def sample(
      self, batch_size: int, discount: float, seed: int, index: int
  ) -> Batch:
    """A batch drawn with replacement in proportion to the priorities.

    It is stratified: one transition comes from each of `batch_size` equal parts
    of the sum of priorities.

    Args:
      batch_size: B.
      discount: γ.
      seed: of the stream of batches.
      index: number of the batch in that stream. The draw depends on (seed,
        index), the rows and the priorities only.

    Raises:
      ValueError: if no transition can be sampled.
    """
    self._follow()
    total = self._tree.total
    if not total:
      raise ValueError(
          f'No {self._n_step}-step transition can be sampled from the'
          f' {self._store.num_added - self._store.oldest} rows held.'
      )
    generator = self._streams.at(seed, index)
    parts = np.arange(batch_size) + generator.random(batch_size)
    slots = self._tree.find(parts * (total / batch_size))
    priorities = self._tree.get(slots)
    numbers = self._numbers(slots)
    return Batch(
        transitions=self._store.transitions(numbers, self._n_step, discount),
        numbers=numbers,
        probabilities=priorities / total,
        importance_weights=importance_weights(priorities),
    )

  def update_priorities(
      self, numbers: np.ndarray, priorities: np.ndarray
  ) -> None:
    """Gives rows new priorities; those that were dropped since are passed over.

    Args:
      numbers: [B], as they were drawn.
      priorities: float32 [B], positive, such as √(TD loss + 1e-10).

    Raises:
      ValueError: if a priority is not positive and finite.
    """
    priorities = np.asarray(priorities, np.float32)
    is_wrong = ~((priorities > 0) & np.isfinite(priorities))
    if is_wrong.any():
      raise ValueError(
          'Priorities must be positive and finite, got'
          f' {priorities[is_wrong][0]} for row {numbers[is_wrong][0]}.'
      )
    self._follow()
    slots = numbers % self._store.capacity
    is_held = (numbers >= self._store.oldest) & (self._tree.get(slots) > 0)
    if is_held.any():
      self._tree.set(slots[is_held], priorities[is_held])
      # Of dropped ones too: how many were late must not change what comes.
    self._max_priority = max(self._max_priority, float(priorities.max()))

  def state(self) -> dict[str, np.ndarray]:
    """What a checkpoint must hold, beside the store's rows."""
    self._follow()
    numbers = np.arange(self._store.oldest, self._store.num_added)
    priorities = self._tree.get(numbers % self._store.capacity)
    return {
        'priorities': priorities.astype(np.float32),
        'max_priority': np.array(self._max_priority, np.float32),
        'num_added': np.array(self._store.num_added, np.int64),
    }

  def restore(self, state: Mapping[str, np.ndarray]) -> None:
    """Goes on from what `state` gave; the store must hold the same rows.

    Raises:
      ValueError: if it holds others.
    """
    numbers = np.arange(self._store.oldest, self._store.num_added)
    priorities = state['priorities']
    if state['num_added'] != self._store.num_added or len(priorities) != len(
        numbers
    ):
      raise ValueError(
          f'The priorities are those of {len(priorities)} rows up to'
          f" {state['num_added']}, but the replay holds {len(numbers)} up to"
          f' {self._store.num_added}.'
      )
    self._tree = sum_tree.SumTree(self._store.capacity)
    self._tree.set(numbers % self._store.capacity, priorities)
    self._max_priority = float(state['max_priority'])
    self._num_followed = self._store.num_added

  def _numbers(self, slots: np.ndarray) -> np.ndarray:
    """The rows that slots hold."""
    newest = self._store.num_added - 1
    return newest - (newest - slots) % self._store.capacity

  def _follow(self) -> None:
    """Takes account of the rows that came since it was called last."""
    store, added = self._store, self._store.num_added
    if added == self._num_followed:
      return
    came = np.arange(max(self._num_followed, store.oldest), added)
    self._tree.set(came % store.capacity, 0.0)
    # What came makes transitions of at most n rows before it whole.
    first = max(self._num_followed - self._n_step, store.oldest)
    candidates = np.arange(first, added)
    slots = candidates % store.capacity
    is_new = store.is_sampleable(candidates, self._n_step)
    is_new &= self._tree.get(slots) == 0
    self._tree.set(slots[is_new], self._max_priority)
    # The oldest rows have lost the frames of their stacks.
    oldest = np.arange(
        store.oldest, min(store.oldest + store.stack_size - 1, added)
    )
    is_lost = ~store.is_sampleable(oldest, self._n_step)
    self._tree.set(oldest[is_lost] % store.capacity, 0.0)
    self._num_followed = added
