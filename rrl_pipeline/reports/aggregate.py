"""Aggregate scores with bootstrap confidence intervals.

A thin, seeded layer over rliable (Agarwal et al., 2021, arXiv:2108.13264). Two
kinds of interval are kept apart, since they answer different questions:

- over *runs*: how would the figure change with other seeds? Needs at least two
  runs of every task.
- over *evaluation episodes*: how well is this one agent's mean return known?
  Says nothing about other seeds.
"""

import contextlib
import dataclasses
from typing import Iterator, Mapping, Optional, Sequence

import numpy as np
from rliable import library
from rliable import metrics

CONFIDENCE = 0.95

_METRICS = {
    'iqm': metrics.aggregate_iqm,
    'mean': metrics.aggregate_mean,
    'median': metrics.aggregate_median,
    'optimality_gap': metrics.aggregate_optimality_gap,
}


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A figure, with its interval where one can be given.

  Attributes:
    value: the point estimate.
    low: lower end of the 95 % percentile interval; None without interval.
    high: upper end of it; None without interval.
  """

  value: float
  low: Optional[float] = None
  high: Optional[float] = None


def over_runs(
    scores: np.ndarray, resamples: int, seed: int
) -> Mapping[str, Estimate]:
  """Aggregates scores over runs and tasks.

  Args:
    scores: [num_runs, num_tasks] normalised scores.
    resamples: how often the stratified bootstrap redraws the runs of each task.
    seed: of the bootstrap; equal seeds give equal intervals.

  Returns:
    'iqm' (mean of the middle half of all scores), 'mean' and 'median' (of the
    tasks' means) and 'optimality_gap' (mean shortfall below a score of 1).
    With a single run per task the estimates carry no interval: a resample
    could only repeat that run, and an interval of width zero would be a lie.

  Raises:
    ValueError: the scores are not a finite, non-empty matrix, or `resamples`
      is not positive.
  """
  scores = np.asarray(scores, dtype=np.float64)
  if scores.ndim != 2 or scores.size == 0:
    raise ValueError(
        'scores must be a non-empty matrix [num_runs, num_tasks], got shape'
        f' {scores.shape}'
    )
  check(scores, resamples)
  if scores.shape[0] == 1:
    return {
        name: Estimate(float(metric(scores)))
        for name, metric in _METRICS.items()
    }
  return _bootstrap(scores, tuple(_METRICS), resamples, seed)


def over_episodes(
    returns: Sequence[float], resamples: int, seed: int
) -> Estimate:
  """The mean return of one agent, with its interval over episodes.

  Args:
    returns: [num_episodes] of one evaluation of one agent.
    resamples: how often the bootstrap redraws the episodes.
    seed: of the bootstrap; equal seeds give equal intervals.

  Returns:
    The mean; without interval if there is a single episode.

  Raises:
    ValueError: the returns are not finite or there are none, or `resamples` is
      not positive.
  """
  column = np.asarray(returns, dtype=np.float64).reshape(-1, 1)
  if not column.size:
    raise ValueError('expected the returns of at least one episode, got none')
  check(column, resamples)
  if len(column) == 1:
    return Estimate(float(column[0, 0]))
  return _bootstrap(column, ('mean',), resamples, seed)['mean']


def check(values: np.ndarray, resamples: int) -> None:
  """Raises ValueError unless the scores are finite and `resamples` positive."""
  if not np.isfinite(values).all():
    raise ValueError(f'scores must be finite, got {values.ravel().tolist()}')
  if resamples < 1:
    raise ValueError(
        f'bootstrap_resamples must be at least 1, got {resamples}; rliable'
        ' itself uses 2000 for profiles and 50000 for intervals'
    )


def _bootstrap(
    scores: np.ndarray, names: Sequence[str], resamples: int, seed: int
) -> Mapping[str, Estimate]:
  """Stratified bootstrap of several metrics on the same resamples."""
  with global_numpy_seed(seed):
    points, intervals = library.get_interval_estimates(
        {'scores': scores},
        lambda x: np.array([_METRICS[name](x) for name in names]),
        reps=resamples,
        confidence_interval_size=CONFIDENCE,
    )
  return {
      name: Estimate(float(value), float(low), float(high))
      for name, value, low, high in zip(
          names, points['scores'], *intervals['scores']
      )
  }


@contextlib.contextmanager
def global_numpy_seed(seed: int) -> Iterator[None]:
  """Seeds NumPy's global generator, and puts its state back afterwards.

  rliable 1.2 takes a `random_state`, but draws its resamples from the global
  generator all the same.
  """
  state = np.random.get_state()
  np.random.seed(seed)
  try:
    yield
  finally:
    np.random.set_state(state)
