"""Tests that winds are BLE's, to the last bit."""

import datetime
import itertools

import numpy as np
import pytest

pytest.importorskip('balloon_learning_environment',
                    reason="needs pip install '.[balloon]'")

# pylint: disable=g-import-not-at-top,wrong-import-position
from rrl_pipeline.environments import balloon_wind
from balloon_learning_environment.env import generative_wind_field
from balloon_learning_environment.utils import units
import jax

_START = units.datetime(2012, 1, 1)
_PRESSURES = np.linspace(5000, 14000, 181)


@pytest.fixture(scope='module', name='fields')
def fixture_fields():
  """BLE's and our wind field, of one seed."""
  fields = generative_wind_field.GenerativeWindField(), balloon_wind.WindField()
  for field in fields:
    field.reset(jax.random.PRNGKey(3), _START)
  return fields


def _km(value):
  return units.Distance(km=float(value))


def _numbers(wind):
  return wind.u.mps, wind.v.mps


def _points(count):
  """Inside, outside and on the points of the grid."""
  rng = np.random.default_rng(0)
  for n in range(count):
    x, y = rng.uniform(-600, 600, 2)
    pressure, seconds = rng.uniform(4000, 15000), int(rng.integers(60 * 3600))
    if n % 3 == 0:
      x, y = np.clip(np.round([x, y], -2), -500, 500)
    if n % 4 == 0:
      pressure, seconds = round(pressure, -3), seconds // 21600 * 21600
    yield (_km(x), _km(y), float(pressure),
           datetime.timedelta(seconds=seconds))


def test_forecasts_are_equal(fields):
  ble, ours = fields
  for point in _points(500):
    assert _numbers(ours.get_forecast(*point)) == _numbers(
        ble.get_forecast(*point))


def test_columns_are_equal(fields):
  ble, ours = fields
  for x, y, _, time in _points(30):
    expected = [_numbers(wind) for wind in
                ble.get_forecast_column(x, y, _PRESSURES, time)]
    np.testing.assert_array_equal(
        ours.winds(x, y, ours.column(_PRESSURES), time), expected)
    assert [_numbers(wind) for wind in ours.get_forecast_column(
        x, y, _PRESSURES, time)] == expected


def test_true_winds_are_equal_whichever_was_asked_before(fields):
  ble, ours = fields
  points = list(_points(20))
  for point in itertools.chain(points, points, points[::-1]):
    assert _numbers(ours.get_ground_truth(*point)) == _numbers(
        ble.get_ground_truth(*point))
    assert _numbers(ours.get_forecast(*point)) == _numbers(
        ble.get_forecast(*point))


def test_on_a_point_of_the_grid_the_wind_is_the_field_there(fields):
  _, ours = fields
  time = datetime.timedelta(hours=12)
  wind = ours.get_forecast(_km(-450), _km(100), 8000.0, time)
  # The points of the grid are rounded to float32 in BLE.
  np.testing.assert_allclose(
      _numbers(wind), ours.field[1, 12, 3, 2], rtol=1e-6)


def test_a_reset_field_remembers_nothing():
  field = balloon_wind.WindField()
  point = next(_points(1))
  with pytest.raises(RuntimeError, match='reset the wind field'):
    field.get_forecast(*point)
  winds = []
  for seed in (0, 1, 0):
    field.reset(jax.random.PRNGKey(seed), _START)
    winds.append((_numbers(field.get_forecast(*point)),
                  _numbers(field.get_ground_truth(*point))))
  assert winds[0] == winds[2]
  assert winds[0][0] != winds[1][0] and winds[0][1] != winds[1][1]


def test_no_pressures_have_no_winds(fields):
  _, ours = fields
  nothing = balloon_wind.Column(*(p[:0] for p in ours.column(_PRESSURES)))
  winds = ours.winds(_km(0), _km(0), nothing, datetime.timedelta())
  assert winds.shape == (0, 2)
