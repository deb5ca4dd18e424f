"""Where the sun stands, without computing the same moment many times.

Every step of the Balloon Learning Environment (BLE) asks for the sun's
position some seventy times, most of them in a search for the next sunrise and
sunset. Consecutive searches look at the same moments from a balloon that moved
a little, so all that depends on the moment alone is kept here.

The formulas are those of NOAA's solar calculator
(https://gml.noaa.gov/grad/solcalc/calcdetails.html) as BLE has them in
env/balloon/solar.py (Copyright 2022 The Balloon Learning Environment Authors,
Apache License 2.0). Each is evaluated in BLE's order and with NumPy's scalar
functions where BLE has them, so that results are equal to the last bit: the
ascent rate is a square root near zero, which would amplify a difference there.
"""

import datetime
import functools
import math
from typing import Any, NamedTuple

import numpy as np

_SECONDS_PER_DAY = 86_400
# An episode's two days in steps of three minutes, those ahead where sunrise and
# sunset are looked for, and a few steps of ten seconds.
_MOMENTS = 4096


class _Moment(NamedTuple):
  """What depends on the time alone.

  Attributes:
    minutes: time of day plus the equation of time [min].
    sin_declination, cos_declination: of the sun.
    flux: of the sun [W/m^2].
  """

  minutes: float
  sin_declination: float
  cos_declination: float
  flux: float


def _julian_day(time: datetime.datetime) -> float:
  """The Julian day number at the start of a day."""
  year, month = time.year, time.month
  return (367.0 * year
          - math.floor(7.0 * (year + math.floor((month + 9.0) / 12.0)) / 4.0)
          - math.floor(3.0 * (math.floor(
              (year + (month - 9.0) / 7.0) / 100.0) + 1.0) / 4.0)
          + math.floor(275.0 * month / 9.0) + time.day + 1721028.5)


@functools.lru_cache(_MOMENTS)
def _moment(time: datetime.datetime) -> _Moment:
  if time.tzinfo is None:
    raise ValueError(f'a time without a time zone: {time}; give it in UTC')
  day_fraction = (int(time.timestamp()) % _SECONDS_PER_DAY) / _SECONDS_PER_DAY
  century = (_julian_day(time) + day_fraction - 2451545.0) / 36525.0

  longitude = math.radians(
      280.46646 + century * (36000.76983 + century * 0.0003032))
  anomaly = math.radians(
      357.52911 + century * (35999.05029 - 0.0001537 * century))
  sin_anomaly = np.sin(anomaly)
  sin_two_anomalies = np.sin(2.0 * anomaly)
  eccentricity = 0.016708634 - century * (0.000042037 + 0.0000001267 * century)

  node = math.radians(125.04 - 1934.136 * century)
  mean_obliquity = math.radians(23.0 + (26.0 + (
      (21.448 - century * (46.815 + century * (0.00059 - century * 0.001813)))
  ) / 60.0) / 60.0)
  obliquity = mean_obliquity + math.radians(0.00256 * np.cos(node))

  y = np.tan(obliquity / 2.0)**2
  equation_of_time = 4.0 * (
      y * np.sin(2.0 * longitude) - 2.0 * eccentricity * sin_anomaly
      + 4.0 * eccentricity * y * sin_anomaly * np.cos(2.0 * longitude)
      - 0.5 * y * y * np.sin(4.0 * longitude)
      - 1.25 * eccentricity * eccentricity * sin_two_anomalies)

  center = math.radians(
      sin_anomaly * (1.914602 - century * (0.004817 + 0.000014 * century))
      + sin_two_anomalies * (0.019993 - 0.000101 * century)
      + np.sin(3.0 * anomaly) * 0.000289)
  apparent_longitude = (
      longitude + center - math.radians(0.00569 - 0.00478 * np.sin(node)))
  declination = np.arcsin(np.sin(obliquity) * np.sin(apparent_longitude))

  flux = 1366.0 * (1 + 0.5 * (
      ((1 + eccentricity) / (1 - eccentricity))**2 - 1) * np.cos(anomaly))
  return _Moment(1440.0 * day_fraction + math.degrees(equation_of_time),
                 np.sin(declination), np.cos(declination), flux)


@functools.lru_cache(16)
def _sin_and_cos(angle: float) -> tuple[float, float]:
  return np.sin(angle), np.cos(angle)


def _refraction(elevation: float) -> float:
  """What the atmosphere adds to an elevation [degrees], in arc seconds."""
  if elevation > 85.0:
    return 0
  if elevation > 5.0:
    tangent = np.tan(math.radians(elevation))
    return 58.1 / tangent - 0.07 / (tangent**3) + 0.000086 / (tangent**5)
  if elevation > -0.575:
    return 1735.0 + elevation * (-518.2 + elevation * (
        103.4 + elevation * (-12.79 + elevation * 0.711)))
  return -20.772 / np.tan(math.radians(elevation))


def solar_calculator(
    latlng: Any, time: datetime.datetime) -> tuple[float, float, float]:
  """Elevation [degrees], azimuth [degrees] and flux [W/m^2] of the sun.

  Args:
    latlng: place on Earth, an `s2sphere.LatLng`.
    time: with its time zone.

  Raises:
    ValueError: the time has no time zone.
  """
  moment = _moment(time)
  hour_angle = math.radians(
      math.fmod(moment.minutes + 4.0 * latlng.lng().degrees, 1440.0)) / 4.0
  hour_angle += math.pi if hour_angle < 0 else -math.pi

  sin_latitude, cos_latitude = _sin_and_cos(latlng.lat().radians)
  zenith_angle = np.arccos(
      sin_latitude * moment.sin_declination
      + cos_latitude * moment.cos_declination * np.cos(hour_angle))
  elevation = 90.0 - math.degrees(zenith_angle)
  elevation += _refraction(elevation) / 3600.0

  cos_azimuth = ((sin_latitude * np.cos(zenith_angle) - moment.sin_declination)
                 / (cos_latitude * np.sin(zenith_angle)))
  azimuth = math.degrees(np.arccos(min(max(cos_azimuth, -1.0), 1.0)))
  if hour_angle > 0:
    azimuth += 180.0
  else:
    azimuth = 180.0 - azimuth
  return elevation, azimuth, moment.flux
