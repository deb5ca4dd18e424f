"""Pictures of one flight of a balloon: its track, altitude and wind."""

from typing import Any

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import patches
from matplotlib import ticker
from matplotlib.backends import backend_agg
import numpy as np

from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import gif
from rrl_pipeline.reports import panels

_TRACK_COLOUR = '#0072B2'
_STATION_COLOUR = '#009E73'
_BALLOON_COLOUR = '#D55E00'
_WIND_COLOUR = '#8F4A78'
_SECONDS_PER_HOUR = 3600
_FILM_INCHES = 4.8
_FILM_DOTS_PER_INCH = 100
# A frame of the film for every fifth step, fifteen minutes of flight.
_FILM_STRIDE = 5
_FILM_FPS = 20.0


def picture(course: balloon_flights.Course) -> bytes:
  """The track around the station, and altitude, wind and distance over time.

  Returns:
    A PNG; the same course gives the same bytes.
  """
  with matplotlib.rc_context(panels.STYLE):
    figure = figure_lib.Figure(
        figsize=(panels.WIDTH_INCHES, 4.6), layout='constrained'
    )
    layout = figure.add_gridspec(3, 2, width_ratios=(1.25, 1.0))
    _draw_track(figure.add_subplot(layout[:, 0]), course)
    hours = _hours(course)
    top, middle, bottom = axes = [
        figure.add_subplot(layout[row, 1]) for row in range(3)
    ]
    top.plot(hours, course.altitude_km, color=_TRACK_COLOUR)
    top.set_ylabel('altitude\n[km]')
    middle.plot(
        hours[:-1],
        np.linalg.norm(course.wind, axis=1),
        color=_WIND_COLOUR,
        linewidth=1.0,
    )
    middle.set_ylabel('wind\n[m/s]')
    middle.set_ylim(bottom=0)
    bottom.plot(hours, course.distance_km, color='#444444')
    bottom.axhspan(
        0, balloon_flights.RADIUS_KM, color=_STATION_COLOUR, alpha=0.2
    )
    bottom.set_ylabel('distance\n[km]')
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel('hours of flight')
    for axis in axes:
      axis.set_xlim(0, hours[-1])
      axis.xaxis.set_major_locator(ticker.MultipleLocator(12))
    for axis in axes[:-1]:
      axis.tick_params(labelbottom=False)
    figure.align_ylabels(axes)
    return panels.png(figure)


def film(course: balloon_flights.Course) -> bytes:
  """The flight as a looping GIF; the same course gives the same bytes."""
  return gif.encode_gif(film_frames(course), _FILM_FPS)


def film_frames(course: balloon_flights.Course) -> np.ndarray:
  """The track as it grows, uint8 [N, 480, 480, 3]."""
  with matplotlib.rc_context(panels.STYLE):
    figure = figure_lib.Figure(
        figsize=(_FILM_INCHES, _FILM_INCHES),
        dpi=_FILM_DOTS_PER_INCH,
        layout='constrained',
    )
    canvas = backend_agg.FigureCanvasAgg(figure)
    axis = figure.subplots()
    _draw_map(axis, course)
    (track,) = axis.plot([], [], color=_TRACK_COLOUR, linewidth=1.4)
    (balloon,) = axis.plot(
        [], [], 'o', color=_BALLOON_COLOUR, markersize=8, zorder=4
    )
    clock = axis.text(0.02, 0.02, '', transform=axis.transAxes)
    # What moves is drawn on a copy of what does not: twenty times as fast.
    moving = (track, balloon, clock)
    for artist in moving:
      artist.set_animated(True)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    hours = _hours(course)
    frames = []
    for step in range(0, len(hours), _FILM_STRIDE):
      canvas.restore_region(background)
      track.set_data(*course.position_km[: step + 1].T)
      balloon.set_data(*course.position_km[step : step + 1].T)
      clock.set_text(
          f'{hours[step]:4.1f} h   {course.altitude_km[step]:.1f} km high'
      )
      for artist in moving:
        axis.draw_artist(artist)
      frames.append(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
    return np.stack(frames)


def describe(course: balloon_flights.Course) -> str:
  """Says in words what the pictures show."""
  hours = _hours(course)[-1]
  return (
      f'Flight of {course.agent} on seed {course.seed}: {hours:.0f} hours,'
      f' {100 * course.time_within_radius:.0f} % of them within'
      f' {balloon_flights.RADIUS_KM:.0f} km of the station, at most'
      f' {course.distance_km.max():.0f} km away, between'
      f' {course.altitude_km.min():.1f} and {course.altitude_km.max():.1f} km'
      ' high.'
  )


def _hours(course: balloon_flights.Course) -> np.ndarray:
  steps = np.arange(len(course.position_km))
  return steps * course.seconds_per_step / _SECONDS_PER_HOUR


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


def _draw_track(axis: Any, course: balloon_flights.Course) -> None:
  _draw_map(axis, course)
  axis.plot(*course.position_km.T, color=_TRACK_COLOUR, linewidth=1.2)
  # A dot for every sixth hour tells how fast it went.
  period = 6 * _SECONDS_PER_HOUR // course.seconds_per_step
  axis.plot(
      *course.position_km[::period].T,
      '.',
      color=_TRACK_COLOUR,
      markersize=7,
      label='every 6 h',
  )
  axis.plot(
      *course.position_km[0],
      'o',
      markerfacecolor='white',
      color=_BALLOON_COLOUR,
      label='start',
  )
  axis.plot(*course.position_km[-1], 'o', color=_BALLOON_COLOUR, label='end')
  axis.legend(loc='best', fontsize=9)
