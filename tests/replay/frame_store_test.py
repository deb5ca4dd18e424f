"""Tests of the frame store against an enumeration from lists of episodes.

The model below knows nothing of rings and slots: it keeps every episode as a
list and asks of each row, one at a time, what the docstrings promise.
"""

import dataclasses
from typing import Optional

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats

from rrl_pipeline.replay import frame_store

_SHAPE, _ACTIONS, _GAMMA = (1, 2), 3, 0.9
TERMINAL, TRUNCATED, CUT = 'terminal', 'truncated', 'cut'


@dataclasses.dataclass(frozen=True)
class _Episode:
  """`steps` actions; an episode that was CUT has no last row."""

  steps: int
  end: str
  is_padded: bool

  @property
  def num_rows(self) -> int:
    return self.steps + (self.end != CUT)


_EPISODES = st.lists(
    st.builds(
        _Episode,
        steps=st.integers(1, 9),
        end=st.sampled_from([TERMINAL, TRUNCATED, CUT]),
        is_padded=st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


def _frame(number: int) -> np.ndarray:
  """A frame of its own for every row, without zeros."""
  return np.array([[number % 200 + 1, number // 200 + 1]], np.uint8)


def _rows(episodes: list[_Episode]) -> frame_store.Rows:
  """All rows of the episodes, with a number of their own in each field."""
  columns = {name: [] for name in frame_store.Rows._fields}
  for episode in episodes:
    for t in range(episode.num_rows):
      number = len(columns['action'])
      is_last = t == episode.steps
      columns['observation'].append(_frame(number))
      # What stands in a last row is void and must be used nowhere.
      columns['action'].append(-7 if is_last else number % _ACTIONS)
      columns['reward'].append(1e6 if is_last else number + 0.25)
      columns['is_first'].append(t == 0)
      columns['is_last'].append(is_last)
      columns['is_terminal'].append(is_last and episode.end == TERMINAL)
      columns['is_padded'].append(episode.is_padded)
      columns['teacher_values'].append([number, -number, 0.5])
  return frame_store.Rows(
      observation=np.array(columns['observation'], np.uint8).reshape(
          -1, *_SHAPE
      ),
      action=np.array(columns['action'], np.int32),
      reward=np.array(columns['reward'], np.float32),
      is_first=np.array(columns['is_first'], bool),
      is_last=np.array(columns['is_last'], bool),
      is_terminal=np.array(columns['is_terminal'], bool),
      is_padded=np.array(columns['is_padded'], bool),
      teacher_values=np.array(columns['teacher_values'], np.float32),
  )


def _slice(rows: frame_store.Rows, start: int, stop: int) -> frame_store.Rows:
  return frame_store.Rows(*(column[start:stop] for column in rows))


def _store(
    rows, capacity, stack_size, chunk=3, compress=False
) -> frame_store.FrameStore:
  store = frame_store.FrameStore(
      capacity, _SHAPE, _ACTIONS, stack_size, compress=compress
  )
  for start in range(0, len(rows.action), min(chunk, capacity)):
    store.extend(_slice(rows, start, start + min(chunk, capacity)))
  return store


@dataclasses.dataclass(frozen=True)
class _Transition:
  frames: list[list[int]]
  next_frames: list[list[int]]
  action: int
  reward: float
  discount: float
  teacher_values: list[float]


class _Model:
  """What a store must answer, row by row."""

  def __init__(self, episodes, capacity, stack_size):
    self._stack_size = stack_size
    total = sum(episode.num_rows for episode in episodes)
    self._oldest = max(0, total - capacity)
    self._places = [
        (episode, first, t)
        for episode, first in zip(episodes, self._first_rows(episodes))
        for t in range(episode.num_rows)
    ]

  @staticmethod
  def _first_rows(episodes):
    return [
        sum(episode.num_rows for episode in episodes[:i])
        for i in range(len(episodes))
    ]

  def _stack(self, number: int) -> Optional[list[list[int]]]:
    episode, first, t = self._places[number]
    frames = []
    for back in reversed(range(self._stack_size)):
      if t - back >= 0:
        if first + t - back < self._oldest:
          return None  # Overwritten.
        frames.append(_frame(first + t - back)[0].tolist())
      elif episode.is_padded:
        frames.append([0, 0])
      else:
        return None  # Never known.
    return frames

  def transition(self, number: int, n_step: int) -> Optional[_Transition]:
    episode, first, t = self._places[number]
    if number < self._oldest or t == episode.steps:
      return None
    steps_left = episode.steps - t
    if episode.end == CUT and t + n_step >= episode.num_rows:
      return None  # Its return is not known to the end, nor is its next state.
    length = min(n_step, steps_left)
    frames = self._stack(number)
    if frames is None:
      return None
    ends = length == steps_left and episode.end == TERMINAL
    return _Transition(
        frames=frames,
        next_frames=self._stack(number + length),
        action=number % _ACTIONS,
        reward=sum(_GAMMA**j * (number + j + 0.25) for j in range(length)),
        discount=0.0 if ends else _GAMMA**length,
        teacher_values=[number, -number, 0.5],
    )


@hypothesis.settings(max_examples=200)
@hypothesis.given(
    episodes=_EPISODES,
    capacity=st.integers(1, 40),
    stack_size=st.integers(1, 5),
    n_step=st.integers(1, 5),
    chunk=st.integers(1, 10),
    compress=st.booleans(),
)
def test_every_row_is_as_in_the_enumeration(
    episodes, capacity, stack_size, n_step, chunk, compress
):
  rows = _rows(episodes)
  store = _store(rows, capacity, stack_size, chunk, compress)
  total = len(rows.action)
  assert (store.num_added, store.oldest) == (total, max(0, total - capacity))
  model = _Model(episodes, capacity, stack_size)
  held = np.arange(store.oldest, total)
  expected = {n: model.transition(n, n_step) for n in held}
  np.testing.assert_array_equal(
      store.is_sampleable(held, n_step),
      [expected[n] is not None for n in held],
  )
  valid = {n: transition for n, transition in expected.items() if transition}
  if not valid:
    return  # What `sample` says then is tested below.
  # Enough to meet most of the rows.
  batch = store.sample(4 * len(held), n_step, _GAMMA, seed=0, index=total)
  numbers = batch.extras[:, 0].astype(int)
  assert set(numbers) <= set(valid)
  for i, number in enumerate(numbers):
    wanted = valid[number]
    # [1, 2, stack] → one frame after the other.
    assert batch.observation[i, 0].T.tolist() == wanted.frames
    assert batch.next_observation[i, 0].T.tolist() == wanted.next_frames
    assert batch.action[i] == wanted.action
    assert batch.reward[i] == pytest.approx(wanted.reward, rel=1e-5)
    assert batch.discount[i] == pytest.approx(wanted.discount, rel=1e-6)
    assert batch.extras[i].tolist() == wanted.teacher_values


def test_dtypes_and_shapes_are_those_a_learner_takes():
  store = _store(_rows([_Episode(5, TERMINAL, True)]), 10, stack_size=4)
  batch = store.sample(7, 3, _GAMMA, seed=0, index=0)
  assert batch.observation.shape == batch.next_observation.shape == (7, 1, 2, 4)
  assert batch.observation.dtype == batch.next_observation.dtype == np.uint8
  for column in (batch.action, batch.reward, batch.discount):
    assert column.shape == (7,)
  assert batch.action.dtype == np.int32
  assert batch.reward.dtype == batch.discount.dtype == np.float32
  assert (batch.extras.shape, batch.extras.dtype) == ((7, _ACTIONS), np.float32)


def _numbers(store, draws, seed=0, n_step=3):
  return np.concatenate([
      store.sample(50, n_step, _GAMMA, seed, index).extras[:, 0]
      for index in range(draws)
  ]).astype(int)


def test_sampling_is_uniform_over_transitions():
  # Episodes of very different lengths, the oldest half overwritten, and a
  # newest one that is still being played.
  episodes = [
      _Episode(6, TERMINAL, True), _Episode(1, TERMINAL, True),
      _Episode(20, TRUNCATED, True), _Episode(9, TERMINAL, False),
      _Episode(2, TRUNCATED, True), _Episode(5, CUT, True),
  ]
  store = _store(_rows(episodes), 44, stack_size=4)
  held = np.arange(store.oldest, store.num_added)
  valid = held[store.is_sampleable(held, 3)]
  assert 20 < len(valid) < len(held)
  counts = np.bincount(_numbers(store, 400), minlength=store.num_added)
  assert counts.sum() == counts[valid].sum()
  assert stats.chisquare(counts[valid]).pvalue > 1e-3


def test_a_draw_depends_on_seed_index_and_content_only():
  rows = _rows([_Episode(9, TERMINAL, True), _Episode(9, TRUNCATED, True)])
  store = _store(rows, 30, stack_size=2, chunk=1)
  first = store.sample(8, 2, _GAMMA, seed=3, index=5)
  store.sample(8, 2, _GAMMA, seed=3, index=6)  # Leaves nothing behind.
  other = _store(rows, 30, stack_size=2, chunk=7)
  for again in (
      store.sample(8, 2, _GAMMA, seed=3, index=5),
      other.sample(8, 2, _GAMMA, seed=3, index=5),
  ):
    for a, b in zip(first, again, strict=True):
      np.testing.assert_array_equal(a, b)
  for seed, index in ((3, 6), (4, 5)):
    other_draw = store.sample(8, 2, _GAMMA, seed, index)
    assert not np.array_equal(first.extras, other_draw.extras)


def test_transitions_are_those_that_are_sampled():
  episodes = [_Episode(9, TERMINAL, True), _Episode(6, TRUNCATED, False)]
  store = _store(_rows(episodes), 30, stack_size=3)
  batch = store.sample(20, 3, _GAMMA, seed=0, index=0)
  numbers = batch.extras[:, 0].astype(int)
  for a, b in zip(batch, store.transitions(numbers, 3, _GAMMA), strict=True):
    np.testing.assert_array_equal(a, b)
  with pytest.raises(ValueError, match='No 3-step transition .* in row 9'):
    store.transitions(np.array([8, 9]), 3, _GAMMA)


def test_rows_come_back_as_they_were_added():
  rows = _rows([_Episode(7, TERMINAL, True), _Episode(6, TRUNCATED, False)])
  store = _store(rows, 10, stack_size=4)
  for start, stop in ((5, 15), (7, 9), (14, 15), (8, 8)):
    for got, expected in zip(
        store.rows(start, stop), _slice(rows, start, stop), strict=True
    ):
      np.testing.assert_array_equal(got, expected)
      assert got.dtype == expected.dtype
  # They are copies.
  store.rows(5, 15).reward[:] = 0
  np.testing.assert_array_equal(store.rows(5, 15).reward, rows.reward[5:])
  copy = _store(store.rows(5, 15), 10, stack_size=4)
  assert copy.num_added == 10


@hypothesis.given(episodes=_EPISODES, n_step=st.integers(1, 4))
def test_a_store_of_given_arrays_is_one_that_was_filled(episodes, n_step):
  rows = _rows(episodes)
  for column in rows:
    column.flags.writeable = False
  count = len(rows.action)
  held = frame_store.FrameStore.of(rows, 3)
  filled = _store(rows, count, stack_size=3)
  numbers = np.arange(count)
  assert (held.num_added, held.oldest) == (count, 0)
  sampleable = held.is_sampleable(numbers, n_step)
  np.testing.assert_array_equal(
      sampleable, filled.is_sampleable(numbers, n_step)
  )
  np.testing.assert_array_equal(held.stacks(numbers), filled.stacks(numbers))
  if sampleable.any():
    for a, b in zip(
        held.sample(9, n_step, _GAMMA, 0, 1),
        filled.sample(9, n_step, _GAMMA, 0, 1),
        strict=True,
    ):
      np.testing.assert_array_equal(a, b)


def test_a_store_of_given_arrays_copies_none():
  rows = _rows([_Episode(5, TERMINAL, True)])
  store = frame_store.FrameStore.of(rows, 2)
  rows.observation[...] = 7
  rows.teacher_values[...] = 8
  batch = store.sample(3, 1, _GAMMA, seed=0, index=0)
  assert set(batch.observation[..., -1].ravel()) == {7}
  assert store.teacher_values is rows.teacher_values


def test_teacher_values_are_filled_in_place():
  store = _store(_rows([_Episode(5, TERMINAL, True)]), 6, stack_size=2)
  store.teacher_values[...] = 8.0
  batch = store.sample(3, 1, _GAMMA, seed=0, index=0)
  np.testing.assert_array_equal(batch.extras, np.full((3, _ACTIONS), 8.0))


@pytest.mark.parametrize('start, stop', [(4, 8), (5, 16), (0, 15)])
def test_rows_that_are_not_held_are_refused(start, stop):
  store = _store(_rows([_Episode(14, TERMINAL, True)]), 10, stack_size=4)
  with pytest.raises(
      ValueError,
      match=f'Rows {start} to {stop} are not all held; the store has 5 to 15',
  ):
    store.rows(start, stop)


def test_more_rows_than_the_store_holds_are_refused():
  store = frame_store.FrameStore(4, _SHAPE, _ACTIONS, 4)
  with pytest.raises(ValueError, match='6 rows at once do not fit .* of 4'):
    store.extend(_rows([_Episode(5, TERMINAL, True)]))


@pytest.mark.parametrize(
    'episodes, held',
    [
        ([], 0),
        ([_Episode(3, CUT, True)], 3),
        ([_Episode(3, TERMINAL, False)], 4),
    ],
)
def test_a_store_without_a_transition_says_so(episodes, held):
  store = _store(_rows(episodes), 10, stack_size=5)
  with pytest.raises(
      ValueError,
      match=f'No 3-step transition can be sampled from the {held} rows held',
  ):
    store.sample(2, 3, _GAMMA, seed=0, index=0)


def test_each_reward_is_clipped_before_they_are_summed():
  count = 4
  store = frame_store.FrameStore(
      count, (1,), 2, 1, np.float32, reward_limit=1.0
  )
  store.extend(frame_store.Rows(
      observation=np.ones((count, 1), np.float32),
      action=np.zeros(count, np.int32),
      reward=np.array([5.0, -0.5, -7.0, 0.0], np.float32),
      is_first=np.arange(count) == 0,
      is_last=np.arange(count) == count - 1,
      is_terminal=np.zeros(count, bool),
      is_padded=np.ones(count, bool),
      teacher_values=np.zeros((count, 2), np.float32),
  ))
  transitions = store.transitions(np.arange(3), n_step=2, discount=0.5)
  assert transitions.reward.tolist() == [1 - 0.25, -0.5 - 0.5, -1.0]
  assert store.rows(0, count).reward.tolist() == [5.0, -0.5, -7.0, 0.0]


def test_vectors_are_not_stacked():
  generator = np.random.default_rng(0)
  count = 6
  observations = generator.normal(size=(count, 3)).astype(np.float32)
  store = frame_store.FrameStore(count, (3,), 2, 1, np.float32)
  store.extend(frame_store.Rows(
      observation=observations,
      action=np.zeros(count, np.int32),
      reward=np.zeros(count, np.float32),
      is_first=np.arange(count) == 0,
      is_last=np.arange(count) == count - 1,
      is_terminal=np.zeros(count, bool),
      is_padded=np.ones(count, bool),
      teacher_values=np.zeros((count, 2), np.float32),
  ))
  transitions = store.transitions(np.arange(5), n_step=2, discount=0.5)
  np.testing.assert_array_equal(transitions.observation, observations[:5])
  np.testing.assert_array_equal(
      transitions.next_observation, observations[[2, 3, 4, 5, 5]]
  )
