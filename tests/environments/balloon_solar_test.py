"""Tests that the sun stands where BLE has it, to the last bit."""

import datetime
from importlib import util
import random

import pytest

pytest.importorskip('balloon_learning_environment',
                    reason="needs pip install '.[balloon]'")

# pylint: disable=g-import-not-at-top,wrong-import-position
from rrl_pipeline.environments import balloon_solar
import s2sphere

_UTC = datetime.timezone.utc


@pytest.fixture(scope='module', name='solar')
def fixture_solar():
  """BLE's module anew: in the other one our function may stand already."""
  spec = util.find_spec('balloon_learning_environment.env.balloon.solar')
  solar = util.module_from_spec(spec)
  spec.loader.exec_module(solar)
  return solar


def _place(rng: random.Random) -> s2sphere.LatLng:
  return s2sphere.LatLng.from_degrees(
      rng.uniform(-60, 60), rng.uniform(-180, 180))


def _moment(rng: random.Random) -> datetime.datetime:
  return datetime.datetime(2009, 1, 1, tzinfo=_UTC) + datetime.timedelta(
      seconds=rng.randrange(8 * 365 * 86_400))


def test_equal_at_any_place_and_moment(solar):
  rng = random.Random(0)
  elevations = []
  for _ in range(5000):
    place, moment = _place(rng), _moment(rng)
    expected = solar.solar_calculator(place, moment)
    assert balloon_solar.solar_calculator(place, moment) == expected
    elevations.append(expected[0])
  # Each formula for the refraction had its turn.
  for low, high in ((-90, -0.575), (-0.575, 5), (5, 85), (85, 90)):
    assert any(low < elevation < high for elevation in elevations)


def test_equal_sunrise_and_sunset(solar, monkeypatch):
  rng = random.Random(1)
  asked = [(_place(rng), _moment(rng)) for _ in range(50)]
  expected = [solar.get_next_sunrise_sunset(*each) for each in asked]
  monkeypatch.setattr(
      solar, 'solar_calculator', balloon_solar.solar_calculator)
  assert [solar.get_next_sunrise_sunset(*each) for each in asked] == expected


def test_high_noon_on_the_equator():
  """At an equinox the sun is overhead, in the east before and west after."""
  equator = s2sphere.LatLng.from_degrees(0, 0)
  day = datetime.datetime(2012, 3, 20, tzinfo=_UTC)
  noon, morning, evening = (
      balloon_solar.solar_calculator(
          equator, day + datetime.timedelta(hours=hours))
      for hours in (12.12, 9, 15))
  assert noon[0] > 89.5
  assert morning[1] == pytest.approx(90, abs=1)
  assert evening[1] == pytest.approx(270, abs=1)
  # The solar constant, a little more while the Earth is near the sun.
  assert noon[2] == pytest.approx(1366 * 1.009, rel=2e-3)


def test_a_time_needs_its_zone():
  with pytest.raises(ValueError, match='without a time zone'):
    balloon_solar.solar_calculator(
        s2sphere.LatLng.from_degrees(0, 0), datetime.datetime(2012, 1, 1))
