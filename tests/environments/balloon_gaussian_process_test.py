"""Tests of the wind model against its definition and against scikit-learn."""

import numpy as np
import pytest

from rrl_pipeline.environments import balloon_gaussian_process

_STEP = 180.0  # [s]
_PRESSURES = np.linspace(5000, 14000, 181)


def _walk(steps):
  """Points of a made-up flight, and the errors of the forecast there."""
  rng = np.random.default_rng(0)
  moves = rng.normal(size=(steps, 3)) * [800, 800, 60]
  points = np.empty((steps, 4))
  points[:, :3] = np.cumsum(moves, axis=0) + [30e3, -20e3, 9000]
  points[:, 3] = _STEP * np.arange(steps)
  return points, rng.normal(size=(steps, 2))


def _definition(points, errors, pressures):
  """The posterior by the textbook's formula, with an inverse."""
  scales = np.array([357e3, 357e3, 326., 34_560.])
  def covariance(a, b):
    distances = np.linalg.norm(
        a[:, None] / scales - b[None] / scales, axis=-1)
    return 3.6**2 * np.exp(-distances)
  column = np.tile(points[-1], (len(pressures), 1))
  column[:, 2] = pressures
  inverse = np.linalg.inv(
      covariance(points, points) + 0.05 * np.eye(len(points)))
  across = covariance(column, points)
  explained = np.einsum('ni,ij,nj->n', across, inverse, across)
  return across @ inverse @ errors, 1 - explained / 3.6**2


def test_it_is_the_posterior_of_the_last_six_hours():
  process = balloon_gaussian_process.WindProcess()
  points, errors = _walk(300)
  for n in range(300):
    process.observe(points[n], errors[n])
    if n in (0, 1, 50, 119, 120, 121, 299):
      # Six hours are 120 steps; what is as old as that is forgotten.
      recent = slice(max(0, n - 119), n + 1)
      expected = _definition(points[recent], errors[recent], _PRESSURES)
      found = process.predict(_PRESSURES)
      np.testing.assert_allclose(found[0], expected[0], atol=1e-11)
      np.testing.assert_allclose(found[1], expected[1], atol=1e-11)


def test_it_is_what_ble_computes_with_scikit_learn():
  pytest.importorskip('balloon_learning_environment',
                      reason="needs pip install '.[balloon]'")
  # pylint: disable=g-import-not-at-top
  from rrl_pipeline.environments import balloon_compatibility
  balloon_compatibility.install()
  from balloon_learning_environment.env import wind_field
  from balloon_learning_environment.env import wind_gp

  class NoWind(wind_field.SimpleStaticWindField):

    def get_forecast(self, *unused_point):
      still = wind_field.units.Velocity(mps=0.0)
      return wind_field.WindVector(still, still)

  ble = wind_gp.WindGP(NoWind())
  ours = balloon_gaussian_process.WindProcess()
  points, errors = _walk(200)
  for n in range(200):
    ours.observe(points[n], errors[n])
    ble.measurement_locations.append(points[n])
    ble.error_values.append(errors[n])
    if n % 40 in (0, 39):
      column = np.tile(points[n], (len(_PRESSURES), 1))
      column[:, 2] = _PRESSURES
      means, variances = ble.query_batch(column)
      found = ours.predict(_PRESSURES)
      np.testing.assert_allclose(found[0], means, rtol=0, atol=1e-12)
      np.testing.assert_allclose(found[1], variances, rtol=0, atol=1e-12)


def test_a_measured_wind_is_nearly_certain_and_a_far_one_is_not():
  process = balloon_gaussian_process.WindProcess()
  process.observe(np.array([0., 0., 9000., 0.]), np.array([2., -1.]))
  errors, variances = process.predict(np.array([9000., 9000. + 326 * 50]))
  share = 12.96 / 13.01
  np.testing.assert_allclose(errors[0], [2 * share, -share], rtol=1e-12)
  np.testing.assert_allclose(variances[0], 1 - share, rtol=1e-12)
  np.testing.assert_allclose(errors[1], 0, atol=1e-12)
  np.testing.assert_allclose(variances[1], 1, rtol=1e-12)


def test_no_pressures_have_no_predictions():
  process = balloon_gaussian_process.WindProcess()
  process.observe(np.array([0., 0., 9000., 0.]), np.array([2., -1.]))
  errors, variances = process.predict(np.empty(0))
  assert errors.shape == (0, 2) and variances.shape == (0,)
