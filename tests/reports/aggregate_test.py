"""Tests of the aggregates against sums by hand and a bootstrap of our own."""

import numpy as np
import pytest

from rrl_pipeline.reports import aggregate

_SCORES = np.array([
    [0.0, 1.0],
    [0.2, 0.8],
    [0.4, 2.0],
    [0.6, -0.4],
])


def _iqm(values):
  """Mean of the middle half of eight values."""
  return sum(sorted(values)[2:6]) / 4


def test_aggregates_by_hand():
  estimates = aggregate.over_runs(_SCORES, resamples=10, seed=0)
  # Sorted: -0.4 0 | 0.2 0.4 0.6 0.8 | 1 2.
  assert estimates['iqm'].value == pytest.approx(0.5)
  # The tasks' means are 0.3 and 0.85.
  assert estimates['mean'].value == pytest.approx(0.575)
  assert estimates['median'].value == pytest.approx(0.575)
  # Shortfalls below 1: 1, 0.8, 0.6, 0.4 and 0, 0.2, 0, 1.4.
  assert estimates['optimality_gap'].value == pytest.approx(4.4 / 8)


def test_median_is_that_of_the_tasks():
  scores = np.array([[0.1, 0.2, 0.9], [0.3, 0.4, 0.7]])
  estimates = aggregate.over_runs(scores, resamples=10, seed=0)
  assert estimates['median'].value == pytest.approx(0.3)


def test_intervals_equal_those_of_a_loop():
  resamples = 200
  random = np.random.RandomState(7)
  iqms, gaps = [], []
  for _ in range(resamples):
    rows = random.choice(4, (4, 2))
    drawn = [_SCORES[rows[i, j], j] for i in range(4) for j in range(2)]
    iqms.append(_iqm(drawn))
    gaps.append(1 - sum(min(value, 1) for value in drawn) / 8)
  estimates = aggregate.over_runs(_SCORES, resamples, seed=7)
  for name, values in (('iqm', iqms), ('optimality_gap', gaps)):
    low, high = np.percentile(values, [2.5, 97.5])
    assert estimates[name].low == pytest.approx(low)
    assert estimates[name].high == pytest.approx(high)


def test_equal_seeds_agree_and_others_differ():
  first = aggregate.over_runs(_SCORES, 100, seed=1)
  np.random.random(5)
  assert aggregate.over_runs(_SCORES, 100, seed=1) == first
  assert aggregate.over_runs(_SCORES, 100, seed=2) != first


def test_the_global_generator_is_left_as_it_was():
  np.random.seed(3)
  expected = np.random.random(4)
  np.random.seed(3)
  aggregate.over_runs(_SCORES, 50, seed=1)
  np.testing.assert_array_equal(np.random.random(4), expected)


def test_a_single_run_has_no_interval():
  estimates = aggregate.over_runs(np.array([[0.25, 0.75]]), 50, seed=0)
  assert estimates['mean'] == aggregate.Estimate(0.5, None, None)
  assert all(e.low is None and e.high is None for e in estimates.values())


def test_episodes_have_an_interval_of_their_mean():
  returns = [10.0, 12.0, 20.0]
  estimate = aggregate.over_episodes(returns, 500, seed=4)
  random = np.random.RandomState(4)
  means = [
      np.mean([returns[i] for i in random.choice(3, (3, 1))[:, 0]])
      for _ in range(500)
  ]
  low, high = np.percentile(means, [2.5, 97.5])
  assert estimate.value == 14
  assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_a_single_episode_has_no_interval():
  assert aggregate.over_episodes([3.0], 10, 0) == aggregate.Estimate(3.0)


@pytest.mark.parametrize(
    'scores, resamples, message',
    (
        (np.zeros(3), 10, r'matrix \[num_runs, num_tasks\], got shape \(3,\)'),
        (np.zeros((0, 2)), 10, 'non-empty'),
        (np.array([[np.nan]]), 10, 'must be finite'),
        (np.zeros((2, 2)), 0, 'bootstrap_resamples must be at least 1, got 0'),
    ),
)
def test_bad_scores_are_refused(scores, resamples, message):
  with pytest.raises(ValueError, match=message):
    aggregate.over_runs(scores, resamples, 0)


def test_no_episodes_are_refused():
  with pytest.raises(ValueError, match='at least one episode, got none'):
    aggregate.over_episodes([], 10, 0)
