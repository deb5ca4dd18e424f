"""Pictures of one flight of a balloon: its track, altitude and wind."""

from typing import Any, NamedTuple

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import patches
from matplotlib import ticker
from matplotlib.backends import backend_agg
import numpy as np

from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import panels

_TRACK_COLOUR = '#0072B2'
_STATION_COLOUR = '#009E73'
_BALLOON_COLOUR = '#D55E00'
_WIND_COLOUR = '#8F4A78'
_SECONDS_PER_HOUR = 3600
_DISTANCE_COLOUR = '#444444'
_HEIGHT_INCHES = 4.8
_FILM_DOTS_PER_INCH = 100
# A frame of the film for every fifth step, fifteen minutes of flight.
_FILM_STRIDE = 5
# Frames of the film in a second.
FILM_FPS = 20.0


class _Series(NamedTuple):
  """A quantity over time.

  Attributes:
    label: of its axis.
    values: float64 [T + 1], or [T] of what is known between positions.
    colour: of its curve.
    style: '-' for a line, '.' for points where a line would leap.
  """

  label: str
  values: np.ndarray
  colour: str
  style: str = '-'


def picture(course: balloon_flights.Course) -> bytes:
  """The track around the station, and altitude, wind and distance over time.

  Returns:
    A PNG; the same course gives the same bytes.
  """
  with matplotlib.rc_context(panels.STYLE):
    figure, track_axis, _ = _draw(course)
    # A dot for every sixth hour tells how fast it went.
    period = 6 * _SECONDS_PER_HOUR // course.seconds_per_step
    track_axis.plot(
        *course.position_km[::period].T,
        '.',
        color=_TRACK_COLOUR,
        markersize=7,
        label='every 6 h',
    )
    track_axis.plot(
        *course.position_km[0],
        'o',
        markerfacecolor='white',
        color=_BALLOON_COLOUR,
        label='start',
    )
    track_axis.plot(
        *course.position_km[-1], 'o', color=_BALLOON_COLOUR, label='end'
    )
    track_axis.legend(loc='best', fontsize=9)
    return panels.png(figure)


def film_frames(course: balloon_flights.Course) -> np.ndarray:
  """The picture as it comes to be, uint8 [N, 480, 720, 3]."""
  with matplotlib.rc_context(panels.STYLE):
    figure, track_axis, curves = _draw(course)
    figure.set_dpi(_FILM_DOTS_PER_INCH)
    canvas = backend_agg.FigureCanvasAgg(figure)
    (balloon,) = track_axis.plot(
        [], [], 'o', color=_BALLOON_COLOUR, markersize=8, zorder=4
    )
    # What moves is drawn on a copy of what does not: twenty times as fast.
    moving = [(curve, curve.get_xydata().copy()) for curve in curves]
    for artist in (*curves, balloon):
      artist.set_animated(True)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    frames = []
    for step in range(0, len(course.position_km), _FILM_STRIDE):
      canvas.restore_region(background)
      for curve, points in moving:
        curve.set_data(*points[: step + 1].T)
        curve.axes.draw_artist(curve)
      balloon.set_data(*course.position_km[step : step + 1].T)
      track_axis.draw_artist(balloon)
      frames.append(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
    return np.stack(frames)


def describe(course: balloon_flights.Course) -> str:
  """Says in words what the pictures show."""
  hours = len(course.actions) * course.seconds_per_step / _SECONDS_PER_HOUR
  return (
      f'Flight of {course.agent} on seed {course.seed}: {hours:.0f} hours,'
      f' {100 * course.time_within_radius:.0f} % of them within'
      f' {balloon_flights.RADIUS_KM:.0f} km of the station, at most'
      f' {course.distance_km.max():.0f} km away, between'
      f' {course.altitude_km.min():.1f} and {course.altitude_km.max():.1f} km'
      ' high.'
  )


def _draw(
    course: balloon_flights.Course,
) -> tuple[figure_lib.Figure, Any, list[Any]]:
  """Draws the map on the left and quantities over time on the right.

  Returns:
    The figure, the axes of the map, and the curves: the track first.
  """
  series = _series(course)
  figure = figure_lib.Figure(
      figsize=(panels.WIDTH_INCHES, _HEIGHT_INCHES), layout='constrained'
  )
  layout = figure.add_gridspec(len(series), 2, width_ratios=(1.25, 1.0))
  track_axis = figure.add_subplot(layout[:, 0])
  _draw_map(track_axis, course)
  curves = track_axis.plot(
      *course.position_km.T, color=_TRACK_COLOUR, linewidth=1.2
  )
  steps = np.arange(len(course.position_km))
  hours = steps * course.seconds_per_step / _SECONDS_PER_HOUR
  axes = [figure.add_subplot(layout[row, 1]) for row in range(len(series))]
  for axis, entry in zip(axes, series):
    curves += axis.plot(
        hours[: len(entry.values)],
        entry.values,
        entry.style,
        color=entry.colour,
        linewidth=1.2,
        markersize=2,
    )
    axis.set_ylabel(entry.label)
    axis.set_xlim(0, hours[-1])
    axis.xaxis.set_major_locator(ticker.MultipleLocator(12))
  _, speed, direction, distance = axes
  speed.set_ylim(bottom=0)
  direction.set_ylim(0, 360)
  direction.set_yticks((0, 90, 180, 270, 360), ('N', 'E', 'S', 'W', 'N'))
  distance.axhspan(
      0, balloon_flights.RADIUS_KM, color=_STATION_COLOUR, alpha=0.2
  )
  distance.set_ylim(bottom=0)
  distance.set_xlabel('hours of flight')
  for axis in axes[:-1]:
    axis.tick_params(labelbottom=False)
  figure.align_ylabels(axes)
  return figure, track_axis, curves


def _series(course: balloon_flights.Course) -> tuple[_Series, ...]:
  east, north = course.wind.T
  return (
      _Series('altitude\n[km]', course.altitude_km, _TRACK_COLOUR),
      _Series('wind\n[m/s]', np.hypot(east, north), _WIND_COLOUR),
      # As on a compass: 0 to the north, 90 degrees to the east.
      _Series(
          'wind\nblows to',
          np.degrees(np.arctan2(east, north)) % 360,
          _WIND_COLOUR,
          '.',
      ),
      _Series('distance\n[km]', course.distance_km, _DISTANCE_COLOUR),
  )


def _draw_map(axis: Any, course: balloon_flights.Course) -> None:
  """The station, its circle, and room for the track."""
  radius = balloon_flights.RADIUS_KM
  axis.add_patch(
      patches.Circle(
          (0, 0), radius, color=_STATION_COLOUR, alpha=0.2, linewidth=0
      )
  )
  axis.plot([0], [0], '+', color=_STATION_COLOUR, markersize=9)
  low = np.minimum(course.position_km.min(axis=0), -radius)
  high = np.maximum(course.position_km.max(axis=0), radius)
  half = 0.53 * (high - low).max()
  (left, bottom), (right, top) = (
      (low + high) / 2 + sign * half for sign in (-1, 1)
  )
  axis.set(xlim=(left, right), ylim=(bottom, top), aspect='equal')
  axis.set_xlabel('km east of the station')
  axis.set_ylabel('km north of the station')
  axis.set_title(
      f'{course.agent}, seed {course.seed}:'
      f' {100 * course.time_within_radius:.0f} % within {radius:.0f} km'
  )
