"""The stages of the student: from a dataset to a bundle, with the switch.

The dataset is written by TFDS, the teacher is a bundle, the game is real.
"""

import dataclasses

import numpy as np
import pytest

from rrl_pipeline.agents import acting
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.rlds import schema
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import random_play
from rrl_pipeline.testing import teachers
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import final_evaluation
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import students

_ENVIRONMENT = atari.AtariConfig(max_episode_steps=20)
_TASK = students.Task(
    environment=_ENVIRONMENT,
    network=teachers.SMALL_NETWORK,
    evaluation=config_lib.EvaluationConfig(
        num_episodes=2, num_final_episodes=3, num_parallel=3
    ),
    seed=4,
)
_AGENT = dataclasses.replace(
    methods.METHODS['qdagger'].agent,
    batch_size=4,
    # Neither 10 nor 16 updates end with a copy to the target.
    target_update_period=7,
    min_replay_steps=20,
    replay_capacity=100,
)
_CONTROL = dataclasses.replace(
    methods.METHODS['tabula_rasa'].agent,
    batch_size=4,
    min_replay_steps=20,
    replay_capacity=100,
    epsilon_decay_steps=40,
)
_OFFLINE = config_lib.OfflineConfig(
    num_learner_steps=10, evaluation_period=10, checkpoint_period=5,
    log_period=5,
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=40, evaluation_period=40, checkpoint_period=20, log_period=2
)


@pytest.fixture(scope='module', name='run')
def fixture_run(tmp_path_factory):
  """A run directory in which the offline stage is done."""
  run = tmp_path_factory.mktemp('run')
  teachers.export(run / 'teacher' / 'bundle', _ENVIRONMENT, mean_return=10.0)
  dataset = random_play.write_dataset(run, _ENVIRONMENT, 2)
  counts = students.train_offline(
      run / 'offline', _TASK, _AGENT, _OFFLINE, [dataset], run / 'teacher'
  )
  assert counts == {
      'learner_steps': 10, 'dataset_episodes': 2, 'dataset_steps': 40
  }
  return run


def _variables(state):
  return {
      name: [v.numpy() for v in state[name].variables]
      for name in ('network', 'target_network')
  } | {'optimizer': state['optimizer'].get_weights()}


def _equal(first, second):
  return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope='module', name='online_run')
def fixture_online_run(run):
  """The online stage of both agents, and what a trainer had to begin with."""
  began = {}
  patch = pytest.MonkeyPatch()
  original = students.online.OnlineTrainer.run

  def spy(trainer):
    began[trainer._setup.agent] = (
        _variables(trainer._learner.learner.state),
        trainer._replay.store.num_added,
        trainer._learner.num_steps,
    )
    original(trainer)

  patch.setattr(students.online.OnlineTrainer, 'run', spy)
  counts = {
      agent: students.train_online(
          run / 'online' / agent,
          _TASK,
          config,
          lambda agent=agent, config=config: students.prepare_online(
              run / 'online' / agent, agent, _TASK, config, _ONLINE,
              run / 'offline' if agent == students.STUDENT else None,
              run / 'teacher',
          ),
      )
      for agent, config in (
          (students.STUDENT, _AGENT), (students.TABULA_RASA, _CONTROL)
      )
  }
  patch.undo()
  return run, began, counts


def test_who_only_acts_has_the_network_of_the_learner():
  learner = _TASK.learner(students.STUDENT, _AGENT)
  network = _TASK.q_network(students.STUDENT, _AGENT)
  assert network.output_shape == learner.network.output_shape
  assert _equal(network.variables, learner.network.variables)


def _offline_end(run):
  learner = _TASK.learner(students.STUDENT, _AGENT)
  checkpointer = students.checkpointing.Checkpointer(
      students.offline.checkpoints(run / 'offline'), learner.state
  )
  assert checkpointer.restore() is not None
  return _variables(learner.state)


def test_the_switch_keeps_the_optimiser_and_copies_the_target(online_run):
  run, began, _ = online_run
  before = _offline_end(run)
  after, num_rows, learner_steps = began[students.STUDENT]
  assert not _equal(before['network'], before['target_network'])
  assert _equal(after['network'], before['network'])
  assert _equal(after['target_network'], before['network'])
  # Steps and moments of Adam, none of them zero.
  assert after['optimizer'][0] == 10
  assert _equal(after['optimizer'], before['optimizer'])
  assert all(np.any(moment) for moment in after['optimizer'])
  # Its own replay starts empty.
  assert (num_rows, learner_steps) == (0, 10)


def test_a_pretrained_student_explores_little_from_the_start(online_run):
  run, _, _ = online_run
  assert acting.epsilon(_AGENT, 0) == _AGENT.epsilon_end
  rows = metric_log.read_rows(run / 'online' / 'student' / 'metrics.csv')
  assert {row['epsilon'] for row in rows} == {0.01}
  control = metric_log.read_rows(
      run / 'online' / 'tabula_rasa' / 'metrics.csv'
  )
  assert control[0]['epsilon'] > control[-1]['epsilon'] == 0.01


def test_the_control_starts_from_nothing_and_has_no_teacher(online_run):
  run, began, counts = online_run
  variables, num_rows, learner_steps = began[students.TABULA_RASA]
  fresh = _variables(_TASK.learner(students.TABULA_RASA, _CONTROL).state)
  assert _equal(variables['network'], fresh['network'])
  assert _equal(variables['target_network'], fresh['network'])
  assert (num_rows, learner_steps) == (0, 0)
  assert not any(np.any(value) for value in variables['optimizer'])
  # Another network than the student's, not the same with other data.
  student = _TASK.learner(students.STUDENT, _AGENT)
  assert not _equal(variables['network'], [
      v.numpy() for v in student.network.variables
  ])
  rows = metric_log.read_rows(run / 'online' / 'tabula_rasa' / 'metrics.csv')
  assert {row['distillation_weight'] for row in rows} == {0.0}
  assert {row['learning_rate'] for row in rows} == {_CONTROL.learning_rate}
  assert [
      counts[agent]['learner_steps']
      for agent in (students.STUDENT, students.TABULA_RASA)
  ] == [40 // 4 - 20 // 4 + 1] * 2


def test_the_bundle_is_the_student_with_its_lineage(online_run):
  run, _, counts = online_run
  exported = bundle.load(
      run / 'online' / 'student' / 'bundle',
      environment_config.to_json(_ENVIRONMENT),
      factory.interface(_ENVIRONMENT),
  )
  learner = _TASK.learner(students.STUDENT, _AGENT)
  students.checkpointing.Checkpointer(
      run / 'online' / 'student' / 'checkpoints', learner.state
  ).restore()
  observations = np.random.default_rng(0).integers(
      0, 256, (3, 84, 84, 4), np.uint8
  )
  np.testing.assert_allclose(
      exported.values(observations), learner.network(observations), atol=1e-6
  )
  lineage = exported.description.lineage
  assert lineage['actor_steps'] == 40 and lineage['frames'] == 160
  # The offline updates are a part of what it took.
  online_steps = counts[students.STUDENT]['learner_steps']
  assert lineage['learner_steps'] == 10 + online_steps == 16
  assert lineage['teacher']['lineage']['command'] == 'made for a test'
  records = evaluation.read_records(
      run / 'online' / 'student' / 'evaluations.jsonl'
  )
  assert exported.description.score['mean_return'] == np.mean(
      [r.episode_return for r in records if r.actor_steps == 40]
  )


def test_finished_agents_are_evaluated_and_filmed(online_run, tmp_path):
  run, _, _ = online_run
  agents = (students.STUDENT, students.TABULA_RASA)
  for _ in range(2):  # The second time over what the first one left.
    counts = final_evaluation.evaluate(
        tmp_path, agents, _TASK, run / 'online', run / 'teacher'
    )
    assert counts == {'episodes': 6}
  records = evaluation.read_records(tmp_path / 'evaluations.jsonl')
  assert [(r.agent, r.episode) for r in records] == [
      (agent, episode) for agent in agents for episode in range(3)
  ]
  assert {(r.stage, r.actor_steps) for r in records} == {('evaluate', 40)}
  film = np.load(tmp_path / 'student_frames.npy')
  assert film.shape == (21, 84, 84) and film.dtype == np.uint8


def test_online_without_offline_is_refused(run, tmp_path):
  with pytest.raises(
      ValueError, match='holds no checkpoint of a student. Run --stage=offline'
  ):
    students.prepare_online(
        tmp_path / 'online', students.STUDENT, _TASK, _AGENT, _ONLINE,
        tmp_path / 'offline', run / 'teacher',
    )


def test_a_dataset_of_another_frame_size_is_refused(run, tmp_path):
  environment = dataclasses.replace(_ENVIRONMENT, frame_size=40)
  teachers.export(tmp_path / 'teacher' / 'bundle', environment)
  with pytest.raises(
      ValueError,
      match=r'observations uint8 \(84, 84\), the environment uint8 \(40, 40\)',
  ):
    students.train_offline(
        tmp_path / 'offline',
        dataclasses.replace(_TASK, environment=environment),
        _AGENT,
        _OFFLINE,
        [run / schema.ATARI_DATASET / '1.0.0'],
        tmp_path / 'teacher',
    )
