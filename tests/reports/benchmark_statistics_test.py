"""Tests of the comparisons against counting and sorting by hand."""

import itertools

import numpy as np
import pytest
from rliable import library
from rliable import metrics

from rrl_pipeline.reports import aggregate
from rrl_pipeline.reports import benchmark_statistics

_X = np.array([[0.1, 0.9], [0.5, 0.7], [0.8, 0.3]])
_Y = np.array([[0.2, 0.4], [0.5, 0.6], [0.3, 0.2]])


def _iqm(values):
  """Mean of what is left without a quarter at each end."""
  values = sorted(np.ravel(values))
  cut = len(values) // 4
  return float(np.mean(values[cut : len(values) - cut]))


def _wins(x, y):
  """Share of pairs in which x is greater, ties counted half, over tasks."""
  shares = []
  for column_x, column_y in zip(np.transpose(x), np.transpose(y)):
    pairs = list(itertools.product(column_x, column_y))
    shares.append(
        sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
    )
  return float(np.mean(shares))


def test_probability_of_improvement_counts_pairs():
  estimate = benchmark_statistics.probability_of_improvement(_X, _Y, 50, 0)
  assert estimate.value == pytest.approx(_wins(_X, _Y))
  assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
  other = benchmark_statistics.probability_of_improvement(_Y, _X, 50, 0)
  assert other.value == pytest.approx(1 - estimate.value)


def test_probability_of_improvement_is_that_of_rliable():
  generator = np.random.default_rng(1)
  # Few different values: many ties.
  x, y = (generator.integers(0, 4, (n, 3)) / 4 for n in (5, 4))
  estimate = benchmark_statistics.probability_of_improvement(x, y, 200, 7)
  with aggregate.global_numpy_seed(7):
    points, intervals = library.get_interval_estimates(
        {'pair': (x, y)},
        lambda a, b: np.array([metrics.probability_of_improvement(a, b)]),
        reps=200,
    )
  assert estimate.value == pytest.approx(points['pair'][0])
  assert (estimate.low, estimate.high) == pytest.approx(intervals['pair'][:, 0])


def test_probability_of_improvement_of_a_method_over_itself_is_one_half():
  estimate = benchmark_statistics.probability_of_improvement(_X, _X, 20, 0)
  assert estimate.value == 0.5


def test_difference_of_iqm_and_its_interval_equal_a_loop():
  resamples = 150
  random = np.random.RandomState(3)
  values = []
  for _ in range(resamples):
    # rliable redraws the runs of each task, of the first method and then of
    # the second.
    drawn = []
    for scores in (_X, _Y):
      rows = random.choice(3, (3, 2))
      drawn.append(scores[rows, np.arange(2)])
    values.append(_iqm(drawn[0]) - _iqm(drawn[1]))
  low, high = np.percentile(values, [2.5, 97.5])
  estimate = benchmark_statistics.difference_of_iqm(_X, _Y, resamples, 3)
  assert estimate.value == pytest.approx(_iqm(_X) - _iqm(_Y))
  assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_performance_profile_counts_runs_above():
  thresholds = np.array([0.0, 0.3, 0.65, 0.95])
  estimates = benchmark_statistics.performance_profile(_X, thresholds, 50, 0)
  assert [e.value for e in estimates] == pytest.approx([1, 4 / 6, 3 / 6, 0])
  assert all(e.low <= e.value <= e.high for e in estimates)


def test_iqm_curve_is_the_iqm_at_each_position():
  curves = np.random.default_rng(0).normal(size=(4, 2, 3))
  estimates = benchmark_statistics.iqm_curve(curves, 100, 1)
  for position, estimate in enumerate(estimates):
    assert estimate.value == pytest.approx(_iqm(curves[..., position]))
    assert estimate.low <= estimate.value <= estimate.high


def test_equal_seeds_agree_and_others_differ():
  def run(seed):
    return (
        benchmark_statistics.probability_of_improvement(_X, _Y, 40, seed),
        benchmark_statistics.difference_of_iqm(_X, _Y, 40, seed),
        benchmark_statistics.performance_profile(_X, np.array([0.5]), 40, seed),
        benchmark_statistics.iqm_curve(_X[..., None], 40, seed),
    )

  first = run(1)
  np.random.random(3)
  assert run(1) == first
  assert run(2) != first


def test_a_single_run_has_no_interval():
  one = _X[:1]
  for estimate in (
      benchmark_statistics.probability_of_improvement(one, _Y, 10, 0),
      benchmark_statistics.difference_of_iqm(_X, _Y[:1], 10, 0),
      *benchmark_statistics.performance_profile(one, np.array([0.5]), 10, 0),
      *benchmark_statistics.iqm_curve(one[..., None], 10, 0),
  ):
    assert (estimate.low, estimate.high) == (None, None)
  profile = benchmark_statistics.performance_profile(
      one, np.array([0.5]), 10, 0
  )
  assert profile == [aggregate.Estimate(0.5)]


def test_other_tasks_are_refused():
  with pytest.raises(ValueError, match=r'\(3, 2\) and \(3, 1\)'):
    benchmark_statistics.difference_of_iqm(_X, _Y[:, :1], 10, 0)
  with pytest.raises(ValueError, match='must be finite'):
    benchmark_statistics.difference_of_iqm(_X, _Y * np.nan, 10, 0)
