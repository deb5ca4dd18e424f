"""Tests of teacher bundles: values survive, misfits and damage are refused."""

import dataclasses
import errno
import json
import os
import shutil

from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf

from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import nature
from rrl_pipeline.teachers import bundle

_SHAPE = (20, 20, 4)
_ACTIONS = ('NOOP', 'FIRE', 'RIGHT')
_ENVIRONMENT = {'game': 'Pong', 'frame_skip': 4, 'sticky_actions': 0.25,
                'max_episode_steps': 27_000}
_DESCRIPTION = bundle.Description(
    kind='q_values',
    observation_shape=_SHAPE,
    action_meanings=_ACTIONS,
    environment=_ENVIRONMENT,
    score={'mean_return': 3.5},
    lineage={'actor_steps': 10, 'teacher': None},
)


def _network(seed: int):
  config = network_config.NatureConfig(channels=(2, 2, 2), hidden_units=4)
  return nature.make(config, _SHAPE, len(_ACTIONS), seed)


def _observations(count: int) -> np.ndarray:
  return np.random.default_rng(count).integers(
      0, 256, (count, *_SHAPE), np.uint8
  )


@pytest.fixture(scope='module', name='exported')
def fixture_exported(tmp_path_factory):
  directory = tmp_path_factory.mktemp('teacher') / 'bundle'
  bundle.export(directory, _network(0), _DESCRIPTION)
  return directory


@pytest.fixture(name='copy')
def fixture_copy(exported, tmp_path):
  return shutil.copytree(exported, tmp_path / 'bundle')


def _interface(shape=_SHAPE, actions=_ACTIONS, dtype=np.uint8):
  frame = specs.Array(shape[:-1], dtype)
  return environment_lib.Interface(frame, shape, actions)


def _load(directory, environment=_ENVIRONMENT, **interface):
  return bundle.load(directory, environment, _interface(**interface))


def test_values_are_those_of_the_network(exported):
  teacher, network = _load(exported), _network(0)
  for count in (1, 5):  # A bundle takes batches of any size.
    observations = _observations(count)
    values = teacher.values(observations).numpy()
    assert values.shape == (count, 3) and values.dtype == np.float32
    np.testing.assert_allclose(values, network(observations), atol=1e-6)
    np.testing.assert_array_equal(
        teacher.actions(observations), values.argmax(axis=1)
    )


def test_the_description_comes_back(exported):
  assert bundle.read_description(exported) == _DESCRIPTION
  teacher = _load(exported)
  assert teacher.description == _DESCRIPTION
  assert (teacher.kind, teacher.num_actions) == ('q_values', 3)
  assert len(teacher.sha256) == 64
  assert sorted(os.listdir(exported)) == ['bundle.json', 'saved_model']


def test_a_bundle_is_read_without_its_model(copy, monkeypatch):
  found = bundle.read(copy)
  assert (found.description, found.num_actions) == (_DESCRIPTION, 3)
  assert found.sha256 == found.load().sha256

  def fail(*unused_args):
    raise AssertionError('the model was loaded')

  monkeypatch.setattr(bundle.tf.saved_model, 'load', fail)
  found.check_fits(_ENVIRONMENT, _interface())
  assert bundle.read(copy) == found


def test_a_bundle_of_the_package_is_found_by_name(exported, copy, monkeypatch):
  monkeypatch.setattr(bundle, '_PACKAGED', copy.parent)
  assert bundle.find('bundle') == copy
  assert bundle.find(str(exported)) == exported
  with pytest.raises(ValueError, match=r'teachers of this package \(bundle\)'):
    bundle.find('large')


def test_an_export_replaces_the_one_before_as_a_whole(copy):
  (copy / 'stray').write_text('of another version')
  other = dataclasses.replace(_DESCRIPTION, score={'mean_return': 9.0})
  bundle.export(copy, _network(1), other)
  teacher = _load(copy)
  assert teacher.description.score == {'mean_return': 9.0}
  observations = _observations(2)
  np.testing.assert_allclose(
      teacher.values(observations), _network(1)(observations), atol=1e-6
  )
  assert not (copy / 'stray').exists()
  assert os.listdir(copy.parent) == ['bundle']


# Of what a bundle takes: nothing, the model's files but not all of them, and all
# but the description.
@pytest.mark.parametrize('share', [0.0, 0.5, 0.95])
def test_a_full_disk_leaves_the_old_bundle(exported, small_disk, share):
  directory = small_disk / 'bundle'
  shutil.copytree(exported, directory)
  taken = 1_048_576 - shutil.disk_usage(small_disk).free
  with open(small_disk / 'ballast', 'wb') as ballast:
    ballast.write(bytes(int(1_048_576 - (1 + share) * taken)))
  with pytest.raises(OSError, match='No space left') as raised:
    bundle.export(directory, _network(1), _DESCRIPTION)
  assert raised.value.errno == errno.ENOSPC
  assert raised.value.filename == str(directory)
  assert sorted(os.listdir(small_disk)) == ['ballast', 'bundle']
  assert _load(directory).description == _DESCRIPTION


@pytest.mark.parametrize(
    'wanted, message',
    [
        (
            {'dtype': np.float32},
            r"observation_dtype is 'uint8', the environment has 'float32'",
        ),
        (
            {'environment': {**_ENVIRONMENT, 'kind': 'minatar'}},
            r"kind is 'atari', the environment has 'minatar'",
        ),
        (
            {'shape': (84, 84, 4)},
            r'observation_shape is \(20, 20, 4\), the environment has'
            r' \(84, 84, 4\)',
        ),
        (
            {'actions': ('NOOP', 'FIRE')},
            r"action_meanings is \('NOOP', 'FIRE', 'RIGHT'\), the environment"
            r" has \('NOOP', 'FIRE'\)",
        ),
        (
            {'environment': _ENVIRONMENT | {'game': 'Breakout'}},
            "game is 'Pong', the environment has 'Breakout'",
        ),
        (
            {'environment': _ENVIRONMENT | {'frame_skip': 2}},
            'frame_skip is 4, the environment has 2',
        ),
    ],
)
def test_a_teacher_of_another_environment_is_refused(exported, wanted, message):
  with pytest.raises(ValueError, match=message) as error:
    _load(exported, **wanted)
  assert str(exported) in str(error.value)
  assert '--set teacher.bundle=DIR' in str(error.value)


def test_the_order_of_actions_matters(exported):
  with pytest.raises(ValueError, match='action_meanings'):
    _load(exported, actions=('NOOP', 'RIGHT', 'FIRE'))


def test_stickiness_and_length_of_episodes_may_differ(exported):
  other = {'sticky_actions': 0.0, 'max_episode_steps': 9}
  _load(exported, _ENVIRONMENT | other)


@pytest.mark.parametrize('missing', ['bundle.json', 'saved_model', '.'])
def test_a_folder_that_is_no_bundle_is_refused(copy, missing):
  path = copy / missing
  path.unlink() if path.is_file() else shutil.rmtree(path)
  for read in (_load, bundle.read_description):
    with pytest.raises(
        ValueError, match='no teacher bundle: expected .* with bundle.json'
    ):
      read(copy)


def test_a_changed_model_is_found(copy):
  path = next((copy / 'saved_model' / 'variables').glob('*.data-*'))
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)
  with pytest.raises(ValueError, match='damaged: its saved_model does not'):
    _load(copy)


def test_a_file_missing_from_the_model_is_found(copy):
  next((copy / 'saved_model' / 'variables').glob('*.index')).unlink()
  with pytest.raises(ValueError, match='damaged'):
    _load(copy)


def _replace_model(directory, function, shape=_SHAPE):
  """Puts another function in place of `values`, with its hash."""
  module = tf.Module()
  module.factor = tf.Variable(1.0)
  module.values = tf.function(
      lambda observation: function(tf.cast(observation, tf.float32), module),
      input_signature=[tf.TensorSpec((None, *shape), tf.uint8)],
  )
  shutil.rmtree(directory / 'saved_model')
  tf.saved_model.save(module, str(directory / 'saved_model'))
  path = directory / 'bundle.json'
  content = json.loads(path.read_text())
  content['sha256'] = bundle._hash(directory / 'saved_model')
  path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    'function, message',
    [
        (
            lambda o, m: m.factor * o[:, 0, 0],
            r'gives float32 \(2, 4\); expected float32 \(2, 3\)',
        ),
        (
            lambda o, m: tf.cast(m.factor * o[:, 0, 0, :3], tf.float64),
            'gives float64',
        ),
        (lambda o, m: m.factor * o[:, 0, 0, :3] / 0.0, 'not finite'),
    ],
)
def test_a_model_that_gives_something_else_is_refused(copy, function, message):
  _replace_model(copy, function)
  with pytest.raises(ValueError, match=f'does not answer.*{message}'):
    _load(copy)


def test_a_model_that_takes_something_else_is_refused(copy):
  _replace_model(copy, lambda o, m: m.factor * o[:, 0, 0, :3], (84, 84, 4))
  with pytest.raises(
      ValueError, match=r'must take uint8 \(2, 20, 20, 4\), but'
  ):
    _load(copy)


def _without(name):
  return lambda content: content.pop(name)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda content: content.update(format=2), 'format is not 1'),
        (_without('format'), "'format'"),
        (_without('sha256'), "'sha256'"),
        (_without('action_meanings'), "'action_meanings'"),
        (_without('score'), "'score'"),
        (lambda content: content.update(colour='blue'), "'colour'"),
        (
            lambda content: content.update(kind='policy'),
            "kind must be one of .* got 'policy'",
        ),
    ],
)
def test_a_description_that_cannot_be_read_says_why(copy, change, message):
  path = copy / 'bundle.json'
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))
  with pytest.raises(
      ValueError, match=f'cannot be read as a teacher bundle.*{message}'
  ) as error:
    _load(copy)
  assert str(path) in str(error.value)


@pytest.mark.parametrize('text', ['', '{"format": 1', '[1, 2]'])
def test_a_torn_description_is_refused(copy, text):
  (copy / 'bundle.json').write_text(text)
  with pytest.raises(ValueError, match='cannot be read as a teacher bundle'):
    bundle.read_description(copy)
