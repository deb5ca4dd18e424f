"""The offline stage on an annotated dataset: the same, without the teacher."""

import dataclasses

import numpy as np
import pytest

from rrl_pipeline.agents import methods
from rrl_pipeline.beam_jobs import annotate_teacher
from rrl_pipeline.environments import atari
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import datasets
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import students

_TASK = students.Task(
    environment=atari.AtariConfig(max_episode_steps=20),
    network=network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
    evaluation=config_lib.EvaluationConfig(num_episodes=1, num_parallel=1),
    seed=4,
)
_AGENT = dataclasses.replace(methods.METHODS['qdagger'].agent, batch_size=8)
_OFFLINE = config_lib.OfflineConfig(
    num_learner_steps=20, evaluation_period=20, checkpoint_period=20,
    log_period=1,
)


@pytest.fixture(name='run', scope='module')
def fixture_run(tmp_path_factory):
  """A teacher in the place of its stage, a dataset, the same annotated."""
  run = tmp_path_factory.mktemp('run')
  teacher = datasets.export_teacher(run / 'teacher' / 'bundle')
  source = datasets.build_replay(run)
  config = annotate_teacher.AnnotateTeacherConfig(
      str(source), str(teacher), str(run)
  )
  return run, source, annotate_teacher.annotate(config).path


def _train(run, name, dataset, teacher=None):
  students.train_offline(
      run / name, _TASK, _AGENT, _OFFLINE, [dataset],
      teacher or run / 'teacher',
  )
  return metric_log.read_rows(run / name / 'metrics.csv')


def test_the_teacher_is_never_loaded_and_the_student_learns_the_same(
    run, monkeypatch
):
  run, source, annotated = run
  expected = _train(run, 'asked', source)
  assert (run / 'asked' / 'teacher_values.npy').exists()

  def fail(_):
    raise AssertionError('the teacher was loaded')

  monkeypatch.setattr(bundle.Bundle, 'load', fail)
  rows = _train(run, 'stored', annotated)
  assert not (run / 'stored' / 'teacher_values.npy').exists()
  assert len(rows) == len(expected) == 20
  for name in ('td_loss', 'distillation_loss', 'teacher_agreement'):
    np.testing.assert_allclose(
        [row[name] for row in rows], [row[name] for row in expected],
        rtol=1e-3, atol=1e-5, err_msg=name,
    )
  assert all(row['distillation_loss'] > 0 for row in rows)


def test_another_teacher_is_asked_instead(run, tmp_path, capsys):
  run, _, annotated = run
  datasets.export_teacher(tmp_path / 'other' / 'bundle', seed=1)
  _train(tmp_path, 'stage', annotated, tmp_path / 'other')
  assert 'warning: the dataset holds the values of' in capsys.readouterr().err
  values = np.load(tmp_path / 'stage' / 'teacher_values.npy')
  assert len(np.unique(values[:, 0])) > 100
