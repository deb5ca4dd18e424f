"""Tests of the comparison on suites against sums by hand."""

import io

import numpy as np
from PIL import Image
import pytest

from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import balloon_scores


def _flights(agent, returns, times=None, first=0, **ends):
  times = [0.5] * len(returns) if times is None else times
  return [
      balloon_flights.FlightScore(**{
          'agent': agent, 'seed': first + i, 'episode_return': episode_return,
          'time_within_radius': time, 'out_of_power': False,
          'envelope_burst': False, 'zeropressure': False, 'num_steps': 960,
          **ends})
      for i, (episode_return, time) in enumerate(zip(returns, times))
  ]


def test_agents_are_compared_on_the_seeds_that_all_flew():
  comparison = balloon_scores.compare(
      [
          *_flights('teacher', [900, 400, 500, 300], [0.9, 0.4, 0.5, 0.3]),
          *_flights('student', [450, 350, 310], [0.3, 0.5, 0.1], first=1),
          *_flights('random_walk', [100, 100, 100, 100, 100], [0.1] * 5),
      ],
      resamples=200,
  )
  assert comparison.seeds == (1, 2, 3)
  assert list(comparison.agents) == ['teacher', 'student', 'random_walk']
  student = comparison.agents['student']
  assert student.time_within_radius.value == pytest.approx(0.3)
  # -0.1, 0 and -0.2.
  assert student.difference.value == pytest.approx(-0.1)
  assert -0.2 <= student.difference.low <= -0.1 <= student.difference.high <= 0
  assert student.mean_return.value == pytest.approx(370)
  assert student.normalised_score.value == pytest.approx(270 / 300)
  assert comparison.agents['teacher'].normalised_score.value == 1
  assert comparison.agents['teacher'].difference is None
  assert comparison.agents['random_walk'].normalised_score.value == 0


def test_pairing_narrows_the_interval():
  """A student that is the teacher less a constant is measured exactly."""
  generator = np.random.default_rng(0)
  teacher = generator.uniform(200, 900, 60)
  comparison = balloon_scores.compare(
      [
          *_flights('teacher', teacher, teacher / 960),
          *_flights('student', teacher - 48, (teacher - 48) / 960),
          *_flights('random_walk', generator.uniform(50, 150, 60)),
      ],
      resamples=500,
  )
  student = comparison.agents['student']
  for value in (student.difference.value, student.difference.low,
                student.difference.high):
    assert value == pytest.approx(-0.05)
  alone = student.time_within_radius
  assert alone.high - alone.low > 0.05
  score = student.normalised_score
  assert score.low < score.value < score.high < 1
  assert score.high - score.low < 0.05


def test_the_interval_of_the_score_equals_that_of_a_loop():
  returns = {
      'teacher': [500.0, 450, 700, 620], 'student': [480.0, 300, 720, 400],
      'random_walk': [100.0, 150, 90, 60]}
  comparison = balloon_scores.compare(
      [f for name, values in returns.items() for f in _flights(name, values)],
      resamples=300)
  values = []
  for rows in np.random.default_rng(0).integers(4, size=(300, 4)):
    student, teacher, walk = (
        sum(returns[name][i] for i in rows) / 4
        for name in ('student', 'teacher', 'random_walk'))
    values.append((student - walk) / (teacher - walk))
  score = comparison.agents['student'].normalised_score
  assert (score.low, score.high) == pytest.approx(
      np.percentile(values, [2.5, 97.5]))


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
  times = [0.0, 0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0]
  comparison = balloon_scores.compare(
      _flights('a', [1] * 8, times), resamples=10)
  estimate = comparison.agents['a'].interquartile_mean
  assert estimate.value == pytest.approx((0.2 + 0.3 + 0.4 + 0.5) / 4)
  assert estimate.low <= estimate.value <= estimate.high


def test_ends_of_flights_are_counted():
  comparison = balloon_scores.compare(
      [
          *_flights('a', [1, 2, 3], out_of_power=True),
          *_flights('b', [1, 2, 3], envelope_burst=True),
          *_flights('c', [1, 2, 3], zeropressure=True),
      ],
      resamples=10,
  )
  counts = [(a.power_outages, a.bursts) for a in comparison.agents.values()]
  assert counts == [(3, 0), (0, 3), (0, 3)]
  assert comparison.agents['a'].normalised_score is None
  assert comparison.agents['a'].difference is None


def test_agents_without_a_common_seed_are_refused():
  with pytest.raises(ValueError, match='a, b flew no seed in common'):
    balloon_scores.compare(
        _flights('a', [1, 2]) + _flights('b', [1, 2], first=2), resamples=10)


def test_a_teacher_that_is_no_better_than_the_walk_is_refused():
  with pytest.raises(ValueError, match='not above random play'):
    balloon_scores.compare(
        _flights('teacher', [1, 2]) + _flights('random_walk', [3, 4]),
        resamples=10)


def _comparison():
  return balloon_scores.compare(
      [
          *_flights('teacher', [400, 500, 600], [0.4, 0.5, 0.6]),
          *_flights('student', [300, 500, 400], [0.3, 0.5, 0.4]),
          *_flights('random_walk', [100, 100, 100], [0.1, 0.1, 0.1]),
      ],
      resamples=1000,
  )


def test_the_picture_is_the_same_every_time():
  pictures = [balloon_scores.picture(_comparison()) for _ in range(2)]
  assert pictures[0] == pictures[1]
  assert Image.open(io.BytesIO(pictures[0].png)).format == 'PNG'
  assert pictures[0].title == 'Time within 50 km of the station (3 seeds)'
  assert 'teacher 50.0 (40.0 to 60.0) %; student 40.0' in (
      pictures[0].description)


def test_the_table_holds_every_agent():
  header, rule, *rows = balloon_scores.table(_comparison()).splitlines()
  assert header.count('|') == rule.count('|') == 9
  assert [row.split(' | ')[0] for row in rows] == [
      '| teacher', '| student', '| random_walk']
  assert rows[0].split(' | ')[3:] == [
      '\N{EN DASH}', '500 (400 to 600)', '1.00', '0', '0 |']


def test_the_table_has_no_empty_columns():
  comparison = balloon_scores.compare(_flights('a', [1]), resamples=10)
  assert balloon_scores.table(comparison) == (
      '| agent | TWR50 [%] | IQM [%] | mean return | power outages | bursts |\n'
      '| --- | --- | --- | --- | --- | --- |\n'
      '| a | 50.0 | 50.0 | 1 | 0 | 0 |\n')
