"""BLE's generated wind field, interpolated without SciPy's overhead.

The Balloon Learning Environment (BLE) interpolates its wind linearly on a
regular grid of four dimensions with `scipy.interpolate.interpn`, which takes
far longer to prepare than to compute. Here the same products and sums are
formed in the same order, so that winds are equal to the last bit.

An environment step asks for the wind at one and the same point three times;
the last answer is kept.
"""

import bisect
import datetime
from typing import Any, NamedTuple, Sequence

import numpy as np

from rrl_pipeline.environments import balloon_compatibility

balloon_compatibility.install()

# pylint: disable=g-import-not-at-top,wrong-import-position
from balloon_learning_environment.env import generative_wind_field
from balloon_learning_environment.env import wind_field
from balloon_learning_environment.utils import units


class Column(NamedTuple):
  """Pressures as they lie on the grid.

  Attributes:
    cells: [n] int64, the grid cell of each.
    weights: [n, 2] float64, the weights of the two ends of that cell.
  """

  cells: np.ndarray
  weights: np.ndarray


class _Axis:
  """One dimension of the grid: its points, ascending."""

  def __init__(self, points: np.ndarray):
    self._points = [float(point) for point in points]

  def locate(self, value: float) -> tuple[int, np.ndarray]:
    """The cell that a value is in, and the weights of that cell's two ends.

    Values beyond the grid count as those at its border.
    """
    points = self._points
    value = min(max(float(np.float32(value)), points[0]), points[-1])
    cell = min(bisect.bisect_right(points, value) - 1, len(points) - 2)
    share = (value - points[cell]) / (points[cell + 1] - points[cell])
    return cell, np.array([1 - share, share])


class WindField(generative_wind_field.GenerativeWindField):
  """The same winds as BLE's `GenerativeWindField`, bit by bit, but faster."""

  def __init__(self):
    super().__init__()
    self._x_axis, self._y_axis, self._pressure_axis, self._time_axis = (
        _Axis(points) for points in self._grid)
    self._forget()

  def reset(self, key: Any, date_time: datetime.datetime) -> None:
    super().reset(key, date_time)
    self._forget()

  def get_forecast(
      self, x: units.Distance, y: units.Distance, pressure: float,
      elapsed_time: datetime.timedelta) -> wind_field.WindVector:
    point = (x.meters, y.meters, pressure, elapsed_time)
    if point != self._forecast_point:
      u, v = self.winds(x, y, self.column([pressure]), elapsed_time)[0]
      self._forecast = wind_field.WindVector(
          units.Velocity(mps=u), units.Velocity(mps=v))
      self._forecast_point = point
    return self._forecast

  def get_forecast_column(
      self, x: units.Distance, y: units.Distance, pressures: Sequence[float],
      elapsed_time: datetime.timedelta) -> list[wind_field.WindVector]:
    winds = self.winds(x, y, self.column(pressures), elapsed_time)
    return [wind_field.WindVector(units.Velocity(mps=u), units.Velocity(mps=v))
            for u, v in winds]

  def get_ground_truth(
      self, x: units.Distance, y: units.Distance, pressure: float,
      elapsed_time: datetime.timedelta) -> wind_field.WindVector:
    point = (x.meters, y.meters, pressure, elapsed_time)
    if point != self._truth_point:
      self._truth = super().get_ground_truth(x, y, pressure, elapsed_time)
      self._truth_point = point
    return self._truth

  def column(self, pressures: Sequence[float]) -> Column:
    """Where n pressures [Pa] lie on the grid; it serves for all fields."""
    cells, weights = zip(*map(self._pressure_axis.locate, pressures))
    return Column(np.array(cells), np.array(weights))

  def winds(
      self, x: units.Distance, y: units.Distance, column: Column,
      elapsed_time: datetime.timedelta) -> np.ndarray:
    """[n, 2] components u and v [m/s] of the forecast at n pressures."""
    if self.field is None:
      raise RuntimeError('reset the wind field before asking for a forecast')
    i, x_weights = self._x_axis.locate(x.kilometers)
    j, y_weights = self._y_axis.locate(y.kilometers)
    k, time_weights = self._time_axis.locate(self._hours(elapsed_time))
    # The ends of the cells in x, y, pressure and time, n, u and v.
    ends = np.empty((2, 2, 2, 2, len(column.cells), 2))
    near = self.field[i:i + 2, j:j + 2, :, k:k + 2]
    for end in (0, 1):
      ends[:, :, end] = np.swapaxes(near[:, :, column.cells + end], 2, 3)
    weights = x_weights[:, None] * y_weights
    weights = weights[..., None, None] * column.weights.T
    weights = weights[:, :, :, None] * time_weights[:, None]
    ends *= weights[..., None]
    # From the first term to the last, as SciPy does.
    return ends.reshape(16, len(column.cells), 2).sum(axis=0)

  def _hours(self, elapsed_time: datetime.timedelta) -> float:
    """Hours since the start; the field is played back and forth."""
    hours = units.timedelta_to_hours(elapsed_time)
    horizon = self.field_shape.time_horizon_hours
    return hours if hours < horizon else self._boomerang(hours, horizon)

  def _forget(self) -> None:
    self._forecast_point = self._forecast = None
    self._truth_point = self._truth = None
