"""Tests of the teachers of balloons as bundles."""

import numpy as np
import pytest

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import builder
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.teachers import balloon
from rrl_pipeline.teachers import bundle
from rrl_pipeline.teachers import perciatelli


@pytest.fixture(scope='module', name='observations')
def fixture_observations():
  generator = np.random.default_rng(0)
  features = generator.uniform(0, 1, (7, 1099)).astype(np.float32)
  features[:, 16:].reshape(7, 361, 3)[:, :100] = (0, 1, 1)
  return features


def test_the_seeker_needs_no_package(observations, tmp_path):
  balloon.export('station_seeker', tmp_path / 'bundle')
  teacher = bundle.read(tmp_path / 'bundle').load()
  assert teacher.kind == 'action'
  values = teacher.values(observations).numpy()
  np.testing.assert_array_equal(
      values, balloon.make_network('station_seeker')(observations)
  )
  np.testing.assert_array_equal(
      teacher.actions(observations),
      balloon.policy('station_seeker')(observations),
  )
  np.testing.assert_array_equal(values.sum(axis=1), 1)


@pytest.mark.parametrize('name', balloon.NAMES)
def test_a_bundle_fits_the_environment(name, observations, tmp_path):
  pytest.importorskip(
      'balloon_learning_environment', reason='the environment: .[balloon]'
  )
  balloon.export(name, tmp_path / name)
  config = balloon_config.BalloonConfig()
  teacher = bundle.load(
      tmp_path / name,
      environment_config.to_json(config),
      factory.interface(config),
  )
  assert teacher.description.observation_dtype == 'float32'
  assert teacher.description.score['mean_return'] > 300
  np.testing.assert_allclose(
      teacher.values(observations),
      balloon.make_network(name)(observations),
      rtol=1e-5,
      atol=1e-4,
  )
  np.testing.assert_array_equal(
      teacher.actions(observations), balloon.policy(name)(observations)
  )
  atari_config = atari.AtariConfig()
  with pytest.raises(ValueError, match='does not match the environment'):
    bundle.load(
        tmp_path / name,
        environment_config.to_json(atari_config),
        factory.interface(atari_config),
    )


def test_a_student_begins_with_the_weights(observations, tmp_path):
  pytest.importorskip(
      'balloon_learning_environment', reason='it has the weights: .[balloon]'
  )
  balloon.export('perciatelli44', tmp_path / 'bundle')
  teacher = bundle.read(tmp_path / 'bundle').load()
  student = builder.make_network(
      perciatelli.NETWORK,
      algorithm_config.QuantileConfig(num_quantiles=51),
      (1099,),
      'float32',
      num_actions=3,
      seed=1,
  )
  teacher.copy_network_to(student)
  expected = perciatelli.make_network().get_weights()
  for array, value in zip(student.get_weights(), expected, strict=True):
    np.testing.assert_array_equal(array, value)
  np.testing.assert_allclose(
      student(observations), teacher.values(observations), rtol=1e-5, atol=1e-4
  )


def test_a_named_bundle_is_there_for_the_time_of_the_context(tmp_path):
  with balloon.located('station_seeker') as path:
    assert bundle.read_description(path).kind == 'action'
  assert not path.exists()
  balloon.export('station_seeker', tmp_path / 'own')
  with balloon.located(str(tmp_path / 'own')) as path:
    assert path == tmp_path / 'own'
  assert path.exists()
  with pytest.raises(ValueError, match='There is no teacher'):
    with balloon.located('nobody'):
      pass


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  with pytest.raises(ValueError, match=r'\[balloon\]'):
    with balloon.located('perciatelli44'):
      pass
