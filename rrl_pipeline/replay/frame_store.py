"""A store of single frames from which n-step transitions are sampled.

Both stages learn from it: offline it holds a dataset, online the latest steps
of the student. A frame is kept once, as it is (7,056 bytes for Atari) or
compressed, and stacked only when it is sampled, and n-step returns are summed
only then, so one store serves every stack size and every n.

A *row* is one RLDS step: an observation, the action taken there and the reward
it brought. An episode of T actions is T + 1 rows: the last one (`is_last`) has
an observation only. Rows are numbered from 0 in the order they came; the store
keeps the latest `capacity` of them.

Sampling costs little more than copying frames from memory to memory: a whole
frame is copied at a time, so the stacked observations that come out lie in
memory frame after frame, not pixel after pixel, and those before and after a
transition may share frames; see `stacks.contiguous`.
"""

from typing import NamedTuple, Optional

from acme import types
import numpy as np

from rrl_pipeline.replay import frames
from rrl_pipeline.replay import random_streams
from rrl_pipeline.replay import stacks


class Rows(NamedTuple):
  """Consecutive rows, N of them.

  Attributes:
    observation: [N, ...] single frames, most often uint8 [N, H, W].
    action: [N] int32, meaningless in a last row.
    reward: [N] float32 as logged, meaningless in a last row.
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
      frame_dtype: np.dtype = np.uint8,
      reward_limit: Optional[float] = None,
      compress: bool = False,
  ):
    """Makes an empty store; it takes memory as rows come.

    Args:
      capacity: rows to keep.
      frame_shape: shape of one observation.
      num_actions: A, the width of the teacher's values.
      stack_size: frames in a stacked observation.
      frame_dtype: of the observations.
      reward_limit: absolute value to which each reward is clipped when a
        transition is sampled, before any n-step sum; None for not at all.
      compress: whether frames are kept compressed. What is sampled is the same.
    """
    self._stack_size = stack_size
    self._reward_limit = reward_limit
    self._streams = random_streams.RandomStreams()
    self._hold(
        frames.CompressedFrames(capacity, frame_shape, frame_dtype)
        if compress
        else frames.PlainFrames(
            np.empty((capacity, *frame_shape), frame_dtype)
        ),
        Rows(
            observation=None,
            action=np.zeros(capacity, np.int32),
            reward=np.zeros(capacity, np.float32),
            is_first=np.zeros(capacity, bool),
            is_last=np.zeros(capacity, bool),
            is_terminal=np.zeros(capacity, bool),
            is_padded=np.zeros(capacity, bool),
            teacher_values=np.zeros((capacity, num_actions), np.float32),
        )
    )

  @classmethod
  def of(
      cls,
      rows: Rows,
      stack_size: int,
      reward_limit: Optional[float] = None,
  ) -> 'FrameStore':
    """A full store of these very arrays, of which none is copied.

    The observations may be a read-only mapped file, larger than memory.
    """
    store = cls(
        0,
        rows.observation.shape[1:],
        rows.teacher_values.shape[1],
        stack_size,
        rows.observation.dtype,
        reward_limit,
    )
    store._hold(
        frames.PlainFrames(rows.observation), rows._replace(observation=None)
    )
    store._enter(rows.is_first, rows.is_last)
    return store

  def _hold(self, observations: frames.Frames, rows: Rows) -> None:
    self._frames = observations
    self._rows = rows  # But for the observations.
    self._capacity = capacity = len(rows.action)
    self.num_added = 0
    # A row knows the slot of its episode below, and an episode its rows. The
    # episodes held are never more than the rows.
    self._episode = np.zeros(capacity, np.int64)
    self._num_episodes = 0
    self._start = np.zeros(capacity, np.int64)
    self._stop = np.zeros(capacity, np.int64)
    self._is_ended = np.zeros(capacity, bool)

  @property
  def capacity(self) -> int:
    """Rows that are held at most."""
    return self._capacity

  @property
  def stack_size(self) -> int:
    return self._stack_size

  @property
  def oldest(self) -> int:
    """Number of the oldest row that is still held."""
    return max(0, self.num_added - self._capacity)

  @property
  def num_bytes(self) -> int:
    """Bytes of the frames as they are kept."""
    return self._frames.num_bytes

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
    slots = np.arange(self.num_added, self.num_added + count) % self._capacity
    self._frames.put(slots, rows.observation)
    for column, values in zip(self._rows[1:], rows[1:], strict=True):
      column[slots] = values
    self._enter(rows.is_first, rows.is_last)

  def _enter(self, is_first: np.ndarray, is_last: np.ndarray) -> None:
    """Finds the episodes of new rows [N]; `num_added` is raised by N."""
    count = len(is_first)
    if not count:
      return
    numbers = np.arange(self.num_added, self.num_added + count)
    begins = np.array(is_first, bool)
    starts = numbers[begins]
    if not self._num_episodes and not begins[0]:
      # Its start was lost before the first row came.
      begins[0] = True
      starts = np.append(0, starts)
    episodes = self._num_episodes - 1 + np.cumsum(begins)
    self._num_episodes += len(starts)
    self._episode[numbers % self._capacity] = episodes % self._capacity
    self._start[episodes[begins] % self._capacity] = starts
    # The last new row of each episode, one that was continued included.
    newest = np.append(np.flatnonzero(begins[1:]), count - 1)
    slots = episodes[newest] % self._capacity
    self._stop[slots] = numbers[newest] + 1
    self._is_ended[slots] = is_last[newest]
    self.num_added += count

  def rows(self, start: int, stop: int) -> Rows:
    """Copies of the rows numbered start … stop - 1, which must be held."""
    if start < self.oldest or stop > self.num_added:
      raise ValueError(
          f'Rows {start} to {stop} are not all held; the store has'
          f' {self.oldest} to {self.num_added}.'
      )
    slots = np.arange(start, stop) % self._capacity
    observation = self._frames.take(slots, np.ones(len(slots), bool))
    return Rows(observation, *(column[slots] for column in self._rows[1:]))

  def stacks(self, numbers: np.ndarray) -> np.ndarray:
    """Observations [B, …] that end in the rows given; see `stacks`.

    Frames before an episode's first row are zero, as in Dopamine's replay.
    """
    return stacks.stack(self._windows(numbers, self._stack_size))

  def _windows(self, numbers: np.ndarray, size: int) -> np.ndarray:
    """The latest `size` frames [B, size, ...] up to each row given."""
    wanted = numbers[:, np.newaxis] + np.arange(1 - size, 1)
    starts = self._start[self._episode[numbers % self._capacity]]
    return self._frames.take(
        wanted % self._capacity, wanted >= starts[:, np.newaxis]
    )

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
      observation, next_observation [B, …] as `stacks.stacked_shape` says;
      action int32 [B]; reward float32 [B], the sum of γʲ r over m <= n steps,
      each r clipped if there is a limit; discount float32
      [B], γᵐ or 0 where the m steps met a terminal state (a truncated episode
      bootstraps from its last observation); extras float32 [B, A], the
      teacher's values at the observation.

    Raises:
      ValueError: if no transition can be sampled.
    """
    numbers, lengths = self._draw(batch_size, n_step, seed, index)
    return self._gather(numbers, lengths, n_step, discount)

  def transitions(
      self, numbers: np.ndarray, n_step: int, discount: float
  ) -> types.Transition:
    """The transitions that start in the rows given, each as `sample` gives it.

    Args:
      numbers: [B] of sampleable rows.
      n_step: n.
      discount: γ.

    Raises:
      ValueError: if a row cannot start a transition.
    """
    lengths = self._transition_lengths(numbers, n_step)
    if not lengths.all():
      row = numbers[lengths == 0][0]
      raise ValueError(f'No {n_step}-step transition starts in row {row}.')
    return self._gather(numbers, lengths, n_step, discount)

  def _gather(
      self,
      numbers: np.ndarray,
      lengths: np.ndarray,
      n_step: int,
      discount: float,
  ) -> types.Transition:
    """Transitions [B] of m = `lengths` steps each."""
    steps = np.arange(n_step)[:, np.newaxis]
    rewards = self._rows.reward[(numbers + steps) % self._capacity]
    if self._reward_limit is not None:
      np.clip(rewards, -self._reward_limit, self._reward_limit, out=rewards)
    powers = np.array([discount**j for j in range(n_step)], np.float32)
    rewards *= powers[:, np.newaxis]
    are_whole = (lengths == n_step).all()
    if not are_whole:
      rewards = np.where(steps < lengths, rewards, 0)
    slots, next_numbers = numbers % self._capacity, numbers + lengths
    terminal = self._rows.is_terminal[next_numbers % self._capacity]
    if are_whole and n_step < self._stack_size:
      # Nearly always: both stacks lie in one window, and share frames of it.
      windows = self._windows(next_numbers, self._stack_size + n_step)
      observation = stacks.stack(windows[:, : self._stack_size])
      next_observation = stacks.stack(windows[:, n_step:])
    else:
      observation, next_observation = map(self.stacks, (numbers, next_numbers))
    return types.Transition(
        observation=observation,
        action=self._rows.action[slots],
        # One step after the other, in single precision.
        reward=np.add.reduce(rewards, axis=0, dtype=np.float32),
        discount=np.where(terminal, 0.0, discount**lengths).astype(np.float32),
        next_observation=next_observation,
        extras=self._rows.teacher_values[slots],
    )

  def _draw(
      self, batch_size: int, n_step: int, seed: int, index: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and lengths [B] of uniformly drawn transitions."""
    generator = self._streams.at(seed, index)
    numbers = np.empty(0, np.int64)
    lengths = np.empty(0, np.int64)
    # Rows that cannot be sampled are few (an episode's last one, the newest
    # n), so drawing again costs less than keeping a list of those that can.
    for _ in range(1_000 if self.num_added else 0):
      drawn = generator.integers(self.oldest, self.num_added, 2 * batch_size)
      length = self._transition_lengths(drawn, n_step)
      usable = length > 0
      numbers = np.concatenate([numbers, drawn[usable]])
      lengths = np.concatenate([lengths, length[usable]])
      if len(numbers) >= batch_size:
        return numbers[:batch_size], lengths[:batch_size]
    raise ValueError(
        f'No {n_step}-step transition can be sampled from the'
        f' {self.num_added - self.oldest} rows held.'
    )

  def _transition_lengths(self, numbers: np.ndarray, n_step: int) -> np.ndarray:
    """m in 1 … n for rows that can start a transition, 0 for the others."""
    slots = numbers % self._capacity
    episode = self._episode[slots]
    start = self._start[episode]
    # Rows of the episode that follow. One whose log was cut, or that is still
    # being played, has no last row: its shorter returns are not whole.
    following = self._stop[episode] - 1 - numbers
    whole = self._is_ended[episode] | (following >= n_step)
    oldest_frame = numbers - (self._stack_size - 1)
    known = np.maximum(oldest_frame, start) >= self.oldest
    known &= self._rows.is_padded[slots] | (oldest_frame >= start)
    return np.where(whole & known, np.minimum(following, n_step), 0)
