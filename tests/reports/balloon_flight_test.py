"""Tests of the pictures of a flight: what is drawn, the same every time."""

import dataclasses
import io

import numpy as np
from PIL import Image
import pytest

from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import balloon_flight
from rrl_pipeline.reports import panels


@pytest.fixture(name='course')
def fixture_course():
  """48 steps along a line through the station."""
  positions = np.stack([np.linspace(-96, 48, 49), np.zeros(49)], axis=1)
  return balloon_flights.Course(
      seed=5,
      agent='teacher',
      seconds_per_step=180,
      position_km=positions,
      altitude_km=np.linspace(16, 18, 49),
      battery=np.ones(49),
      actions=np.zeros(48, np.int32),
  )


def test_the_picture_shows_track_altitude_wind_and_distance(
    course, monkeypatch
):
  drawn = []
  monkeypatch.setattr(panels, 'png', lambda figure: drawn.append(figure) or b'')
  balloon_flight.picture(course)
  track, altitude, wind, direction, distance = drawn[0].axes
  lines = [line.get_xydata() for line in track.get_lines()]
  assert any(np.array_equal(line, course.position_km) for line in lines)
  left, right = track.get_xlim()
  low, high = track.get_ylim()
  # The whole circle is on the map, and the map is square.
  assert left < -96 and right > 50 and low < -50 and high > 50
  assert right - left == pytest.approx(high - low)
  (circle,) = track.patches
  assert circle.get_radius() == 50 and circle.get_center() == (0, 0)
  hours = np.arange(49) / 20
  for axis, expected in (
      (altitude, course.altitude_km), (distance, abs(course.position_km[:, 0]))
  ):
    np.testing.assert_allclose(
        axis.get_lines()[0].get_xydata(), np.stack([hours, expected], axis=1)
    )
  # 3 km in 180 s.
  np.testing.assert_allclose(wind.get_lines()[0].get_ydata(), 1000 / 60)
  np.testing.assert_allclose(direction.get_lines()[0].get_ydata(), 90)


@pytest.mark.parametrize(
    'towards, degrees',
    (((0, 1), 0), ((1, 1), 45), ((0, -1), 180), ((-1, 0), 270)),
)
def test_the_wind_blows_to_where_the_balloon_drifts(
    course, monkeypatch, towards, degrees
):
  drawn = []
  monkeypatch.setattr(panels, 'png', lambda figure: drawn.append(figure) or b'')
  positions = np.arange(49)[:, np.newaxis] * np.array(towards, float)
  balloon_flight.picture(dataclasses.replace(course, position_km=positions))
  direction = drawn[0].axes[3]
  np.testing.assert_allclose(direction.get_lines()[0].get_ydata(), degrees)
  labels = {
      tick: label.get_text()
      for tick, label in zip(
          direction.get_yticks(), direction.get_yticklabels(), strict=True
      )
  }
  assert labels == {0: 'N', 90: 'E', 180: 'S', 270: 'W', 360: 'N'}


def test_the_picture_is_the_same_every_time(course):
  png = balloon_flight.picture(course)
  assert png == balloon_flight.picture(course)
  assert Image.open(io.BytesIO(png)).format == 'PNG'


def test_the_film_shows_track_and_curves_growing(course):
  frames = balloon_flight.film_frames(course)
  assert frames.shape == (10, 480, 720, 3) and frames.dtype == np.uint8
  changed = [
      np.any(frame != frames[0], axis=2).sum() for frame in frames[1:]
  ]
  assert changed[0] > 0 and changed[-1] > 2 * changed[0]
  # Half way, the curves on the right have not reached their second half.
  right_half = np.s_[:, 600:]
  assert np.array_equal(frames[4][right_half], frames[0][right_half])
  assert not np.array_equal(frames[9][right_half], frames[0][right_half])
  np.testing.assert_array_equal(frames, balloon_flight.film_frames(course))


def test_the_description_holds_the_figures(course):
  assert balloon_flight.describe(course) == (
      'Flight of teacher on seed 5: 2 hours, 69 % of them within 50 km of the'
      ' station, at most 96 km away, between 16.0 and 18.0 km high.')
