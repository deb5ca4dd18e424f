"""Tests of prioritised draws against exact probabilities and a plain loop."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import prioritized


def _rows(first, lengths, is_terminal=True, is_cut=False):
  """Episodes of these numbers of rows; each frame holds its row's number."""
  flags = []
  for length in lengths:
    flags += [(i == 0, i == length - 1) for i in range(length)]
  is_first, is_last = np.array(flags, bool).reshape(-1, 2).T
  if is_cut:
    is_last[-1] = False
  numbers = np.arange(first, first + len(is_first))
  return frame_store.Rows(
      observation=(numbers % 251).astype(np.uint8)[:, None, None],
      action=numbers.astype(np.int32),
      reward=numbers.astype(np.float32),
      is_first=is_first,
      is_last=is_last,
      is_terminal=is_last & is_terminal,
      is_padded=np.ones(len(is_first), bool),
      teacher_values=np.zeros((len(is_first), 2), np.float32),
  )


def _store(capacity, lengths=(), stack_size=4):
  store = frame_store.FrameStore(capacity, (1, 1), 2, stack_size)
  if lengths:
    store.extend(_rows(0, lengths))
  return store


def test_draws_are_in_proportion_to_priorities():
  store = _store(64, [10, 1, 30, 23])
  sampler = prioritized.PrioritizedSampler(store, n_step=3)
  numbers = np.arange(64)
  numbers = numbers[store.is_sampleable(numbers, 3)]
  assert len(numbers) == 60  # All but the last rows of four episodes.
  priorities = 0.05 + np.random.default_rng(0).gamma(0.7, size=60)
  priorities = priorities.astype(np.float32).astype(np.float64)
  sampler.update_priorities(numbers, priorities)
  counts = np.zeros(64)
  for index in range(1000):
    batch = sampler.sample(32, 0.99, seed=1, index=index)
    np.add.at(counts, batch.numbers, 1)
  expected = 32_000 * priorities / priorities.sum()
  assert stats.chisquare(counts[numbers], expected).pvalue > 1e-3
  assert counts.sum() == counts[numbers].sum()
  # Stratified: a transition comes at most once more than its whole share.
  share = 32 * priorities / priorities.sum()
  for index in range(50):
    batch = sampler.sample(32, 0.99, seed=2, index=index)
    drawn = np.array([(batch.numbers == n).sum() for n in numbers])
    assert (drawn <= np.floor(share) + 2).all()
    assert (drawn >= np.floor(share) - 1).all()


def test_weights_and_probabilities_are_exact():
  sampler = prioritized.PrioritizedSampler(_store(16, [9]), n_step=1)
  numbers = np.arange(8)
  priorities = np.sqrt(np.arange(8, dtype=np.float32) + 1e-10)
  sampler.update_priorities(numbers, priorities)
  batch = sampler.sample(500, 0.99, seed=0, index=0)
  drawn = priorities[batch.numbers].astype(np.float64)
  np.testing.assert_allclose(batch.probabilities, drawn / priorities.sum(),
                             rtol=1e-6)
  weights = 1 / np.sqrt(drawn + 1e-10)
  np.testing.assert_allclose(
      batch.importance_weights, weights / weights.max(), rtol=1e-6)
  assert batch.importance_weights.dtype == np.float32
  assert batch.importance_weights.max() == 1


def test_transitions_are_those_of_the_store():
  store = _store(64, [10, 30])
  sampler = prioritized.PrioritizedSampler(store, n_step=3)
  batch = sampler.sample(32, 0.9, seed=0, index=0)
  for got, expected in zip(
      batch.transitions, store.transitions(batch.numbers, 3, 0.9), strict=True):
    np.testing.assert_array_equal(got, expected)
  np.testing.assert_array_equal(batch.transitions.action, batch.numbers)


def test_new_rows_have_the_greatest_priority_ever_given():
  store = _store(100, [6])
  sampler = prioritized.PrioritizedSampler(store, n_step=1)
  assert sampler.state()['priorities'].tolist() == [1, 1, 1, 1, 1, 0]
  sampler.update_priorities(np.array([0, 1]), np.array([7.0, 0.5]))
  sampler.update_priorities(np.array([0]), np.array([2.0]))
  store.extend(_rows(6, [3]))
  assert sampler.state()['priorities'].tolist() == [
      2, 0.5, 1, 1, 1, 0, 7, 7, 0]


def test_late_priorities_of_dropped_rows_are_passed_over():
  store = _store(8, [8], stack_size=2)
  sampler = prioritized.PrioritizedSampler(store, n_step=1)
  sampler.sample(1, 0.9, 0, 0)
  store.extend(_rows(8, [3]))
  # Row 2 is overwritten, row 3 has lost a frame of its stack, row 7 is a last
  # one, and row 10 takes the slot of row 2.
  sampler.update_priorities(np.array([2, 3, 4, 7]), np.full(4, 9.0))
  assert sampler.state()['priorities'].tolist() == [0, 9, 1, 1, 0, 1, 1, 0]


@pytest.mark.parametrize('priority', [0.0, -1.0, np.nan, np.inf])
def test_priorities_must_be_positive(priority):
  sampler = prioritized.PrioritizedSampler(_store(8, [8]), n_step=1)
  with pytest.raises(ValueError, match='positive and finite, got .* row 3'):
    sampler.update_priorities(np.array([1, 3]), np.array([1.0, priority]))


def test_nothing_to_sample_is_an_error():
  store = _store(8)
  sampler = prioritized.PrioritizedSampler(store, n_step=2)
  with pytest.raises(ValueError, match='No 2-step transition .* 0 rows held'):
    sampler.sample(1, 0.9, 0, 0)
  store.extend(_rows(0, [2], is_cut=True))
  with pytest.raises(ValueError, match='No 2-step transition .* 2 rows held'):
    sampler.sample(1, 0.9, 0, 0)
  store.extend(_rows(2, [1], is_cut=True)._replace(is_first=np.zeros(1, bool)))
  assert sampler.sample(3, 0.9, 0, 0).numbers.tolist() == [0, 0, 0]


def test_a_batch_depends_on_its_number_and_the_state_only():
  def sampler():
    made = prioritized.PrioritizedSampler(_store(64, [30]), n_step=3)
    made.update_priorities(np.arange(29), np.linspace(1, 5, 29))
    return made

  used = sampler()
  for index in range(5):
    used.sample(8, 0.9, 4, index)
  first, second = used.sample(8, 0.9, 4, 5), sampler().sample(8, 0.9, 4, 5)
  np.testing.assert_array_equal(first.numbers, second.numbers)
  others = [used.sample(8, 0.9, 4, 6), used.sample(8, 0.9, 5, 5)]
  assert all(not np.array_equal(first.numbers, o.numbers) for o in others)


def test_a_state_of_other_rows_is_refused():
  state = prioritized.PrioritizedSampler(_store(8, [6]), 1).state()
  sampler = prioritized.PrioritizedSampler(_store(8, [7]), 1)
  with pytest.raises(ValueError, match='6 rows up to 6, but .* 7 up to 7'):
    sampler.restore(state)


@dataclasses.dataclass
class _Model:
  """The sampler as loops over numbers of rows."""

  store: frame_store.FrameStore
  n_step: int
  priorities: dict[int, float] = dataclasses.field(default_factory=dict)
  max_priority: float = 1.0

  def follow(self):
    held = range(self.store.oldest, self.store.num_added)
    usable = [n for n in held
              if self.store.is_sampleable(np.array([n]), self.n_step)[0]]
    self.priorities = {
        n: self.priorities.get(n, self.max_priority) for n in usable}

  def update(self, numbers, priorities):
    self.follow()
    for number, priority in zip(numbers, priorities):
      if number in self.priorities:
        self.priorities[number] = priority
      self.max_priority = max(self.max_priority, priority)

  def vector(self):
    self.follow()
    return [self.priorities.get(n, 0.0)
            for n in range(self.store.oldest, self.store.num_added)]


@hypothesis.given(
    st.integers(4, 20), st.integers(1, 4), st.integers(1, 4), st.data())
@hypothesis.settings(max_examples=150)
def test_a_sampler_is_a_loop_over_rows(capacity, n_step, stack_size, data):
  store = _store(capacity, stack_size=stack_size)
  sampler = prioritized.PrioritizedSampler(store, n_step)
  model = _Model(store, n_step)
  begins = True
  for _ in range(data.draw(st.integers(1, 8))):
    what = data.draw(st.sampled_from(['extend', 'update', 'sample', 'resume']))
    if what == 'extend':
      count = data.draw(st.integers(1, capacity))
      ends = data.draw(st.booleans())
      rows = _rows(store.num_added, [count], is_cut=not ends)
      rows.is_first[0] = begins
      begins = ends
      store.extend(rows)
    elif what == 'update' and store.num_added:
      numbers = np.array(data.draw(st.lists(
          st.integers(0, store.num_added - 1), min_size=1, max_size=6)))
      priorities = np.array(data.draw(st.lists(
          st.sampled_from([0.25, 0.5, 2.0, 8.0]),
          min_size=len(numbers), max_size=len(numbers))))
      sampler.update_priorities(numbers, priorities)
      model.update(numbers.tolist(), priorities.tolist())
    elif what == 'resume':
      state = sampler.state()
      sampler = prioritized.PrioritizedSampler(store, n_step)
      sampler.restore(state)
      model.follow()
    elif sum(model.vector()):
      batch = sampler.sample(16, 0.9, 0, data.draw(st.integers(0, 99)))
      vector = model.vector()
      expected = [vector[n - store.oldest] / sum(vector) for n in batch.numbers]
      assert min(expected) > 0
      np.testing.assert_allclose(batch.probabilities, expected)
  # The model sees each of the sampler's moments, in which priorities are given.
  np.testing.assert_array_equal(sampler.state()['priorities'], model.vector())
