"""The balloon's own model of the wind: a Gaussian process, solved directly.

The Balloon Learning Environment (BLE) models how the wind differs from its
forecast with a Gaussian process over place, pressure and time (Bellemare et
al., Nature 2020, "Autonomous navigation of stratospheric balloons using
reinforcement learning", Methods), which it fits anew in every step with
scikit-learn. The covariance of the observations is kept here, as all but one of
them were there in the step before, and one triangular system is solved for
means and variances together. The results agree to about 1e-14.
"""

import numpy as np
from scipy.linalg import blas
from scipy.linalg import lapack

# The numbers of BLE's env/wind_gp.py: the scales of x and y [m], pressure [Pa]
# and time [s], variances [m^2/s^2] of wind and of noise, and memory [s].
_SCALES = np.array([357_000, 357_000, 326.0, 34_560])
_PRESSURE, _TIME = 2, 3
_VARIANCE = 3.6**2
_NOISE = 0.05
_HORIZON = 6 * 3600


def _covariance(distances_squared: np.ndarray) -> np.ndarray:
  """Matérn covariance of order 1/2 from squared scaled distances, in place."""
  covariance = np.sqrt(distances_squared, out=distances_squared)
  np.negative(covariance, out=covariance)
  np.exp(covariance, out=covariance)
  covariance *= _VARIANCE
  return covariance


class WindProcess:
  """What the observations of the last six hours say about the winds here."""

  def __init__(self):
    self._points = np.empty((0, 4))  # (x, y, pressure, time), scaled.
    self._seconds = np.empty(0)
    self._errors = np.empty((0, 2))
    self._covariance = np.empty((0, 0))

  def observe(self, point: np.ndarray, error: np.ndarray) -> None:
    """Adds an observation, made later than all before it.

    Args:
      point: float64 [4], x [m], y [m], pressure [Pa], time [s].
      error: float64 [2], components of the measured wind minus those of the
        forecast [m/s].
    """
    fresh = point[_TIME] - self._seconds < _HORIZON
    old = slice(len(fresh) - np.count_nonzero(fresh), None)
    self._seconds = np.append(self._seconds[old], point[_TIME])
    self._points = np.concatenate([self._points[old], point[None] / _SCALES])
    self._errors = np.concatenate([self._errors[old], error[None]])
    covariance = np.empty(2 * self._seconds.shape, order='F')
    covariance[:-1, :-1] = self._covariance[old, old]
    covariance[-1] = covariance[:, -1] = _covariance(
        np.square(self._points - self._points[-1]).sum(axis=1))
    covariance[-1, -1] += _NOISE
    self._covariance = covariance

  def predict(self, pressures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The errors of the forecast above and below the last observation.

    Args:
      pressures: float64 [n], at its place and time [Pa].

    Returns:
      float64 [n, 2], expected errors of the forecast [m/s]; float64 [n], their
      variance as a fraction of what it is without observations.
    """
    # Distance of n pressures from m observations, then [m, n + 2] right-hand
    # sides: the covariances with each pressure, and the errors.
    distances = np.square(self._points - self._points[-1])
    elsewhere = distances.sum(axis=1) - distances[:, _PRESSURE]
    sides = np.empty((len(elsewhere), len(pressures) + 2), order='F')
    between = np.square(
        self._points[:, _PRESSURE, None]
        - pressures / _SCALES[_PRESSURE])
    between += elsewhere[:, None]
    sides[:, :-2] = _covariance(between)
    sides[:, -2:] = self._errors
    factor, failure = lapack.dpotrf(self._covariance, lower=True, clean=False)
    if failure:
      raise ValueError(
          'the covariance of the wind observations is not positive definite')
    solved = blas.dtrsm(1.0, factor, sides, lower=True, overwrite_b=True)
    errors = solved[:, :-2].T @ solved[:, -2:]
    explained = np.einsum('ij,ij->j', solved[:, :-2], solved[:, :-2])
    return errors, 1 - explained / _VARIANCE
