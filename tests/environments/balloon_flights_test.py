"""Tests of what is kept of flights: nothing is lost, damage is said."""

import dataclasses

import numpy as np
import pytest

from rrl_pipeline.environments import balloon_flights as flights


def _score(agent: str = 'teacher', seed: int = 0) -> flights.FlightScore:
  return flights.FlightScore(
      agent=agent,
      seed=seed,
      episode_return=436.1234567890123 + seed,
      time_within_radius=1 / 3,
      out_of_power=False,
      envelope_burst=False,
      zeropressure=True,
      num_steps=17,
  )


def _course() -> flights.Course:
  angles = np.linspace(0, np.pi, 5)
  return flights.Course(
      seed=3,
      agent='teacher',
      seconds_per_step=180,
      position_km=np.stack([60 * np.cos(angles), 20 * np.sin(angles)], axis=1),
      altitude_km=np.linspace(15, 19, 5),
      battery=np.linspace(1, 0, 5),
      actions=np.array([0, 1, 2, 1], np.int32),
  )


def test_scores_come_back(tmp_path):
  path = tmp_path / 'a' / 'scores.jsonl'
  assert flights.read_scores(path) == []
  file = flights.ScoreFile(path)
  scores = [_score(seed=5), _score(seed=2), _score('student', 2)]
  for score in scores:
    file.append(score)
  assert file.scores == flights.read_scores(path) == scores
  assert flights.ScoreFile(path).scores == scores
  assert flights.by_agent(scores) == {
      'teacher': {2: scores[1], 5: scores[0]}, 'student': {2: scores[2]}}
  assert list(flights.by_agent(scores)['teacher']) == [2, 5]


@pytest.mark.parametrize('kept', [1, 30, -1])
def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path, kept):
  path = tmp_path / 'scores.jsonl'
  file = flights.ScoreFile(path)
  file.append(_score(seed=0))
  whole = path.read_bytes()
  file.append(_score(seed=1))
  second = path.read_bytes()[len(whole):]
  path.write_bytes(whole + second[:kept])
  assert flights.read_scores(path) == [_score(seed=0)]
  flights.ScoreFile(path).append(_score(seed=1))
  assert path.read_bytes() == whole + second


@pytest.mark.parametrize('line', ['{"agent": "a"}', 'not JSON', '[]'])
def test_a_damaged_line_is_named(tmp_path, line):
  path = tmp_path / 'scores.jsonl'
  flights.ScoreFile(path).append(_score())
  path.write_text(path.read_text() + line + '\n')
  with pytest.raises(ValueError, match=r'scores.jsonl:2 is damaged'):
    flights.read_scores(path)


def test_a_course_comes_back(tmp_path):
  course = _course()
  flights.write_course(tmp_path / 'course.npz', course)
  read = flights.read_course(tmp_path / 'course.npz')
  for field in dataclasses.fields(course):
    expected, value = (getattr(c, field.name) for c in (course, read))
    np.testing.assert_array_equal(value, expected)
    assert type(value) is type(expected)
  first = (tmp_path / 'course.npz').read_bytes()
  flights.write_course(tmp_path / 'course.npz', course)
  assert (tmp_path / 'course.npz').read_bytes() == first


def test_another_file_is_no_course(tmp_path):
  np.savez(tmp_path / 'course.npz', seed=1)
  with pytest.raises(ValueError, match='does not hold the course'):
    flights.read_course(tmp_path / 'course.npz')
  (tmp_path / 'text.npz').write_text('text')
  with pytest.raises(ValueError, match='does not hold the course'):
    flights.read_course(tmp_path / 'text.npz')


def test_wind_distance_and_time_within_radius():
  course = dataclasses.replace(
      _course(),
      position_km=np.array([[0, 0], [30, 40], [30, 41], [0, 50], [60, 0.]]),
  )
  np.testing.assert_allclose(
      course.wind * 180 / 1000, [[30, 40], [0, 1], [-30, 9], [60, -50]]
  )
  np.testing.assert_allclose(
      course.distance_km, [0, 50, np.hypot(30, 41), 50, 60]
  )
  # The start does not count; 50 km is within.
  assert course.time_within_radius == 0.5
