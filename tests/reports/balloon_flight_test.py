"""Tests of the pictures of a flight: what is drawn, the same every time."""

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
  track, altitude, wind, distance = drawn[0].axes
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


def test_the_picture_is_the_same_every_time(course):
  png = balloon_flight.picture(course)
  assert png == balloon_flight.picture(course)
  assert Image.open(io.BytesIO(png)).format == 'PNG'


def test_the_film_shows_the_track_growing(course):
  frames = balloon_flight.film_frames(course)
  assert frames.shape == (10, 480, 480, 3) and frames.dtype == np.uint8
  changed = [
      np.any(frame != frames[0], axis=2).sum() for frame in frames[1:]
  ]
  assert changed[0] > 0 and changed[-1] > 2 * changed[0]
  film = balloon_flight.film(course)
  assert film == balloon_flight.film(course)
  image = Image.open(io.BytesIO(film))
  assert image.n_frames == 10 and image.info['duration'] == 50


def test_the_description_holds_the_figures(course):
  assert balloon_flight.describe(course) == (
      'Flight of teacher on seed 5: 2 hours, 69 % of them within 50 km of the'
      ' station, at most 96 km away, between 16.0 and 18.0 km high.')
