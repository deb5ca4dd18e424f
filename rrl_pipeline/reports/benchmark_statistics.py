"""What is compared between methods: seeded layers over rliable.

As in `aggregate`, intervals are over runs and need at least two of every task;
with a single one the estimates carry none. In the shapes, R is the number of
runs of each task, T of tasks, F of positions along a curve.
"""

from typing import Callable

import numpy as np
from rliable import library
from rliable import metrics

from rrl_pipeline.reports import aggregate


def probability_of_improvement(
    x: np.ndarray, y: np.ndarray, resamples: int, seed: int
) -> aggregate.Estimate:
  """How likely a run of one method beats a run of another on the same task.

  It is the Mann-Whitney statistic of each task, ties counted half, averaged
  over tasks (Agarwal et al., 2021, section 4.3). It says nothing about how
  large the improvement is.

  Args:
    x: [R, T] scores of the method that may be better.
    y: [R', T] scores of the other.
    resamples: of the stratified bootstrap of both.
    seed: of the bootstrap.
  """
  return _compare(_share_of_wins, x, y, resamples, seed)


def difference_of_iqm(
    x: np.ndarray, y: np.ndarray, resamples: int, seed: int
) -> aggregate.Estimate:
  """The IQM of one method minus that of another; arguments as above."""
  return _compare(
      lambda a, b: metrics.aggregate_iqm(a) - metrics.aggregate_iqm(b),
      x,
      y,
      resamples,
      seed,
  )


def performance_profile(
    scores: np.ndarray, thresholds: np.ndarray, resamples: int, seed: int
) -> list[aggregate.Estimate]:
  """The share of runs whose score is above each threshold.

  Args:
    scores: [R, T].
    thresholds: [F] ascending.
    resamples: of the stratified bootstrap.
    seed: of the bootstrap.

  Returns:
    One estimate for each threshold.
  """
  scores = np.asarray(scores, dtype=np.float64)
  aggregate.check(scores, resamples)
  if len(scores) == 1:
    return [
        aggregate.Estimate(float((scores > threshold).mean()))
        for threshold in thresholds
    ]
  with aggregate.global_numpy_seed(seed):
    profiles, intervals = library.create_performance_profile(
        {'scores': scores},
        thresholds,
        reps=resamples,
        confidence_interval_size=aggregate.CONFIDENCE,
    )
  return _estimates(profiles['scores'], intervals['scores'])


def iqm_curve(
    scores: np.ndarray, resamples: int, seed: int
) -> list[aggregate.Estimate]:
  """The IQM over runs and tasks at each position of aligned curves.

  Args:
    scores: [R, T, F].
    resamples: of the stratified bootstrap, which redraws whole runs.
    seed: of the bootstrap.

  Returns:
    One estimate for each position.
  """
  scores = np.asarray(scores, dtype=np.float64)
  aggregate.check(scores, resamples)

  def iqm(values: np.ndarray) -> np.ndarray:
    return np.array([
        metrics.aggregate_iqm(values[..., position])
        for position in range(values.shape[-1])
    ])

  if len(scores) == 1:
    return [aggregate.Estimate(float(value)) for value in iqm(scores)]
  with aggregate.global_numpy_seed(seed):
    points, intervals = library.get_interval_estimates(
        {'scores': scores},
        iqm,
        reps=resamples,
        confidence_interval_size=aggregate.CONFIDENCE,
    )
  return _estimates(points['scores'], intervals['scores'])


def _share_of_wins(x: np.ndarray, y: np.ndarray) -> float:
  """What `metrics.probability_of_improvement` returns, thirty times as fast.

  It calls a statistical test of SciPy for each task of each resample.
  """
  difference = x[:, None] - y[None]
  return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _compare(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    x: np.ndarray,
    y: np.ndarray,
    resamples: int,
    seed: int,
) -> aggregate.Estimate:
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  for scores in (x, y):
    aggregate.check(scores, resamples)
  if x.shape[1:] != y.shape[1:]:
    raise ValueError(
        'methods can be compared on the same tasks only, got scores of shape'
        f' {x.shape} and {y.shape}'
    )
  if len(x) == 1 or len(y) == 1:
    return aggregate.Estimate(float(statistic(x, y)))
  with aggregate.global_numpy_seed(seed):
    points, intervals = library.get_interval_estimates(
        {'pair': (x, y)},
        lambda a, b: np.array([statistic(a, b)]),
        reps=resamples,
        confidence_interval_size=aggregate.CONFIDENCE,
    )
  return _estimates(points['pair'], intervals['pair'])[0]


def _estimates(
    values: np.ndarray, intervals: np.ndarray
) -> list[aggregate.Estimate]:
  return [
      aggregate.Estimate(float(value), float(low), float(high))
      for value, low, high in zip(values, *intervals, strict=True)
  ]
