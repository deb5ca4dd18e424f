"""Tests of mixing sources by weight."""

from acme import types
import numpy as np
import pytest
from scipy import stats

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import mixture


def _store(number, num_rows=200):
  t = np.arange(num_rows)
  return frame_store.FrameStore.of(
      frame_store.Rows(
          observation=np.full((num_rows, 2, 1), number, np.uint8)
          + (t % 3).astype(np.uint8)[:, None, None],
          action=t.astype(np.int32),
          reward=t.astype(np.float32),
          is_first=t == 0,
          is_last=t == num_rows - 1,
          is_terminal=np.zeros(num_rows, bool),
          is_padded=np.ones(num_rows, bool),
          teacher_values=np.full((num_rows, 2), number, np.float32),
      ),
      stack_size=4,
  )


class _Recorder:
  """A source that notes what it is asked for."""

  def __init__(self, source):
    self._source = source
    self.asked = []
    self.given = []

  def sample(self, *arguments):
    self.asked.append(arguments)
    self.given.append(self._source.sample(*arguments))
    return self.given[-1]


def test_a_batch_joins_what_the_sources_give():
  sources = [_Recorder(_store(10 * i)) for i in range(3)]
  batch = mixture.Mixture(sources, [1, 2, 3]).sample(60, 3, 0.9, 7, 11)
  assert isinstance(batch, types.Transition)
  for name, column in batch._asdict().items():
    expected = [getattr(source.given[0], name) for source in sources]
    np.testing.assert_array_equal(column, np.concatenate(expected))
    assert column.dtype == expected[0].dtype and len(column) == 60
  seeds = []
  for source in sources:
    ((_, n_step, discount, seed, index),) = source.asked
    assert (n_step, discount, index) == (3, 0.9, 11)
    seeds.append(seed)
  assert len(set(seeds)) == 3


def test_frames_stay_whole_in_memory():
  batch = mixture.Mixture([_store(0), _store(9)], [1, 1]).sample(8, 3, 1, 0, 0)
  for stacks in (batch.observation, batch.next_observation):
    assert np.moveaxis(stacks, -1, 1).flags.c_contiguous


def test_weights_are_the_shares():
  weights = np.array([5.0, 1.0, 2.0])
  mixed = mixture.Mixture([_store(i) for i in range(3)], weights)
  counts = np.zeros(3)
  for index in range(500):
    batch = mixed.sample(32, 1, 0.9, 3, index)
    counts += np.bincount(batch.extras[:, 0].astype(int), minlength=3)
  expected = counts.sum() * weights / weights.sum()
  assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_a_batch_depends_on_its_number_only():
  def mixed():
    return mixture.Mixture([_store(0), _store(9)], [1, 3])

  used = mixed()
  for index in range(5):
    used.sample(8, 2, 0.9, 4, index)
  for a, b in zip(
      used.sample(8, 2, 0.9, 4, 5), mixed().sample(8, 2, 0.9, 4, 5),
      strict=True,
  ):
    np.testing.assert_array_equal(a, b)
  other = mixed().sample(8, 2, 0.9, 4, 6)
  assert not np.array_equal(other.action, used.sample(8, 2, 0.9, 4, 5).action)


@pytest.mark.parametrize('weights', [[1], [1, 2, 3], [1, 0], [1, -1]])
def test_each_source_needs_a_positive_weight(weights):
  with pytest.raises(ValueError, match='2 sources need as many positive'):
    mixture.Mixture([_store(0), _store(1)], weights)


@pytest.mark.parametrize(
    'batch_size, weights, expected',
    [
        (32, [1, 1], [16, 16]),
        (7, [1, 1], [4, 3]),
        (10, [1, 2, 4], [1, 3, 6]),  # 1.43, 2.86, 5.71
        (3, [1, 100], [0, 3]),
    ],
)
def test_shares_may_be_the_same_in_every_batch(batch_size, weights, expected):
  sources = [_Recorder(_store(10 * i)) for i in range(len(weights))]
  mixed = mixture.Mixture(sources, weights, is_exact=True)
  for index in range(20):
    batch = mixed.sample(batch_size, 3, 0.9, 7, index)
    assert len(batch.action) == batch_size
  for source, count in zip(sources, expected, strict=True):
    assert [asked[0] for asked in source.asked] == [count] * 20 * (count > 0)


def test_each_transition_is_drawn_from_a_source_with_its_probability():
  sources = [_Recorder(_store(10 * i)) for i in range(2)]
  mixed = mixture.Mixture(sources, [15, 1])
  for index in range(500):
    mixed.sample(32, 3, 0.9, 7, index)
  counts = [asked[0] for asked in sources[1].asked]
  assert stats.binomtest(sum(counts), 500 * 32, 1 / 16).pvalue > 1e-3
  assert len(set(counts)) > 3  # Not the same share in every batch.
