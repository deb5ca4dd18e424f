"""Tests of the suites: their settings hold together, at any method's scale."""

import pytest

from rrl_pipeline import settings
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import random_returns
from rrl_pipeline.launch import suites
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.teachers import bundle


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
def test_methods_keep_their_proportions(name, method):
  suite = suites.SUITES[name]
  config = suite.settings(suite.games[0])
  steps = config.online.num_actor_steps
  paper = methods.METHODS[method].agent
  agent = suite.adapt(paper)
  if paper.weaning.steps is None:
    assert agent.weaning.steps is None
  else:
    assert agent.weaning.steps / steps == pytest.approx(
        paper.weaning.steps / 2_500_000, abs=1e-5
    )
  paper_baseline = methods.METHODS['tabula_rasa'].agent
  baseline = suite.adapt(paper_baseline)
  for field in (
      'learning_rate', 'weaned_learning_rate', 'epsilon_decay_steps'
  ):
    assert getattr(agent, field) / getattr(baseline, field) == pytest.approx(
        getattr(paper, field) / getattr(paper_baseline, field)
    )
  # What makes it a method is not touched.
  for field in ('n_step', 'distillation_weight', 'temperature', 'switch',
                'rehearsal', 'algorithm'):
    assert getattr(agent, field) == getattr(paper, field)
  assert agent.roll_in.shrinkage == paper.roll_in.shrinkage
  assert bool(agent.roll_in.horizon) == bool(paper.roll_in.horizon)
  assert agent.min_replay_steps < steps


def test_paper_suite_is_the_papers_protocol():
  suite = suites.SUITES['atari10']
  config = suite.settings('Breakout')
  assert len(suite.games) == 10
  assert config.online.num_actor_steps * config.environment.frame_skip == 10**7
  assert config.offline.num_learner_steps == 10**6
  agent = methods.METHODS['qdagger'].agent
  assert suite.adapt(agent) == agent


def test_teacher_leaves_between_evaluations_that_show_it():
  for name in ('atari10', 'minatar'):
    online = suites.SUITES[name].settings('Breakout').online
    agent = suites.SUITES[name].adapt(methods.METHODS['qdagger'].agent)
    # As many iterations as the paper has, of which six come before t₀.
    assert online.num_actor_steps == 10 * online.evaluation_period
    assert agent.weaning.steps == 6 * online.evaluation_period


def test_roll_in_of_minatar_fits_its_short_episodes():
  agent = suites.SUITES['minatar'].adapt(methods.METHODS['jsrl'].agent)
  assert agent.roll_in.horizon == 100


def test_rainbow_of_minatar_has_a_network_for_its_small_pictures():
  adapt = suites.SUITES['minatar'].adapt_network
  network = adapt(methods.METHODS['qdagger_rainbow'].network)
  assert network == network_config.ImpalaConfig(
      channels=(16,), hidden_units=128
  )
  assert adapt(network_config.MinatarConfig()) == network_config.MinatarConfig()


def test_one_of_the_small_atari_games_has_its_teacher():
  make = suites.SUITES['atari_small'].settings
  pong, other = make('Pong'), make('RoadRunner')
  assert pong.teacher.bundle == 'pong_dqn'
  assert other.teacher.bundle == ''
  # Students can begin with their teacher's network.
  assert pong.network == other.network == other.teacher.network
  lineage = bundle.read(bundle.find('pong_dqn')).description.lineage
  assert {'kind': 'nature', **lineage['network']} == settings.to_json_value(
      pong.network
  )


@pytest.mark.parametrize('name', ('minatar', 'atari10_100k', 'atari_small'))
def test_small_students_have_a_tenth_of_their_teachers_budget(name):
  suite = suites.SUITES[name]
  config = suite.settings(suite.games[0])
  assert config.teacher.online.num_actor_steps == (
      10 * config.online.num_actor_steps
  )
