"""Tests of sampling through a pool: what is in it, and how it deviates."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import rolling_pool

_GAMMA = 0.9


def _rows(episode, length):
  """An episode whose rows say in `teacher_values` which they are."""
  t = np.arange(length)
  values = np.stack([np.full(length, episode), t], 1)
  return frame_store.Rows(
      observation=(values + 1).astype(np.uint8)[:, None],
      action=t.astype(np.int32),
      reward=t.astype(np.float32),
      is_first=t == 0,
      is_last=t == length - 1,
      is_terminal=(t == length - 1) & (episode % 2 == 0),
      is_padded=np.full(length, episode % 3 > 0),
      teacher_values=values.astype(np.float32),
  )


def _pool(lengths, capacity, rows_per_batch, seed=0, **options):
  return rolling_pool.RollingPool(
      lengths,
      lambda i: _rows(i, lengths[i]),
      capacity,
      rows_per_batch,
      stack_size=3,
      seed=seed,
      **options,
  )


def _assert_equal(batch, other):
  for a, b in zip(batch, other, strict=True):
    np.testing.assert_array_equal(a, b)


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    lengths=st.lists(st.integers(3, 12), min_size=1, max_size=9),
    spare=st.integers(0, 60),
    rows_per_batch=st.floats(0.1, 30),
    indices=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    seed=st.integers(0, 3),
)
def test_the_pool_is_what_an_endless_ring_would_hold(
    lengths, spare, rows_per_batch, indices, seed
):
  capacity = max(lengths) + spare
  pool = _pool(lengths, capacity, rows_per_batch, seed)
  # In the order asked for, which may go back and forth as a resumed run does.
  for index in indices:
    # The model reads one episode after the other from the very beginning.
    ring = frame_store.FrameStore(capacity, (1, 2), 2, 3)
    due, number = capacity + int(index * rows_per_batch), 0
    while ring.num_added < due:
      order = np.random.Generator(
          np.random.Philox(key=[seed, number])
      ).permutation(len(lengths))
      for episode in order:
        if ring.num_added < due:
          ring.extend(_rows(episode, lengths[episode]))
      number += 1
    numbers = np.arange(ring.oldest, ring.num_added)
    if ring.is_sampleable(numbers, 2).any():
      _assert_equal(
          pool.sample(8, 2, _GAMMA, 5, index),
          ring.sample(8, 2, _GAMMA, 5, index),
      )


def test_a_restored_run_gets_the_very_next_batch():
  lengths = list(np.random.default_rng(0).integers(5, 40, 30))
  pool = _pool(lengths, 120, 8)
  batches = [pool.sample(16, 3, _GAMMA, 1, index) for index in range(200)]
  for index in (0, 1, 77, 199):
    _assert_equal(
        _pool(lengths, 120, 8).sample(16, 3, _GAMMA, 1, index), batches[index]
    )


def _draws(pool, batch_size, indices):
  """Which transition each draw was, [len(indices), batch_size, 2]."""
  return np.stack([
      pool.sample(batch_size, 1, _GAMMA, 2, index).extras for index in indices
  ]).astype(int)


def test_a_pass_draws_every_transition_equally_often_on_average():
  # A pool of a tenth of the rows, each drawn four times in its stay.
  lengths = [21] * 100
  batch_size, rows_per_batch = 42, 10.5
  pool = _pool(lengths, 210, rows_per_batch)
  per_pass = int(sum(lengths) / rows_per_batch)
  # From when the rows that filled the pool have left.
  first = int(210 / rows_per_batch)
  counts = np.zeros((100, 21))
  passes = 40
  for draw in _draws(pool, batch_size, range(first, first + passes * per_pass)):
    np.add.at(counts, (draw[:, 0], draw[:, 1]), 1)
  # Nothing is drawn in a last row, nor where a stack would need frames from
  # before an episode that has no start.
  assert not counts[:, 20].any() and not counts[::3, :2].any()
  counts = np.delete(counts, np.arange(0, 100, 3), axis=0)[:, :20]
  mean = counts.mean()
  # 4 times a pass; a little more as some rows cannot be drawn.
  assert 4 * passes < mean < 4.6 * passes
  # Whole episodes: their draws are as even as independent ones, or more.
  assert counts.sum(axis=1).std() < 3 * np.sqrt(20 * mean)
  # Nor do some steps of an episode stand out.
  assert stats.chisquare(counts.sum(axis=0)).pvalue > 1e-3


def test_two_draws_of_a_batch_share_an_episode_as_if_the_pool_were_all():
  lengths = [20] * 50
  whole = frame_store.FrameStore(1000, (1, 2), 2, 3)
  for episode in range(50):
    whole.extend(_rows(episode, 20))

  def share(source):
    episodes = _draws(source, 20, range(0, 4000, 4))[:, :, 0]
    equal = episodes[:, :, None] == episodes[:, None, :]
    return (equal.sum(axis=(1, 2)) - 20).mean() / (20 * 19)

  # One in 50 from the whole; one in 5, or 6 with those that enter and leave,
  # from a pool that holds a tenth.
  assert share(whole) == pytest.approx(1 / 50, rel=0.05)
  assert 1 / 6.2 < share(_pool(lengths, 100, 5)) < 1 / 4.6


def test_the_teacher_is_asked_for_each_stack_that_enters():
  asked = []

  def annotate(stacks):
    asked.append(len(stacks))
    return stacks[:, 0].sum(axis=-1).astype(np.float32) * [1, 100]

  lengths = [7, 9, 5, 12]
  plain = _pool(lengths, 20, 4).sample(50, 2, _GAMMA, 0, 9)
  batch = _pool(lengths, 20, 4, annotate=annotate).sample(50, 2, _GAMMA, 0, 9)
  np.testing.assert_array_equal(batch.observation, plain.observation)
  np.testing.assert_array_equal(
      batch.extras, plain.observation[:, 0].sum(axis=-1) * [1, 100]
  )
  assert set(asked) <= set(lengths)


def test_an_episode_that_does_not_fit_is_refused():
  with pytest.raises(
      ValueError, match='pool of 10 rows cannot hold an episode of 12; give it'
  ):
    _pool([3, 12], 10, 1)


def test_damage_that_is_met_while_reading_ahead_is_reported():
  def read(episode):
    if episode == 3:
      raise ValueError('episode 3 is damaged')
    return _rows(episode, 5)

  pool = rolling_pool.RollingPool([5] * 4, read, 5, 5, 3, 0)
  with pytest.raises(ValueError, match='episode 3 is damaged'):
    for index in range(8):
      pool.sample(4, 1, _GAMMA, 0, index)
