"""Tests that pieces of episodes hold each transition whole, and once."""

import hypothesis
from hypothesis import strategies as st
import numpy as np

from rrl_pipeline.replay import actor_rows
from rrl_pipeline.replay import episode_pieces
from rrl_pipeline.replay import frame_store

_GAMMA = 0.9


def _row(actor, number, ident, t, is_last=False) -> actor_rows.ActorRow:
  """A row whose frame, reward and teacher's value tell which one it is."""
  return actor_rows.ActorRow(
      observation=np.array([[ident % 250 + 1, ident // 250]], np.uint8),
      action=np.int32(ident % 3),
      reward=np.float32(ident + 0.25),
      is_first=np.bool_(t == 0),
      is_last=np.bool_(is_last),
      is_terminal=np.bool_(is_last and ident % 2 == 0),
      is_padded=np.True_,
      teacher_values=np.array([ident, 0, 0], np.float32),
      actor=np.int32(actor),
      number=np.int64(number),
      learner_steps=np.int64(0),
  )


def _play(lengths: list[list[int]]) -> list[list[actor_rows.ActorRow]]:
  """The rows of each actor: episodes of so many steps; negative for cut ones.

  The last one of each actor ends.
  """
  actors, ident = [], 0
  for actor, episodes in enumerate(lengths):
    rows = []
    for i, length in enumerate(episodes):
      ends = length > 0 or i == len(episodes) - 1
      for t in range(abs(length) + ends):
        rows.append(
            _row(actor, 10**6 * actor + len(rows), ident, t,
                 ends and t == abs(length))
        )
        ident += 1
    actors.append(rows)
  return actors


def _store(capacity: int, stack_size: int) -> frame_store.FrameStore:
  return frame_store.FrameStore(capacity, (1, 2), 3, stack_size)


def _transitions(store, n_step: int) -> list[tuple]:
  """All transitions that can be drawn, as comparable values, by row."""
  numbers = np.arange(store.oldest, store.num_added)
  numbers = numbers[store.is_sampleable(numbers, n_step)]
  batch = store.transitions(numbers, n_step, _GAMMA)
  return sorted(
      (int(ident), obs.tolist(), int(action), float(reward), float(discount),
       following.tolist())
      for ident, obs, action, reward, discount, following in zip(
          batch.extras[:, 0], batch.observation, batch.action, batch.reward,
          batch.discount, batch.next_observation, strict=True)
  )


_LENGTHS = st.integers(-40, 40).filter(bool)


@hypothesis.settings(max_examples=200)
@hypothesis.given(
    lengths=st.lists(
        st.lists(_LENGTHS, min_size=1, max_size=4), min_size=1, max_size=3
    ),
    stack_size=st.integers(1, 4),
    n_step=st.integers(1, 4),
    max_rows=st.integers(1, 30),
    seed=st.integers(0, 100),
)
def test_each_transition_is_there_once(
    lengths, stack_size, n_step, max_rows, seed
):
  actors = _play(lengths)
  expected = _store(1000, stack_size)
  for rows in actors:
    for row in rows:
      expected.extend(
          frame_store.Rows(*(np.array([v]) for v in actor_rows.row(row)))
      )
  pieces = episode_pieces.EpisodePieces(n_step, stack_size, max_rows)
  store = _store(2000, stack_size)
  order = np.repeat(np.arange(len(actors)), [len(rows) for rows in actors])
  iterators = [iter(rows) for rows in actors]
  for actor in np.random.default_rng(seed).permutation(order):
    for piece in pieces.add(next(iterators[actor])):
      assert len(piece.action) <= max(max_rows, 2 * (n_step + stack_size - 1))
      store.extend(piece)
  assert _transitions(store, n_step) == _transitions(expected, n_step)
  steps = sum(not row.is_last for rows in actors for row in rows)
  assert pieces.num_given == steps


def test_rows_around_a_gap_are_not_joined():
  rows = [_row(0, 5 + t, t, t, t == 30) for t in range(31)]
  pieces = episode_pieces.EpisodePieces(n_step=2, stack_size=3)
  store = _store(100, stack_size=3)
  for row in [*rows[:10], *rows[13:]]:
    for piece in pieces.add(row):
      store.extend(piece)
  found = [transition[0] for transition in _transitions(store, 2)]
  # Before the gap two more rows are needed, after it the frames of a stack.
  assert found == [*range(0, 8), *range(15, 30)]
  assert pieces.num_given == 27


def test_a_new_process_does_not_go_on_with_the_episode_of_the_old():
  pieces = episode_pieces.EpisodePieces(n_step=1, stack_size=1)
  for t in range(3):
    assert not pieces.add(_row(0, 100 + t, t, t))
  (piece,) = pieces.add(_row(0, 7, 50, 0))
  assert piece.reward.tolist() == [0.25, 1.25, 2.25]
  assert piece.is_first.tolist() == [True, False, False]


@hypothesis.given(
    cuts=st.lists(st.integers(1, 40), max_size=6),
    window=st.integers(1, 5),
    seed=st.integers(0, 100),
)
def test_rows_that_are_sent_again_are_known(cuts, window, seed):
  """A writer sends what was not confirmed again, as Reverb's does."""
  rows = [_row(0, 5 + t, t, t, t == 39) for t in range(40)]
  sent = []
  generator = np.random.default_rng(seed)
  for t, row in enumerate(rows):
    sent.append(row)
    if t in cuts:
      again = rows[max(0, t + 1 - window) : t + 1]
      sent += [again[i] for i in generator.permutation(len(again))]
  pieces = episode_pieces.EpisodePieces(n_step=2, stack_size=3)
  store = _store(100, stack_size=3)
  for row in sent:
    if not pieces.is_repeated(row):
      assert pieces.continues(row) == (not row.is_first)
      for piece in pieces.add(row):
        store.extend(piece)
  assert [t[0] for t in _transitions(store, 2)] == list(range(39))
  assert pieces.num_given == 39


def test_rows_that_overtake_others_leave_a_gap():
  pieces = episode_pieces.EpisodePieces(n_step=1, stack_size=1)
  rows = [_row(0, t, t, t) for t in range(6)]
  taken = []
  for t in (0, 1, 4, 2, 3, 5):
    if not pieces.is_repeated(rows[t]):
      taken.append((t, pieces.continues(rows[t])))
      pieces.add(rows[t])
  assert taken == [(0, False), (1, True), (4, False), (5, True)]
  # Another process has the same index, and numbers far from those.
  assert not pieces.is_repeated(_row(0, 2**40, 50, 0))
