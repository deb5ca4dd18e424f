"""Tests of the estimates of single stages."""

import dataclasses

import pytest

from rrl_pipeline.launch import stage_seconds
from rrl_pipeline.launch import suites


@pytest.fixture(autouse=True)
def _measured(monkeypatch):
  """A machine whose times are round."""
  times = {'environment_step': 1.0, 'act': 10.0, 'update': 100.0}
  for name, seconds in times.items():
    monkeypatch.setattr(
        stage_seconds, name, lambda *settings, seconds=seconds: seconds
    )


@pytest.fixture(name='config')
def fixture_config():
  config = suites.SUITES['atari10_100k'].settings('Breakout')
  return dataclasses.replace(
      config,
      teacher=dataclasses.replace(
          config.teacher,
          agent=dataclasses.replace(config.teacher.agent, update_period=2),
          online=dataclasses.replace(
              config.teacher.online, num_actor_steps=30
          ),
      ),
      collect=dataclasses.replace(
          config.collect, num_steps=7, num_parallel=5
      ),
      agent=dataclasses.replace(config.agent, update_period=4),
      offline=dataclasses.replace(config.offline, num_learner_steps=8),
      online=dataclasses.replace(config.online, num_actor_steps=40),
  )


def test_teacher_acts_and_learns(config):
  assert stage_seconds.teacher(config) == 30 * (1 + 10 + 100 / 2)


@pytest.mark.parametrize(
    'num_workers, num_players', ((0, 1), (1, 1), (2, 2), (9, 5))
)
def test_workers_share_the_environments_and_one_batch(
    config, num_workers, num_players
):
  config = dataclasses.replace(
      config,
      collect=dataclasses.replace(config.collect, num_workers=num_workers),
  )
  assert stage_seconds.collect(config) == pytest.approx(
      7 * (1 / num_players + 10 / 5)
  )


def test_what_is_given_costs_nothing(config):
  config = dataclasses.replace(
      config,
      teacher=dataclasses.replace(config.teacher, bundle='bundle'),
      dataset=dataclasses.replace(config.dataset, path='dataset'),
      offline=dataclasses.replace(config.offline, num_learner_steps=0),
  )
  assert stage_seconds.teacher(config) == 0
  assert stage_seconds.collect(config) == 0
  assert stage_seconds.offline(config) == 0


def test_student_updates_offline_and_acts_online(config):
  assert stage_seconds.offline(config) == 8 * 100
  assert stage_seconds.online(config) == 40 * (1 + 10 + 100 / 4)


def test_control_acts_as_long_as_the_student(config):
  config = dataclasses.replace(
      config,
      control=True,
      tabula_rasa=dataclasses.replace(config.agent, update_period=1),
  )
  student, control = 40 * (1 + 10 + 100 / 4), 40 * (1 + 10 + 100)
  assert stage_seconds.online(config) == student + control
