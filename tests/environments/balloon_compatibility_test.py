"""Tests that the Balloon Learning Environment runs, and runs right."""

import dataclasses
import importlib
import sys

import numpy as np
import pytest

from rrl_pipeline.environments import balloon_compatibility

# What the release's documentation shows for seed 0 and action 0
# (docs/environment.rst).
_PUBLISHED_REWARD = 0.26891435801077535


@pytest.fixture(scope='module', name='ble')
def fixture_ble():
  """Imports a module of BLE by its name below the package."""
  pytest.importorskip('balloon_learning_environment',
                      reason="needs pip install '.[balloon]'")
  balloon_compatibility.install()
  return lambda name: importlib.import_module(
      f'balloon_learning_environment.{name}')


def test_the_published_example(ble):
  environment = ble('env.balloon_env').BalloonEnv(seed=0)
  observation, reward, terminal, info = environment.step(0)
  # JAX's random numbers are rounded differently from version to version.
  assert reward == pytest.approx(_PUBLISHED_REWARD, abs=1e-6)
  assert not terminal
  assert info.pop('time_elapsed').total_seconds() == 180
  assert info == {
      'out_of_power': False, 'envelope_burst': False, 'zeropressure': False}
  assert observation.shape == (1099,)
  assert observation.dtype == np.float32


def test_the_wind_model_gives_one_deviation_per_point(ble):
  arena = ble('env.balloon_arena')
  features = ble('env.features')
  environment = arena.BalloonArena(features.PerciatelliFeatureConstructor,
                                   seed=3)
  model = environment.feature_constructor.windgp
  points = np.array([[1e3, 2e3, pressure, 60.] for pressure in (6e3, 9e3)])
  means, variances = model.query_batch(points)
  assert means.shape == (2, 2) and variances.shape == (2,)
  # The closed form for a single observation; numbers of env/wind_gp.py.
  there = np.array(model.measurement_locations[0])
  scaled = (points - there) / [357e3, 357e3, 326., 34560.]
  kernel = 12.96 * np.exp(-np.linalg.norm(scaled, axis=1))
  np.testing.assert_allclose(
      variances, (12.96 - kernel**2 / 13.01) / 12.96, rtol=1e-12)


def test_classes_are_as_they_were_after_the_import(ble):
  units = ble('utils.units')
  for quantity in (units.Distance, units.Energy, units.Power, units.Velocity):
    assert quantity.__hash__ is None
  process = importlib.import_module('sklearn.gaussian_process')
  regressor = process.GaussianProcessRegressor().fit(np.eye(3), np.eye(3))
  assert regressor.predict(np.eye(3), return_std=True)[1].shape == (3, 3)


def test_the_shape_of_a_wind_field_cannot_be_changed(ble):
  vae = ble('generative.vae')
  assert vae is sys.modules['balloon_learning_environment.generative.vae']
  shape = vae.Decoder().field_shape
  assert shape == vae.FieldShape()
  with pytest.raises(dataclasses.FrozenInstanceError):
    shape.latlng_slices = 1


def test_another_release_is_refused(ble, tmp_path):
  del ble
  source = tmp_path / 'vae.py'
  source.write_text('@dataclasses.dataclass\nclass Shape:\n  pass\n')
  loader = balloon_compatibility._FrozenFieldShape('vae', str(source))
  with pytest.raises(ValueError, match="pip install 'balloon-learning-env"):
    loader.get_code('vae')


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
  # None makes Python say that there is no such module.
  monkeypatch.setitem(sys.modules, 'balloon_learning_environment', None)
  with pytest.raises(ValueError) as error:
    balloon_compatibility.install.__wrapped__()
  message, = str(error.value).splitlines()
  assert "pip install 'rrl-pipeline[balloon]'" in message
