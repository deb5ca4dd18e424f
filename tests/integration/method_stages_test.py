"""What each method takes over at its start and at the switch between stages.

Teacher, dataset and game are real, as in students_test.py.
"""

import dataclasses

import numpy as np
import pytest

from rrl_pipeline.agents import losses
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.rlds import schema
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import random_play
from rrl_pipeline.testing import teachers
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import students

_ENVIRONMENT = atari.AtariConfig(max_episode_steps=20)
_TASK = students.Task(
    environment=_ENVIRONMENT,
    network=teachers.SMALL_NETWORK,
    evaluation=config_lib.EvaluationConfig(
        num_episodes=1, num_final_episodes=1, num_parallel=1
    ),
    seed=4,
)
_OFFLINE = config_lib.OfflineConfig(
    num_learner_steps=10, evaluation_period=10, checkpoint_period=5,
    log_period=5,
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=40, evaluation_period=40, checkpoint_period=20, log_period=1
)


def _agent(name):
  return dataclasses.replace(
      methods.METHODS[name].agent,
      batch_size=4,
      target_update_period=7,  # The 10th update is none of its multiples.
      min_replay_steps=20,
      replay_capacity=100,
  )


@pytest.fixture(scope='module', name='run')
def fixture_run(tmp_path_factory):
  """A directory with a teacher and a dataset of two episodes."""
  run = tmp_path_factory.mktemp('run')
  teachers.export(run / 'teacher' / 'bundle', _ENVIRONMENT, mean_return=10.0)
  random_play.write_dataset(run, _ENVIRONMENT, 2)
  return run


def _dataset(run):
  return [run / schema.ATARI_DATASET / '1.0.0']


def _variables(learner):
  return {
      name: [v.numpy() for v in learner.state[name].variables]
      for name in ('network', 'target_network')
  } | {'optimizer': learner.state['optimizer'].get_weights()}


def _equal(first, second):
  return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _train_online(run, directory, name, offline_directory=None):
  """Returns the trainer, and what its learner and replay had to begin with."""
  began = {}
  original = students.online.OnlineTrainer.run
  with pytest.MonkeyPatch.context() as patch:

    def spy(trainer):
      began['trainer'] = trainer
      began['variables'] = _variables(trainer._learner.learner)
      began['rows'] = trainer._replay.store.num_added
      original(trainer)

    patch.setattr(students.online.OnlineTrainer, 'run', spy)
    students.train_online(
        directory / students.STUDENT,
        _TASK,
        _agent(name),
        lambda: _prepare(run, directory, name, offline_directory),
    )
  return began


def _prepare(run, directory, name, offline_directory=None, task=_TASK):
  return students.prepare_online(
      directory / students.STUDENT, students.STUDENT, task, _agent(name),
      _ONLINE, offline_directory, run / 'teacher', _OFFLINE, _dataset(run),
  )


def _metrics(directory):
  return metric_log.read_rows(directory / 'metrics.csv')


def _rates(rows):
  return sorted({row['learning_rate'] for row in rows})


def test_pretraining_is_conservative_offline_only_and_begins_adam_anew(
    run, tmp_path
):
  students.train_offline(
      tmp_path / 'offline', _TASK, _agent('pretraining'), _OFFLINE,
      _dataset(run), run / 'teacher',
  )
  for row in _metrics(tmp_path / 'offline'):
    assert row['conservative_weight'] == 1 and row['conservative_loss'] > 0
    assert row['loss'] == pytest.approx(
        row['td_loss'] + row['conservative_loss'], rel=1e-5
    )
    assert row['learning_rate'] == 1e-4 and row['distillation_weight'] == 0
  learned = _TASK.learner(students.STUDENT, _agent('pretraining'))
  students.checkpointing.Checkpointer(
      students.offline.checkpoints(tmp_path / 'offline'), learned.state
  ).restore()
  learned = _variables(learned)
  assert any(np.any(moment) for moment in learned['optimizer'])
  began = _train_online(run, tmp_path, 'pretraining', tmp_path / 'offline')
  variables = began['variables']
  assert _equal(variables['network'], learned['network'])
  assert _equal(variables['target_network'], learned['network'])
  assert not any(np.any(moment) for moment in variables['optimizer'])
  assert began['rows'] == 0
  rows = _metrics(tmp_path / 'student')
  assert _rates(rows) == [pytest.approx(1e-5)]
  for row in rows:
    assert not {'conservative_loss', 'conservative_weight'} & set(row)
    assert row['loss'] == pytest.approx(row['td_loss'])
  # The bundle tells of the whole method, and of whose data it learned from.
  lineage = bundle.read_description(tmp_path / 'student' / 'bundle').lineage
  assert lineage['agent']['conservative_weight'] == 1
  assert lineage['teacher']['lineage']['command'] == 'made for a test'


def test_a_warm_start_keeps_adam_and_its_rate(run, tmp_path):
  students.train_offline(
      tmp_path / 'offline', _TASK, _agent('warm_start'), _OFFLINE,
      _dataset(run), run / 'teacher',
  )
  began = _train_online(run, tmp_path, 'warm_start', tmp_path / 'offline')
  assert began['variables']['optimizer'][0] == 10
  assert all(np.any(moment) for moment in began['variables']['optimizer'])
  rows = _metrics(tmp_path / 'student')
  assert _rates(rows) == [pytest.approx(1e-4)]


def test_fine_tuning_goes_on_with_the_teachers_network_and_data(run, tmp_path):
  began = _train_online(run, tmp_path, 'fine_tuning')
  teacher = bundle.read(run / 'teacher' / 'bundle').load()
  observations = np.random.default_rng(0).integers(
      0, 256, (3, 84, 84, 4), np.uint8
  )
  fresh = _TASK.learner(students.STUDENT, _agent('fine_tuning'))
  for name in ('network', 'target_network'):
    for variable, value in zip(
        fresh.state[name].variables, began['variables'][name], strict=True
    ):
      variable.assign(value)
    np.testing.assert_allclose(
        fresh.state[name].values(observations), teacher.values(observations),
        rtol=1e-5,
    )
  # 40 logged steps; TFDS has no rows for their last observations.
  assert began['rows'] == 40
  rows = _metrics(tmp_path / 'student')
  assert rows[0]['actor_steps'] == 4
  assert _rates(rows) == [pytest.approx(1e-5)]
  lineage = bundle.read_description(tmp_path / 'student' / 'bundle').lineage
  assert lineage['teacher']['score']['mean_return'] == 10.0


def test_a_teacher_of_another_build_cannot_be_reloaded(run, tmp_path):
  task = dataclasses.replace(
      _TASK,
      network=network_config.NatureConfig(channels=(2, 2, 3), hidden_units=8),
  )
  with pytest.raises(
      ValueError, match="'student' begins with .* --set network.*'channels': .2, 2, 2"
  ):
    _prepare(run, tmp_path, 'fine_tuning', task=task)


def test_rehearsal_draws_from_the_dataset(run, tmp_path, monkeypatch):
  # Nothing of its loss asks for the teacher's values.
  monkeypatch.delattr(bundle.Bundle, 'load')
  began = _train_online(run, tmp_path, 'symmetric_sampling')
  assert began['rows'] == 0
  source = began['trainer']._replay._source
  batch = source.sample(8, 1, 0.99, 0, 0)
  # The first half is the student's, the second half the dataset's.
  own = began['trainer']._replay.store
  numbers = np.arange(own.oldest, own.num_added)
  own = own.stacks(numbers)
  is_own = [
      (own == stack).all(axis=(1, 2, 3)).any() for stack in batch.observation
  ]
  assert is_own[:4] == [True] * 4 and not all(is_own[4:])


def test_data_that_is_needed_must_be_there(run, tmp_path):
  for name, message in (
      ('rehearsal', 'rehearsal.ratio is 0.0625'),
      ('fine_tuning', 'switch.replay is logs'),
  ):
    with pytest.raises(ValueError, match=f'{message}, but there is no data'):
      setup = students.prepare_online(
          tmp_path, students.STUDENT, _TASK, _agent(name), _ONLINE, None,
          run / 'teacher',
      )
      students.online.OnlineTrainer(setup, _TASK.evaluation)


@pytest.mark.parametrize(
    'kind, loss',
    [
        ('q_values', losses.distillation),
        ('logits', losses.logit_distillation),
        ('action', losses.action_distillation),
    ],
)
def test_the_bundle_says_how_its_values_are_read(kind, loss, tmp_path):
  teacher = bundle.read(
      teachers.export(tmp_path / 'bundle', _ENVIRONMENT, kind=kind)
  )
  learner = students._make_learner(
      _TASK, students.STUDENT, _agent('qdagger'), teacher
  )
  assert learner._distillation is loss


def test_a_teacher_no_better_than_random_is_refused_before_any_update(
    run, tmp_path
):
  weak = tmp_path / 'teacher'
  teachers.export(weak / 'bundle', _ENVIRONMENT, mean_return=-20.7)
  with pytest.raises(ValueError, match='not above random'):
    students.train_offline(
        tmp_path / 'offline', _TASK, _agent('qdagger'), _OFFLINE,
        _dataset(run), weak,
    )
  assert not (tmp_path / 'offline').exists()
