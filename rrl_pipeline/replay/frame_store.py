"""A store of single frames from which n-step transitions are sampled.

Both stages learn from it: offline it holds a dataset, online the latest steps
of the student. A frame is kept once (7,056 bytes for Atari) and stacked only
when it is sampled, and n-step returns are summed only then, so one store serves
every stack size and every n.

A *row* is one RLDS step: an observation, the action taken there and the reward
it brought. An episode of T actions is T + 1 rows: the last one (`is_last`) has
an observation only. Rows are numbered from 0 in the order they came; the store
keeps the latest `capacity` of them.
"""

from typing import NamedTuple, Optional

from acme import types
import numpy as np


class Rows(NamedTuple):
  """Consecutive rows, N of them.

  Attributes:
    observation: [N, ...] uint8 single frames.
    action: [N] int32, meaningless in a last row.
    reward: [N] float32, meaningless in a last row.
    is_first: [N] bool, true in the first row of an episode as it was logged.
    is_last: [N] bool.
    is_terminal: [N] bool, true only in a last row: the environment ended there.
    is_padded: [N] bool, false for the rows of an episode whose true start is
      missing: the frames before its first row are unknown, not zero.
    teacher_values: [N, A] float32, the teacher's values at the stack that ends
      in this row; zeros where no teacher was asked.
  """

  observation: np.ndarray
  action: np.ndarray
  reward: np.ndarray
  is_first: np.ndarray
  is_last: np.ndarray
  is_terminal: np.ndarray
  is_padded: np.ndarray
  teacher_values: np.ndarray


class FrameStore:
  """A ring of rows. Not thread-safe."""

  def __init__(
      self,
      capacity: int,
      frame_shape: tuple[int, ...],
      num_actions: int,
      stack_size: int,
      frames: Optional[np.ndarray] = None,
  ):
    """Makes an empty store.

    Args:
      capacity: rows to keep.
      frame_shape: shape of one observation.
      num_actions: A, the width of the teacher's values.
      stack_size: frames in a stacked observation.
      frames: uint8 [capacity, *frame_shape] to hold the frames, for example a
        memory-mapped file; by default memory is taken as rows come.
    """
    if frames is None:
      frames = np.empty((capacity, *frame_shape), np.uint8)
    self._capacity = capacity
    self._stack_size = stack_size
    self._rows = Rows(
        observation=frames,
        action=np.zeros(capacity, np.int32),
        reward=np.zeros(capacity, np.float32),
        is_first=np.zeros(capacity, bool),
        is_last=np.zeros(capacity, bool),
        is_terminal=np.zeros(capacity, bool),
        is_padded=np.zeros(capacity, bool),
        teacher_values=np.zeros((capacity, num_actions), np.float32),
    )
    self._episode_start = np.zeros(capacity, np.int64)
    self.num_added = 0

  @property
  def oldest(self) -> int:
    """Number of the oldest row that is still held."""
    return max(0, self.num_added - self._capacity)

  @property
  def teacher_values(self) -> np.ndarray:
    """[capacity, A] float32, in place: to be filled once rows are known."""
    return self._rows.teacher_values

  def extend(self, rows: Rows) -> None:
    """Adds rows at the end; the oldest ones give way."""
    count = len(rows.action)
    if count > self._capacity:
      raise ValueError(
          f'{count} rows at once do not fit a store of {self._capacity}.'
      )
    numbers = np.arange(self.num_added, self.num_added + count)
    slots = numbers % self._capacity
    for column, values in zip(self._rows, rows, strict=True):
      column[slots] = values
    starts = np.where(rows.is_first, numbers, -1)
    if count and not rows.is_first[0]:
      starts[0] = self._episode_start[(self.num_added - 1) % self._capacity]
    self._episode_start[slots] = np.maximum.accumulate(starts)
    self.num_added += count

  def rows(self, start: int, stop: int) -> Rows:
    """Copies of the rows numbered start … stop - 1, which must be held."""
    if start < self.oldest or stop > self.num_added:
      raise ValueError(
          f'Rows {start} to {stop} are not all held; the store has'
          f' {self.oldest} to {self.num_added}.'
      )
    slots = np.arange(start, stop) % self._capacity
    return Rows(*(column[slots] for column in self._rows))

  def stacks(self, numbers: np.ndarray) -> np.ndarray:
    """Stacked observations [B, ..., stack] that end in the rows given.

    Frames before an episode's first row are zero, as in Dopamine's replay.
    """
    starts = self._episode_start[numbers % self._capacity]
    frames = self._rows.observation
    stacked = np.empty(
        (len(numbers), *frames.shape[1:], self._stack_size), np.uint8
    )
    for i in range(self._stack_size):
      wanted = numbers - (self._stack_size - 1 - i)
      frame = frames[wanted % self._capacity]
      frame[wanted < starts] = 0
      stacked[..., i] = frame
    return stacked

  def is_sampleable(self, numbers: np.ndarray, n_step: int) -> np.ndarray:
    """Which rows can start an n-step transition, bool [B].

    A row can if an action was taken in it, if the frames of its stack are held
    (or are known to be zero), and if its return can be summed: either n further
    rows of its episode are there, or its episode ends before.
    """
    return self._transition_lengths(numbers, n_step) > 0

  def sample(
      self, batch_size: int, n_step: int, discount: float, seed: int, index: int
  ) -> types.Transition:
    """A batch drawn uniformly, with replacement, from all transitions held.

    Args:
      batch_size: B.
      n_step: n. Fewer steps are summed where an episode ends sooner.
      discount: γ.
      seed: of the stream of batches.
      index: number of the batch in that stream. The draw depends on (seed,
        index) and the rows held only, so a resumed run continues its stream.

    Returns:
      observation, next_observation uint8 [B, ..., stack]; action int32 [B];
      reward float32 [B], the sum of γʲ r over m <= n steps; discount float32
      [B], γᵐ or 0 where the m steps met a terminal state (a truncated episode
      bootstraps from its last observation); extras float32 [B, A], the
      teacher's values at the observation.

    Raises:
      ValueError: if no transition can be sampled.
    """
    numbers, lengths = self._draw(batch_size, n_step, seed, index)
    reward = np.zeros(batch_size, np.float32)
    for j in range(n_step):
      slots = (numbers + j) % self._capacity
      reward += np.where(
          j < lengths, np.float32(discount**j) * self._rows.reward[slots], 0
      ).astype(np.float32)
    slots, next_numbers = numbers % self._capacity, numbers + lengths
    terminal = self._rows.is_terminal[next_numbers % self._capacity]
    return types.Transition(
        observation=self.stacks(numbers),
        action=self._rows.action[slots],
        reward=reward,
        discount=np.where(terminal, 0.0, discount**lengths).astype(np.float32),
        next_observation=self.stacks(next_numbers),
        extras=self._rows.teacher_values[slots],
    )

  def _draw(
      self, batch_size: int, n_step: int, seed: int, index: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and lengths [B] of uniformly drawn transitions."""
    generator = np.random.Generator(np.random.Philox(key=[seed, index]))
    numbers = np.empty(0, np.int64)
    lengths = np.empty(0, np.int64)
    # Rows that cannot be sampled are few (an episode's last one, the newest
    # n), so drawing again costs less than keeping a list of those that can.
    for _ in range(1_000 if self.num_added else 0):
      drawn = generator.integers(self.oldest, self.num_added, 2 * batch_size)
      length = self._transition_lengths(drawn, n_step)
      numbers = np.append(numbers, drawn[length > 0])
      lengths = np.append(lengths, length[length > 0])
      if len(numbers) >= batch_size:
        return numbers[:batch_size], lengths[:batch_size]
    raise ValueError(
        f'No {n_step}-step transition can be sampled from the'
        f' {self.num_added - self.oldest} rows held.'
    )

  def _transition_lengths(self, numbers: np.ndarray, n_step: int) -> np.ndarray:
    """m in 1 … n for rows that can start a transition, 0 for the others."""
    slots = numbers % self._capacity
    starts = self._episode_start[slots]
    lengths = np.zeros(len(numbers), np.int64)
    ended = self._rows.is_last[slots]
    for j in range(1, n_step + 1):
      following = numbers + j
      following_slots = following % self._capacity
      # An episode whose log was cut has no last row: another one follows.
      in_episode = (
          ~ended
          & (following < self.num_added)
          & (self._episode_start[following_slots] == starts)
      )
      lengths[in_episode] = j
      ended |= self._rows.is_last[following_slots] & in_episode
    # A shorter return is a whole one only if the episode ended there.
    whole = (lengths == n_step) | ended
    oldest_frame = numbers - (self._stack_size - 1)
    padded = self._rows.is_padded[slots]
    known = np.where(
        padded,
        np.maximum(oldest_frame, starts) >= self.oldest,
        oldest_frame >= np.maximum(starts, self.oldest),
    )
    return np.where(whole & known, lengths, 0)
