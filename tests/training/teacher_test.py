"""Tests of the teacher stage: where a teacher comes from."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from rrl_pipeline import scores
from rrl_pipeline import settings
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import nature
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import teacher

_ENVIRONMENT = atari.AtariConfig(frame_size=20, max_episode_steps=30)
_NETWORK = network_config.NatureConfig(channels=(2, 2, 2), hidden_units=4)
_EVALUATION = config_lib.EvaluationConfig(
    num_episodes=1, num_final_episodes=2, num_parallel=2
)


@pytest.fixture(scope='module', name='given')
def fixture_given(tmp_path_factory):
  directory = tmp_path_factory.mktemp('given') / 'bundle'
  actions = factory.make(_ENVIRONMENT, 0).action_meanings
  bundle.export(
      directory,
      nature.make(_NETWORK, (20, 20, 4), len(actions), seed=0),
      bundle.Description(
          kind='q_values',
          observation_shape=(20, 20, 4),
          action_meanings=actions,
          environment=environment_config.to_json(_ENVIRONMENT),
          score={'mean_return': 7.5},
          lineage={},
      ),
  )
  return directory


def _obtain(directory, environment=_ENVIRONMENT, **settings):
  return teacher.obtain(
      directory, environment, config_lib.TeacherConfig(**settings), _EVALUATION,
      seed=3, command='the command',
  )


def test_a_bundle_that_is_given_is_copied(given, tmp_path):
  description = _obtain(tmp_path, bundle=str(given))
  assert description == bundle.read_description(given)
  loaded = teacher.load(tmp_path, _ENVIRONMENT)
  assert loaded.description == description and loaded.num_actions == 6
  # Again, over a copy that was interrupted.
  shutil.rmtree(tmp_path / 'bundle' / 'saved_model')
  _obtain(tmp_path, bundle=str(given))
  assert teacher.load(tmp_path, _ENVIRONMENT).sha256 == loaded.sha256


def test_a_bundle_of_another_environment_is_refused_before_it_is_copied(
    given, tmp_path
):
  breakout = dataclasses.replace(_ENVIRONMENT, game='Breakout')
  with pytest.raises(ValueError, match='does not match the environment'):
    _obtain(tmp_path, breakout, bundle=str(given))
  assert not (tmp_path / 'bundle').exists()


def test_a_teacher_no_better_than_random_play_is_pointed_out_at_once(
    given, tmp_path, capsys
):
  _obtain(tmp_path / 'good', bundle=str(given))
  assert 'warning' not in capsys.readouterr().err
  weak = shutil.copytree(given, tmp_path / 'weak')
  note = weak / 'bundle.json'
  content = json.loads(note.read_text())
  note.write_text(json.dumps(content | {'score': {'mean_return': -21.0}}))
  _obtain(tmp_path / 'bad', bundle=str(weak))
  assert '-21 is not above random play (-20.7)' in capsys.readouterr().err
  with pytest.raises(ValueError, match='not above random play'):
    teacher.guidance(tmp_path / 'bad', _ENVIRONMENT)


def test_a_bundle_that_is_nowhere_is_named(tmp_path):
  with pytest.raises(
      ValueError, match="no teacher 'pong_dqm': neither .* folder of a bundle"
  ):
    _obtain(tmp_path, bundle='pong_dqm')


def test_guidance_holds_the_scores_to_compare_with(given, tmp_path):
  _obtain(tmp_path, bundle=str(given))
  guidance = teacher.guidance(tmp_path, _ENVIRONMENT)
  assert guidance.scale == scores.Scale(random=-20.7, teacher=7.5)
  observation = np.zeros((1, 20, 20, 4), np.uint8)
  assert guidance.teacher.values(observation).shape == (1, 6)


_AGENT = dataclasses.replace(
    methods.METHODS['tabula_rasa'].agent, min_replay_steps=20,
    replay_capacity=40, batch_size=4, update_period=2,
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=60, evaluation_period=60, checkpoint_period=30,
    log_period=5,
)


def test_a_teacher_can_be_trained_here(tmp_path):
  description = _obtain(
      tmp_path, network=_NETWORK, agent=_AGENT, online=_ONLINE
  )
  lineage = description.lineage
  assert lineage['command'] == 'the command' and lineage['seed'] == 3
  assert (lineage['actor_steps'], lineage['frames']) == (60, 240)
  assert lineage['learner_steps'] == 60 // 2 - 20 // 2 + 1
  assert lineage['teacher'] is None
  assert lineage['agent'] == settings.to_json_value(_AGENT)
  assert description.score['num_episodes'] == 2
  # The score is that of the network in the bundle.
  loaded = teacher.load(tmp_path, _ENVIRONMENT)
  records = evaluation.evaluate(
      _ENVIRONMENT, _EVALUATION, loaded.actions,
      evaluation.Progress('teacher', 'teacher', 3, 0, 0), 2,
  )
  assert description.score['mean_return'] == evaluation.mean_return(records)
  # A bundle that is there is not trained again.
  note = tmp_path / 'bundle' / 'bundle.json'
  content = json.loads(note.read_text())
  note.write_text(json.dumps(content | {'score': {'mean_return': 1.0}}))
  again = _obtain(tmp_path, network=_NETWORK, agent=_AGENT, online=_ONLINE)
  assert again.score == {'mean_return': 1.0}


def test_a_teacher_can_go_on_from_another(given, tmp_path):
  # A learning rate of nearly nothing, so that what it began with is seen.
  agent = dataclasses.replace(
      _AGENT, learning_rate=1e-12, weaned_learning_rate=1e-12
  )
  description = _obtain(
      tmp_path, initial_bundle=str(given), network=_NETWORK, agent=agent,
      online=_ONLINE,
  )
  parent = json.loads((given / 'bundle.json').read_text())
  assert description.lineage['teacher'] == {
      name: parent[name]
      for name in dataclasses.asdict(bundle.read_description(given))
  }
  observations = np.random.default_rng(0).integers(
      0, 256, (5, 20, 20, 4), np.uint8
  )
  first = teacher._read(given, _ENVIRONMENT).load()
  np.testing.assert_allclose(
      teacher.load(tmp_path, _ENVIRONMENT).values(observations),
      first.values(observations),
      atol=1e-6,
  )


def test_a_teacher_of_another_build_cannot_be_gone_on_from(given, tmp_path):
  network = network_config.NatureConfig(channels=(2, 2, 3), hidden_units=4)
  with pytest.raises(
      ValueError, match='not built like the one to train.*teacher.network'
  ):
    _obtain(
        tmp_path, initial_bundle=str(given), network=network, agent=_AGENT,
        online=_ONLINE,
    )
