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


def test_a_stopwatch_adds_up_by_name():
  stopwatch = timing.Stopwatch()
  for name in ('a', 'b', 'a'):
    with stopwatch.measure(name):
      time.sleep(0.02)
  with pytest.raises(KeyError):
    with stopwatch.measure('b'):
      raise KeyError
  assert set(stopwatch.seconds) == {'a', 'b'}
  assert 0.04 <= stopwatch.seconds['a'] < 1
  assert 0.02 <= stopwatch.seconds['b'] < 1


def test_a_clock_goes_on_from_what_was_saved():
  clock = timing.Clock(wall_seconds=100.0, cpu_seconds=50.0)
  first = clock.total()
  time.sleep(0.02)
  second = clock.total()
  assert 100 <= first['wall_seconds'] <= second['wall_seconds'] - 0.02 < 110
  assert 50 <= first['cpu_seconds'] <= second['cpu_seconds'] < 60
