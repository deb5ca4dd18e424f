"""Tests of making bundles of foreign agents."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.teachers import bundle
from rrl_pipeline.teachers import foreign_formats
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import imported_network
from rrl_pipeline.training import teacher
from rrl_pipeline.training import teacher_import

_FOLDER = pathlib.Path(__file__).parents[1] / 'testdata' / 'teachers'
_FRAME_SIZES = {
    'dopamine/dqn/ckpt.3': 20,
    'dopamine/full_rainbow/ckpt.3': 20,
    'cleanrl/c51_atari.cleanrl_model': 44,
}
_DQN = 'dopamine/dqn/ckpt.3'


def _environment(frame_size=20, **options):
  return atari.AtariConfig(
      game='Freeway', frame_size=frame_size, max_episode_steps=12, **options)


def _config(tmp_path, name=_DQN, **options):
  return teacher_import.ImportConfig(**{
      'path': str(_FOLDER / name),
      'output': str(tmp_path / 'bundle'),
      'environment': _environment(_FRAME_SIZES[name]),
      'evaluate_episodes': 2,
      **options,
  })


def _import(config):
  return list(teacher_import.import_teacher(config, 'rrl-teacher import …'))


@pytest.fixture(scope='module', name='made')
def fixture_made(tmp_path_factory):
  """A configuration whose bundle is made, and the lines that were printed."""
  config = _config(tmp_path_factory.mktemp('made'))
  return config, _import(config)


def _check_values(config, name):
  found = bundle.read(config.output)
  found.check_fits(environment_config.to_json(config.environment),
                   factory.interface(config.environment))
  path = pathlib.Path(name)
  agent = path.parts[1] if path.name == 'ckpt.3' else path.stem
  with np.load(_FOLDER / path.parts[0] / 'expected.npz') as expected:
    np.testing.assert_allclose(
        found.load().values(expected['observations']), expected[agent],
        rtol=1e-4, atol=1e-5)


def test_a_bundle_says_what_the_agent_said(made):
  config, lines = made
  assert lines[0] == 'found: an agent of dopamine_jax in ckpt.3'
  assert lines[-1] == f'written: {config.output}'
  (checked,) = [line for line in lines if line.startswith('checked: ')]
  assert checked.endswith(
      'take the same action on 16 of 16 observations of random play and of'
      ' noise')
  # Nobody crosses the road in twelve steps.
  assert lines[-2].startswith('warning: this is no better than random play')
  _check_values(config, _DQN)


@pytest.mark.parametrize('name', [
    'dopamine/full_rainbow/ckpt.3', 'cleanrl/c51_atari.cleanrl_model'])
def test_other_agents_say_what_they_said(tmp_path, name):
  config = _config(tmp_path, name)
  _import(config)
  _check_values(config, name)


def test_the_description_is_complete(made):
  config, _ = made
  description = bundle.read_description(config.output)
  assert description.kind == 'q_values'
  assert description.action_meanings == ('NOOP', 'UP', 'DOWN')
  assert description.environment['game'] == 'Freeway'
  assert description.score['num_episodes'] == 2
  assert description.score['random_return'] == 0
  lineage = dict(description.lineage)
  imported = lineage.pop('imported')
  assert imported['format'] == 'dopamine_jax'
  assert imported['files'][0]['sha256'] == foreign_teacher.sha256(config.path)
  assert lineage == {
      'command': 'rrl-teacher import …',
      'network': {'kind': 'nature', 'padding': 'same', 'channels': [2, 2, 2],
                  'hidden_units': 3},
      'agent': {'algorithm': {'kind': 'dqn', 'double_q': False}},
      'actor_steps': 1234,
      'frames': 4936,
      'teacher': None,
  }


def test_the_teacher_stage_takes_it(made, tmp_path):
  config, _ = made
  got = teacher.obtain(
      tmp_path, config.environment,
      config_lib.TeacherConfig(bundle=config.output),
      config_lib.EvaluationConfig(), 0, '')
  assert got == bundle.read_description(config.output)
  assert teacher.load(tmp_path, config.environment).kind == 'q_values'


def test_an_agent_can_go_on_learning(made):
  config, _ = made
  loaded = bundle.read(config.output).load()
  foreign = foreign_formats.read(
      foreign_teacher.Question(pathlib.Path(config.path), 3)).network
  other = imported_network.make(foreign, (20, 20, 4)).network
  other.set_weights([np.zeros_like(w) for w in other.get_weights()])
  loaded.copy_network_to(other)
  observations = np.full((1, 20, 20, 4), 99, np.uint8)
  np.testing.assert_allclose(
      other(observations), loaded.values(observations), rtol=1e-6)


def test_a_bundle_that_computes_something_else_is_not_kept(
    tmp_path, monkeypatch):
  make = imported_network.make

  def make_with_swapped_filters(*arguments):
    made = make(*arguments)
    layer = made.network.get_layer('conv_0')
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[..., ::-1], bias])
    return made

  monkeypatch.setattr(imported_network, 'make', make_with_swapped_filters)
  with pytest.raises(ValueError, match='failed: bundle and NumPy differ by at'):
    _import(_config(tmp_path))
  assert not list(tmp_path.iterdir())


def test_two_imports_are_the_same(made, tmp_path):
  first, lines = made
  second = _config(tmp_path)
  assert _import(second)[:-1] == lines[:-1]
  assert bundle.read_description(first.output) == bundle.read_description(
      second.output)


def test_what_was_made_before_is_kept(tmp_path):
  (tmp_path / 'bundle').mkdir()
  with pytest.raises(ValueError, match='is there already: remove it'):
    _import(_config(tmp_path))


@pytest.mark.parametrize('options, match', [
    ({'environment': _environment(84)}, 'takes 18 inputs, but 242 come'),
    ({'environment': _environment(stack_size=2)},
     'sees 4 frames at once, the environment gives 2. Give --set stack_size=4'),
    ({'environment': atari.AtariConfig('Pong', frame_size=20)},
     'no multiple of the 6 actions'),
    ({'environment': atari.AtariConfig('Adventure', frame_size=20)},
     "no random return is known for 'Adventure'"),
    ({'path': '/nowhere/ckpt.1'}, 'does not exist'),
    ({'path': '/nowhere', 'format': 'dopamine_jax'}, 'does not exist'),
    ({'path': '/nowhere/tf_ckpt-1'}, 'is not whole: .* found neither'),
    ({'format': 'cleanrl'}, 'is not a zip archive'),
    ({'algorithm': 'c51'}, 'is not of c51'),
])
def test_misfits_are_refused(tmp_path, options, match):
  with pytest.raises(ValueError, match=match):
    _import(_config(tmp_path, **options))
  assert not list(tmp_path.iterdir())


def test_formats_are_told_by_the_names_of_files(tmp_path):
  question = foreign_teacher.Question(tmp_path, 3)
  with pytest.raises(ValueError, match='is no teacher of a known kind'):
    foreign_formats.read(question)
  shutil.copy(_FOLDER / _DQN, tmp_path / 'ckpt.3')
  (tmp_path / 'sentinel_checkpoint_complete.3').touch()
  assert foreign_formats.read(question).format == 'dopamine_jax'
  renamed = tmp_path / 'renamed'
  shutil.copy(_FOLDER / _DQN, renamed)
  question = dataclasses.replace(question, path=renamed)
  with pytest.raises(ValueError, match='Say which of .* with --format'):
    foreign_formats.read(question)
  assert foreign_formats.read(question, 'dopamine_jax').files == (renamed,)


@pytest.mark.parametrize('options, match', [
    ({'evaluate_episodes': 0}, 'at least 1, got 0: a teacher without a score'),
    ({'format': 'keras'}, "format must be one of .*got 'keras'"),
])
def test_a_configuration_is_checked(tmp_path, options, match):
  with pytest.raises(ValueError, match=match):
    _config(tmp_path, **options)
