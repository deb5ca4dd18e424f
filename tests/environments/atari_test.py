"""Tests of the Atari environment: seeds, ends of episodes and preprocessing."""

import hashlib
import subprocess
import sys

import ale_py
from ale_py import roms
import dm_env
import numpy as np
from PIL import Image
import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory

_NOOP, _RIGHT, _LEFT = 0, 2, 3


def _actions(count: int) -> list[int]:
  return [(_RIGHT, _LEFT, _NOOP)[t // 5 % 3] for t in range(count)]


def _play(environment, episode: int, count: int = 60) -> np.ndarray:
  """The frames of the first `count` steps of an episode."""
  environment.start_at_episode(episode)
  frames = [environment.reset().observation]
  for action in _actions(count):
    frames.append(environment.step(action).observation)
  return np.stack(frames)


def _screens(count: int) -> tuple[list[np.ndarray], list[int]]:
  """Emulator frames and rewards of Pong by hand, without sticky actions."""
  ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
  ale = ale_py.ALEInterface()
  ale.setFloat('repeat_action_probability', 0.0)
  ale.loadROM(roms.get_rom_path('pong'))
  actions = ale.getMinimalActionSet()
  screens, rewards = [ale.getScreenGrayscale()], []
  for action in _actions(count):
    for _ in range(4):
      rewards.append(ale.act(actions[action]))
      screens.append(ale.getScreenGrayscale())
  return screens, rewards


def _area_average(screen: np.ndarray, size: int) -> np.ndarray:
  """Repeats each pixel `size` times and averages whole blocks: exact areas."""
  height, width = screen.shape
  tall = np.repeat(screen.astype(np.float64), size, axis=0)
  tall = tall.reshape(size, height, width).mean(axis=1)
  wide = np.repeat(tall, size, axis=1)
  return wide.reshape(size, size, width).mean(axis=2)


def test_specs_describe_what_the_environment_emits():
  environment = factory.make(atari.AtariConfig(frame_size=20), seed=0)
  assert environment.action_meanings == (
      'NOOP', 'FIRE', 'RIGHT', 'LEFT', 'RIGHTFIRE', 'LEFTFIRE'
  )
  assert environment.action_spec().num_values == 6
  first, second = environment.reset(), environment.step(_RIGHT)
  for timestep in (first, second):
    environment.observation_spec().validate(timestep.observation)
    assert timestep.observation.shape == (20, 20)
  environment.reward_spec().validate(second.reward)
  environment.discount_spec().validate(second.discount)
  assert first.first() and second.mid()


def test_an_episode_depends_on_seed_and_number_only():
  environment = factory.make(atari.AtariConfig(), seed=7)
  fresh = _play(environment, 3)
  _play(environment, 0, count=11)
  np.testing.assert_array_equal(_play(environment, 3), fresh)
  other = factory.make(atari.AtariConfig(), seed=7)
  _play(other, 2)
  # The next `reset` goes on to the next number.
  frames = [other.reset().observation]
  frames += [other.step(action).observation for action in _actions(60)]
  np.testing.assert_array_equal(np.stack(frames), fresh)


def test_an_episode_is_the_same_in_another_process():
  frames = _play(factory.make(atari.AtariConfig(), seed=7), 3)
  program = '\n'.join([
      'import hashlib',
      'from rrl_pipeline.environments import atari, factory',
      'environment = factory.make(atari.AtariConfig(), seed=7)',
      'environment.start_at_episode(3)',
      'sha1 = hashlib.sha1(environment.reset().observation.tobytes())',
      f'for action in {_actions(60)}:',
      '  sha1.update(environment.step(action).observation.tobytes())',
      'print(sha1.hexdigest())',
  ])
  output = subprocess.run(
      [sys.executable, '-c', program],
      capture_output=True,
      text=True,
      check=True,
  ).stdout
  assert output.strip() == hashlib.sha1(frames.tobytes()).hexdigest()


def test_other_episodes_and_seeds_differ():
  environment = factory.make(atari.AtariConfig(), seed=7)
  episodes = [_play(environment, number) for number in (0, 1)]
  episodes.append(_play(factory.make(atari.AtariConfig(), seed=8), 0))
  digests = {episode.tobytes() for episode in episodes}
  assert len(digests) == 3


def test_without_sticky_actions_all_episodes_are_equal():
  config = atari.AtariConfig(sticky_actions=0.0)
  environment = factory.make(config, seed=7)
  np.testing.assert_array_equal(_play(environment, 0), _play(environment, 1))
  sticky = _play(factory.make(atari.AtariConfig(), seed=7), 0)
  assert not np.array_equal(_play(environment, 0), sticky)


def test_a_time_limit_truncates():
  environment = factory.make(atari.AtariConfig(max_episode_steps=3), seed=0)
  environment.reset()
  timesteps = [environment.step(_NOOP) for _ in range(3)]
  assert [t.last() for t in timesteps] == [False, False, True]
  assert [float(t.discount) for t in timesteps] == [1, 1, 1]
  assert environment.step(_NOOP).first()  # As dm_env has it: a new episode.


def test_the_end_of_a_game_is_terminal():
  environment = factory.make(atari.AtariConfig(), seed=0)
  timestep = environment.reset()
  rewards = []
  while not timestep.last():
    timestep = environment.step(_NOOP)
    rewards.append(timestep.reward)
  assert timestep.discount == 0
  assert timestep.step_type is dm_env.StepType.LAST
  assert sum(rewards) == -21  # Pong against a paddle that does not move.
  assert 700 < len(rewards) < 2_000
  assert set(rewards) == {0, -1}


def test_a_frame_is_the_maximum_of_the_last_two_screens():
  count = 25
  screens, rewards = _screens(count)
  environment = factory.make(atari.AtariConfig(sticky_actions=0.0), seed=0)
  environment.reset()
  for t, action in enumerate(_actions(count)):
    timestep = environment.step(action)
    last = 4 * (t + 1)
    pooled = np.maximum(screens[last - 1], screens[last])
    expected = _area_average(pooled, 84)
    np.testing.assert_allclose(timestep.observation, expected, atol=0.5 + 1e-3)
    assert timestep.reward == sum(rewards[last - 4 : last])
  # The ball moves, so that taking one screen only would have shown.
  assert not np.array_equal(screens[last - 1], screens[last])


def test_the_first_frame_is_the_first_screen():
  screens, _ = _screens(0)
  environment = factory.make(atari.AtariConfig(sticky_actions=0.0), seed=0)
  expected = _area_average(screens[0], 84)
  np.testing.assert_allclose(
      environment.reset().observation, expected, atol=0.5 + 1e-3
  )


def test_without_frame_skip_a_frame_is_one_screen():
  screens, _ = _screens(10)
  config = atari.AtariConfig(sticky_actions=0.0, frame_skip=1)
  environment = factory.make(config, seed=0)
  environment.reset()
  for t, action in enumerate(np.repeat(_actions(10), 4)):
    frame = environment.step(action).observation
    expected = _area_average(screens[t + 1], 84)
    np.testing.assert_allclose(frame, expected, atol=0.5 + 1e-3)


@pytest.mark.parametrize(
    'source, target', [(210, 84), (160, 84), (7, 5), (3, 3)]
)
def test_area_weights_are_overlaps(source, target):
  expected = np.zeros((target, source))
  for i in range(target):
    for j in range(source):
      # In units of 1 / target of an input pixel all edges are whole numbers.
      left = max(i * source, j * target)
      right = min((i + 1) * source, (j + 1) * target)
      expected[i, j] = max(right - left, 0) / source
  np.testing.assert_allclose(
      atari.area_weights(source, target), expected, atol=1e-6
  )


def test_area_weights_average_as_pillow_does():
  # Pillow's box filter takes whole pixels only, so it is given whole ratios.
  screen = np.random.default_rng(0).integers(0, 256, (210, 160), np.uint8)
  ours = atari.area_weights(210, 42) @ screen @ atari.area_weights(160, 40).T
  theirs = Image.fromarray(screen).resize((40, 42), Image.Resampling.BOX)
  # Pillow rounds twice, once along each axis.
  np.testing.assert_allclose(ours, np.asarray(theirs), atol=1.0)


@pytest.mark.parametrize('game', ['Pogn', '', 'pong.bin', 'pong'])
def test_an_unknown_game_is_named(game):
  with pytest.raises(ValueError, match='Unknown Atari .*CamelCase') as error:
    factory.make(atari.AtariConfig(game=game), seed=0)
  assert repr(game) in str(error.value)


def test_names_in_camel_case_find_their_game():
  environment = factory.make(atari.AtariConfig(game='MsPacman'), seed=0)
  assert environment.action_spec().num_values == 9


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'sticky_actions': 1.0}, 'sticky_actions is a probability.*got 1.0'),
        ({'sticky_actions': -0.1}, 'sticky_actions is a probability.*got -0.1'),
        ({'frame_skip': 0}, 'frame_skip must be at least 1, got 0'),
        ({'max_episode_steps': 0}, 'max_episode_steps must be at least 1'),
        ({'frame_size': 0}, 'frame_size must be at least 1'),
        ({'stack_size': 0}, 'stack_size must be at least 1'),
    ],
)
def test_impossible_settings_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    atari.AtariConfig(**settings)
