"""Tests of the estimates: what is added up, and how runs share a machine."""

import dataclasses

import pytest

from rrl_pipeline.launch import benchmark_costs
from rrl_pipeline.launch import suites


@pytest.fixture(name='measured')
def fixture_measured(monkeypatch):
  """A machine whose times are round."""
  times = {'_environment_step': 1.0, '_act': 10.0, '_update': 100.0}
  for name, seconds in times.items():
    monkeypatch.setattr(
        benchmark_costs, name, lambda *settings, seconds=seconds: seconds
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


def _estimate(config, is_task):
  tasks = frozenset(['a'] if is_task else [])
  return benchmark_costs._estimate({'a': config}, tasks)['a']


def test_student_updates_offline_and_acts_online(measured, config):
  assert _estimate(config, is_task=False) == 8 * 100 + 40 * (1 + 10 + 100 / 4)


def test_task_trains_a_teacher_and_collects(measured, config):
  teacher, collect = 30 * (1 + 10 + 100 / 2), 7 * (1 + 10 / 5)
  assert _estimate(config, is_task=True) == teacher + collect


def test_what_is_given_costs_nothing(measured, config):
  config = dataclasses.replace(
      config,
      teacher=dataclasses.replace(config.teacher, bundle='bundle'),
      dataset=dataclasses.replace(config.dataset, path='dataset'),
  )
  assert _estimate(config, is_task=True) == 0


def test_one_game_is_tried_for_all(config):
  games = ('Qbert', 'Breakout', 'Asterix')
  configs = {
      game: dataclasses.replace(
          config,
          environment=dataclasses.replace(config.environment, game=game),
          seed=seed,
      )
      for seed, game in enumerate(games)
  }
  tried = benchmark_costs._of_one_game(configs)
  assert tried == {
      game: dataclasses.replace(
          own, environment=configs['Qbert'].environment
      )
      for game, own in configs.items()
  }


def test_runs_share_processes_but_wait_for_their_task():
  seconds = {'task': 6.0, 'x': 2.0, 'y': 3.0, 'z': 1.0}
  needs = dict.fromkeys('xyz', 'task')
  assert benchmark_costs.wall_seconds(seconds, needs, 1) == 12
  # The task and the longest run after it.
  assert benchmark_costs.wall_seconds(seconds, needs, 4) == 9
  assert benchmark_costs.wall_seconds({}, needs, 2) == 0


def test_this_machine_takes_some_time(config):
  config = dataclasses.replace(
      config,
      network=dataclasses.replace(
          config.network, channels=(2, 2, 2), hidden_units=8
      ),
  )
  seconds = benchmark_costs.estimate({'a': config}, [], num_processes=2)
  assert 0 < seconds['a'] < 600
