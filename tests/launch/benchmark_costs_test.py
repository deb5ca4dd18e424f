"""Tests of the estimates: what is added up, and how runs share a machine."""

import dataclasses

import pytest

from rrl_pipeline.launch import benchmark_costs
from rrl_pipeline.launch import stage_seconds
from rrl_pipeline.launch import suites


def test_stages_that_are_left_are_added_up(monkeypatch):
  times = {'teacher': 1.0, 'collect': 10.0, 'offline': 100.0, 'online': 1000.0}
  for name, seconds in times.items():
    monkeypatch.setattr(
        stage_seconds, name, lambda config, seconds=seconds: config * seconds
    )
  stages = {
      'task': ('teacher', 'collect', 'dataset'),
      'collecting': ('collect', 'dataset'),
      'student': ('offline', 'online', 'evaluate'),
      'evaluated': ('evaluate',),
  }
  assert benchmark_costs._estimate(dict.fromkeys(stages, 2), stages) == {
      'task': 22.0, 'collecting': 20.0, 'student': 2200.0, 'evaluated': 0
  }


def test_one_game_is_tried_for_all():
  make = suites.SUITES['minatar'].settings
  games = ('Freeway', 'Breakout', 'Asterix')
  configs = {game: make(game) for game in games}
  assert benchmark_costs._of_one_game(configs) == {
      game: dataclasses.replace(
          own, environment=configs['Freeway'].environment
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


def test_this_machine_takes_some_time():
  pytest.importorskip('minatar', reason='needs the extra minatar')
  config = suites.SUITES['minatar'].settings('Breakout')
  config = dataclasses.replace(
      config,
      offline=dataclasses.replace(config.offline, num_learner_steps=8),
      online=dataclasses.replace(config.online, num_actor_steps=40),
  )
  seconds = benchmark_costs.estimate(
      {'a': config}, {'a': ('offline', 'online')}, num_processes=2
  )
  assert 0 < seconds['a'] < 600
