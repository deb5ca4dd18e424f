"""Tests of random walk and MarcoPolo: their rules, and BLE's agents."""

import numpy as np
import pytest

from rrl_pipeline.environments import balloon_policies as policies


def _generator(number: int = 0) -> np.random.Generator:
  return np.random.Generator(np.random.Philox(key=[7, number]))


def _observation(pascals: float) -> np.ndarray:
  observation = np.zeros(1099, np.float32)
  observation[0] = (pascals - 5000) / 9000
  return observation


class _Normals:
  """Draws what it is told to."""

  def __init__(self, target, normals):
    self._target = target
    self._normals = iter(normals)

  def uniform(self, low, high):
    assert (low, high) == (6500, 11400)
    return self._target

  def standard_normal(self):
    return next(self._normals)

  def random(self):
    return 0.0


def test_a_walk_pursues_its_target():
  walk = policies.RandomWalk()
  for pascals, action in (
      (8000, policies.STAY), (8099, policies.STAY), (8101, policies.UP),
      (7901, policies.STAY), (7899, policies.DOWN)):
    walk.start(_Normals(8000, [0]))
    assert walk.action(_observation(pascals)) == action


def test_a_walk_widens_with_the_time_since_it_began():
  walk = policies.RandomWalk()
  # 8000, then + 180 x 0.1666 x 4 = 8119.95, then + 360 x 0.1666 x -4 = 7880.05.
  walk.start(_Normals(8000, [9, 4, -4]))
  actions = [walk.action(_observation(8000)) for _ in range(3)]
  assert actions == [policies.STAY, policies.DOWN, policies.UP]


def _phases(share, number, steps=960):
  marco_polo = policies.MarcoPolo(share)
  marco_polo.start(_generator(number))
  phases = []
  for _ in range(steps):
    marco_polo.action(_observation(9000), policies.STAY)
    phases.append(marco_polo.exploring)
  return phases


def test_four_hours_of_the_policy_then_two_of_the_walk():
  phases = _phases(1.0, 0)
  assert phases == ([False] * 80 + [True] * 40) * 8


def test_share_of_exploring_episodes():
  explores = [
      any(_phases(0.8, number, 81))
      for number in range(400)
  ]
  # Four standard deviations of a binomial share.
  assert abs(np.mean(explores) - 0.8) < 4 * (0.8 * 0.2 / 400) ** 0.5
  assert not any(_phases(0.0, 0))


def test_the_policy_acts_unless_the_walk_does():
  marco_polo = policies.MarcoPolo(1.0)
  marco_polo.start(_Normals(6500, np.zeros(999)))
  for step in range(240):
    # Far below the target: the walk climbs.
    action = marco_polo.action(_observation(9000), step % 2)
    assert action == (policies.UP if marco_polo.exploring else step % 2)


def test_an_episode_is_a_function_of_its_generator():
  def actions(number):
    marco_polo = policies.MarcoPolo(1.0)
    marco_polo.start(_generator(number))
    return [marco_polo.action(_observation(9000), 1) for _ in range(960)]

  assert actions(3) == actions(3)
  assert actions(3) != actions(4)


@pytest.fixture(name='original')
def fixture_original():
  pytest.importorskip(
      'balloon_learning_environment', reason='the originals: .[balloon]'
  )
  from rrl_pipeline.environments import balloon_compatibility  # pylint: disable=g-import-not-at-top

  balloon_compatibility.install()
  from balloon_learning_environment.agents import marco_polo_exploration  # pylint: disable=g-import-not-at-top
  from balloon_learning_environment.agents import random_walk_agent  # pylint: disable=g-import-not-at-top

  return marco_polo_exploration, random_walk_agent


def _replace_draws(monkeypatch, random_walk_agent, target, normals):
  """Makes the original walk draw what it is told to."""
  draws = iter(normals)
  monkeypatch.setattr(
      random_walk_agent.sampling, 'sample_pressure', lambda rng: target
  )
  monkeypatch.setattr(
      random_walk_agent.jax.random, 'normal', lambda rng: next(draws)
  )


def _observations():
  generator = _generator(1)
  return [_observation(p) for p in generator.uniform(6000, 12000, 960)]


def test_the_walk_equals_the_original_given_the_same_draws(
    original, monkeypatch
):
  _, random_walk_agent = original
  normals = _generator(2).standard_normal(960)
  _replace_draws(monkeypatch, random_walk_agent, 8500.0, normals[1:])
  agent = random_walk_agent.RandomWalkAgent(3, (1099,), seed=0)
  walk = policies.RandomWalk()
  walk.start(_Normals(8500.0, normals))
  observations = _observations()
  expected = [agent.begin_episode(observations[0])]
  expected += [agent.step(0.0, o) for o in observations[1:]]
  assert [walk.action(o) for o in observations] == expected
  assert len(set(expected)) == 3


def test_marco_polo_equals_the_original_given_the_same_draws(
    original, monkeypatch
):
  marco_polo_exploration, random_walk_agent = original
  normals = _generator(3).standard_normal(960)
  _replace_draws(monkeypatch, random_walk_agent, 8500.0, normals[1:])
  exploration = marco_polo_exploration.MarcoPoloExploration(
      3, (1099,), 1.0, random_walk_agent.RandomWalkAgent, seed=0
  )
  marco_polo = policies.MarcoPolo(1.0)
  marco_polo.start(_Normals(8500.0, normals))
  observations = _observations()
  choices = _generator(4).integers(3, size=960)
  expected = [exploration.begin_episode(observations[0], choices[0])]
  expected += [
      exploration.step(0.0, observation, choice)
      for observation, choice in zip(observations[1:], choices[1:])
  ]
  actions = [marco_polo.action(o, c) for o, c in zip(observations, choices)]
  assert actions == expected
