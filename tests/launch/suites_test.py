"""Tests of the suites: their settings hold together, at any method's scale."""

import pytest

from rrl_pipeline.agents import methods
from rrl_pipeline.environments import random_returns
from rrl_pipeline.launch import suites


@pytest.mark.parametrize('name', suites.SUITES)
def test_every_game_has_settings_of_its_own(name):
  suite = suites.SUITES[name]
  configs = [suite.settings(game) for game in suite.games]
  assert [c.environment.game for c in configs] == list(suite.games)
  tasks = {c.environment.task for c in configs}
  assert len(tasks) == len(suite.games)
  for task in tasks:
    random_returns.random_return(task)
  assert not any(c.control for c in configs)


@pytest.mark.parametrize('name', suites.SUITES)
@pytest.mark.parametrize('method', methods.METHODS)
def test_schedules_keep_their_share_of_the_budget(name, method):
  suite = suites.SUITES[name]
  config = suite.settings(suite.games[0])
  steps = config.online.num_actor_steps
  paper = methods.METHODS[method].agent
  agent = suite.adapt(paper)
  for scaled, original in (
      (agent.epsilon_decay_steps, paper.epsilon_decay_steps),
      (agent.weaning.steps, paper.weaning.steps),
  ):
    if original is None:
      assert scaled is None
    else:
      assert scaled / steps == pytest.approx(original / 2_500_000, abs=1e-5)
  baseline = suite.adapt(methods.METHODS['tabula_rasa'].agent)
  assert agent.learning_rate / baseline.learning_rate == pytest.approx(
      paper.learning_rate / methods.METHODS['tabula_rasa'].agent.learning_rate
  )
  # What makes it a method is not touched.
  for field in ('n_step', 'distillation_weight', 'temperature', 'switch',
                'roll_in', 'rehearsal', 'algorithm'):
    assert getattr(agent, field) == getattr(paper, field)
  assert agent.min_replay_steps < steps


def test_paper_suite_is_the_papers_protocol():
  suite = suites.SUITES['atari10']
  config = suite.settings('Breakout')
  assert len(suite.games) == 10
  assert config.online.num_actor_steps * config.environment.frame_skip == 10**7
  assert config.offline.num_learner_steps == 10**6
  agent = methods.METHODS['qdagger'].agent
  assert suite.adapt(agent) == agent


@pytest.mark.parametrize('name', ('minatar', 'atari10_100k'))
def test_small_students_have_a_tenth_of_their_teachers_budget(name):
  suite = suites.SUITES[name]
  config = suite.settings(suite.games[0])
  assert config.teacher.online.num_actor_steps == (
      10 * config.online.num_actor_steps
  )
