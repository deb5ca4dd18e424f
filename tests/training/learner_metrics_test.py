"""Tests of the means of metrics and of the stopwatch."""

import time

import numpy as np
import pytest

from rrl_pipeline.agents import learning
from rrl_pipeline.training import learner_metrics
from rrl_pipeline.training import timing


def _metrics(start: float) -> learning.LearnerMetrics:
  return learning.LearnerMetrics(*(np.float32(start + i) for i in range(6)))


def test_means_are_taken_since_the_last_time():
  means = learner_metrics.MeanMetrics()
  assert not means.take()
  for start in (0.0, 1.0, 5.0):
    means.add(_metrics(start))
  assert means.take() == {
      name: 2.0 + i
      for i, name in enumerate(learning.LearnerMetrics._fields[:6])
  }
  assert not means.take()
  means.add(_metrics(7.0))
  assert means.take()['loss'] == 7.0


def test_what_only_some_steps_measured_is_the_mean_of_those():
  means = learner_metrics.MeanMetrics()
  for start, gap in ((0.0, None), (1.0, 3.0), (2.0, 5.0)):
    means.add(_metrics(start)._replace(action_gap=gap))
  taken = means.take()
  assert taken['action_gap'] == 4.0 and taken['loss'] == 1.0
  assert 'gradient_cosine' not in taken


@pytest.mark.parametrize('unit', [1.0, np.array([1.0, 0.5])])
def test_a_stopwatch_adds_up_by_name(unit):
  times = iter([0.0, 2.0, 10.0, 13.0, 20.0, 24.0, 30.0, 35.0])
  stopwatch = timing.Stopwatch(lambda: next(times) * unit)
  for name in ('a', 'b', 'a'):
    with stopwatch.measure(name):
      pass
  with pytest.raises(KeyError):
    with stopwatch.measure('b'):
      raise KeyError
  assert set(stopwatch.seconds) == {'a', 'b'}
  np.testing.assert_array_equal(stopwatch.seconds['a'], (2 + 4) * unit)
  np.testing.assert_array_equal(stopwatch.seconds['b'], (3 + 5) * unit)


def test_a_stopwatch_is_the_walls():
  stopwatch = timing.Stopwatch()
  with stopwatch.measure('a'):
    time.sleep(0.02)
  assert 0.02 <= stopwatch.seconds['a'] < 1


def test_a_clock_goes_on_from_what_was_saved():
  clock = timing.Clock(wall_seconds=100.0, cpu_seconds=50.0)
  first = clock.total()
  time.sleep(0.02)
  second = clock.total()
  assert 100 <= first['wall_seconds'] <= second['wall_seconds'] - 0.02 < 110
  assert 50 <= first['cpu_seconds'] <= second['cpu_seconds'] < 60
