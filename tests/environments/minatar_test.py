"""Tests of the MinAtar games against the package they come from."""

import sys

import dm_env
import numpy as np
import pytest

from rrl_pipeline.environments import minatar as minatar_lib

_CHANNELS = {
    'Asterix': 4,
    'Breakout': 4,
    'Freeway': 7,
    'Seaquest': 10,
    'SpaceInvaders': 6,
}


def _make(seed=0, **settings):
  pytest.importorskip('minatar', reason='needs the extra minatar')
  return minatar_lib.MinAtarEnvironment(
      minatar_lib.MinAtarConfig(**settings), seed
  )


def _play(environment, actions):
  """Observations, rewards and discounts from a reset on, to the end if near."""
  steps = [environment.reset()]
  for action in actions:
    steps.append(environment.step(int(action)))
    if steps[-1].last():
      break
  return steps


def _digest(steps):
  return [
      (s.observation.tobytes(), s.reward, s.discount, s.step_type)
      for s in steps
  ]


def _random_actions(environment, number, seed=0):
  return np.random.default_rng(seed).integers(
      environment.action_spec().num_values, size=number
  )


@pytest.mark.parametrize('game', minatar_lib.GAMES)
def test_each_game_meets_its_specs(game):
  environment = _make(game=game)
  assert environment.observation_spec().shape == (10, 10, _CHANNELS[game])
  assert environment.action_spec().num_values == len(
      environment.action_meanings
  )
  for timestep in _play(environment, _random_actions(environment, 300)):
    environment.observation_spec().validate(timestep.observation)
    assert set(np.unique(timestep.observation)) <= {0, 255}
    if not timestep.first():
      environment.reward_spec().validate(timestep.reward)
      environment.discount_spec().validate(timestep.discount)


def test_actions_are_the_minimal_set():
  assert _make(game='Breakout').action_meanings == ('NOOP', 'LEFT', 'RIGHT')
  assert _make(game='Freeway').action_meanings == ('NOOP', 'UP', 'DOWN')
  assert _make(game='Seaquest').action_meanings == (
      'NOOP', 'LEFT', 'UP', 'RIGHT', 'DOWN', 'FIRE'
  )


@pytest.mark.parametrize('game', minatar_lib.GAMES)
def test_game_is_that_of_the_package(game):
  package = pytest.importorskip('minatar', reason='needs the extra minatar')
  environment = _make(seed=5, game=game)
  environment.start_at_episode(2)
  steps = _play(environment, _random_actions(environment, 400))
  names = {'SpaceInvaders': 'space_invaders'}
  theirs = package.Environment(names.get(game, game.lower()))
  theirs.seed(int(np.random.SeedSequence([5, 2]).generate_state(1)[0]))
  theirs.reset()
  minimal = theirs.minimal_action_set()
  np.testing.assert_array_equal(steps[0].observation == 255, theirs.state())
  for timestep, action in zip(
      steps[1:], _random_actions(environment, 400), strict=False
  ):
    reward, terminal = theirs.act(minimal[action])
    assert timestep.reward == reward
    assert (timestep.discount == 0) == terminal
    np.testing.assert_array_equal(timestep.observation == 255, theirs.state())


@pytest.mark.parametrize('game', minatar_lib.GAMES)
def test_episodes_depend_on_seed_and_number_alone(game):
  environment = _make(seed=3, game=game)
  actions = _random_actions(environment, 120)
  first, second = (_digest(_play(environment, actions)) for _ in range(2))
  again = _make(seed=3, game=game)
  # Whatever was played before, and however it ended.
  _play(again, actions[::-1][:40])
  again.start_at_episode(1)
  assert _digest(_play(again, actions)) == second
  again.start_at_episode(0)
  assert _digest(_play(again, actions)) == first
  other = _make(seed=4, game=game)
  numbered = [_digest(_play(other, actions)) for _ in range(8)]
  assert any(episode != first for episode in numbered)


def test_global_generator_is_not_used():
  np.random.seed(1)
  environment = _make(game='Asterix')
  before = np.random.get_state()[1].tolist()
  first = _digest(_play(environment, _random_actions(environment, 50)))
  assert np.random.get_state()[1].tolist() == before
  np.random.seed(2)
  environment = _make(game='Asterix')
  assert first == _digest(_play(environment, _random_actions(environment, 50)))


def test_actions_stick():
  """With actions that always stick, no action but the first ever counts."""
  environment = _make(game='Breakout', sticky_actions=0.999999)
  still = _play(environment, [0] * 8)
  environment.start_at_episode(0)
  moving = _play(environment, [1] * 8)
  assert _digest(still) == _digest(moving)
  free = _make(game='Breakout', sticky_actions=0.0)
  assert _digest(_play(free, [1] * 8)) != _digest(still)


def test_cut_episode_is_a_truncation():
  environment = _make(game='Freeway', max_episode_steps=7)
  steps = _play(environment, [0] * 20)
  assert len(steps) == 8
  assert steps[-1].last() and steps[-1].discount == 1
  assert environment.step(0).first()


def test_end_of_the_game_is_a_terminal_state():
  environment = _make(game='Breakout')
  steps = _play(environment, [1] * 100)  # The paddle stays in its corner.
  assert steps[-1].step_type == dm_env.StepType.LAST
  assert steps[-1].discount == 0
  assert environment.step(0).first()


def test_config_names_its_task():
  config = minatar_lib.MinAtarConfig(game='SpaceInvaders')
  assert config.task == 'MinAtar-SpaceInvaders'
  assert (config.frame_skip, config.stack_size) == (1, 1)
  assert config.reward_limit is None


@pytest.mark.parametrize(
    'settings, message',
    (
        ({'game': 'Pong'}, "Unknown MinAtar game 'Pong'; expected .* Seaquest"),
        ({'sticky_actions': 1.0}, 'probability below 1, got 1.0'),
        ({'max_episode_steps': 0}, 'max_episode_steps must be at least 1'),
    ),
)
def test_bad_settings_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    minatar_lib.MinAtarConfig(**settings)


def test_missing_package_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'minatar', None)
  with pytest.raises(ValueError, match=r"pip install 'rrl-pipeline\[minatar\]'"):
    minatar_lib.MinAtarEnvironment(minatar_lib.MinAtarConfig(), 0)
