"""Tests of the evaluation on suites: a flight, and a suite in processes."""

import functools

import numpy as np
import pytest

from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.training import balloon_evaluation


@pytest.fixture(scope='module', name='environment')
def fixture_environment():
  pytest.importorskip(
      'balloon_learning_environment', reason='it is flown: .[balloon]'
  )
  return balloon_evaluation.make_environment()


@pytest.fixture(name='short')
def fixture_short(monkeypatch):
  monkeypatch.setattr(balloon_evaluation, 'MAX_STEPS', 12)


def test_a_flight_is_that_of_its_actions(environment, short):
  choices = np.random.default_rng(0).integers(3, size=13)
  waiting = iter(choices)
  pilot = balloon_evaluation.greedy_pilot(
      lambda batch: np.full(len(batch), next(waiting))
  )
  score, course = balloon_evaluation.fly('some', pilot, environment, 7)

  environment.seed(7)
  environment.reset()
  total, within, states, winds = 0.0, 0, [], []
  for step in range(13):
    state = environment.get_simulator_state()
    balloon = state.balloon_state
    states.append([balloon.x.kilometers, balloon.y.kilometers])
    winds.append(state.wind_field.get_ground_truth(
        balloon.x, balloon.y, balloon.pressure, balloon.time_elapsed))
    if step:
      within += np.hypot(*states[-1]) <= 50
    if step < 12:
      total += environment.step(choices[step])[1]
  assert score == balloon_flights.FlightScore(
      agent='some', seed=7, episode_return=pytest.approx(total, abs=1e-12),
      time_within_radius=within / 12, out_of_power=False,
      envelope_burst=False, zeropressure=False, num_steps=12)
  np.testing.assert_allclose(course.position_km, states, rtol=1e-12)
  np.testing.assert_array_equal(course.actions, choices[:12])
  assert course.time_within_radius == score.time_within_radius
  np.testing.assert_allclose(
      course.wind,
      [[w.u.meters_per_second, w.v.meters_per_second] for w in winds[:12]],
      rtol=1e-6)
  # The floor and the ceiling of the balloon.
  assert ((course.altitude_km > 14) & (course.altitude_km < 21)).all()
  assert ((course.battery > 0) & (course.battery <= 1)).all()


def test_the_random_walk_flies_the_same_each_time(environment, short):
  flights = [
      balloon_evaluation.fly(
          'walk', balloon_evaluation.load_pilot('random_walk'), environment, s
      )[0]
      for s in (1, 2, 1)
  ]
  assert flights[0] == flights[2] != flights[1]


def test_suites_are_those_of_the_package(environment):
  del environment  # It is the package that is needed.
  for suite, count in zip(
      balloon_evaluation.SUITES, (1, 10, 100, 1_000, 10_000), strict=True
  ):
    assert balloon_evaluation.suite_seeds(suite) == list(range(count))


def test_a_suite_goes_on_where_it_was(environment, tmp_path, monkeypatch):
  del environment
  path = tmp_path / 'scores.jsonl'
  flown = []
  make_player = functools.partial(
      balloon_evaluation.make_player, 'random_walk')

  def fly_all(agent, make, seeds, num_processes):
    assert (agent, make, num_processes) == ('walk', make_player, 2)
    for seed in reversed(seeds):
      flown.append(seed)
      yield balloon_flights.FlightScore(
          agent, seed, 100.0 + seed, 0.5, False, False, False, 960)
      if len(flown) == 4:
        raise KeyboardInterrupt

  monkeypatch.setattr(balloon_evaluation, '_fly_all', fly_all)
  arguments = (path, 'walk', make_player,
               balloon_evaluation.SuiteConfig('tiny'))
  with pytest.raises(KeyboardInterrupt):
    balloon_evaluation.evaluate(*arguments)
  scores = balloon_evaluation.evaluate(*arguments)
  assert sorted(flown) == list(range(10))
  assert [score.seed for score in scores] == list(range(10))
  assert balloon_evaluation.evaluate(*arguments, num_seeds=3) == scores[:3]


@pytest.mark.parametrize('values, message', [
    ({'suite': 'huge'}, "suite must be one of .*, got 'huge'"),
    ({'num_processes': 0}, 'num_processes must be at least 1, got 0'),
])
def test_bad_settings_are_refused(values, message):
  with pytest.raises(ValueError, match=message):
    balloon_evaluation.SuiteConfig(**values)
