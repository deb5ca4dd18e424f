"""Tests of playing several episodes at once."""

import os
import signal

import dm_env
from dm_env import specs
import numpy as np
import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import parallel
from rrl_pipeline.training import rollouts

_CONFIG = atari.AtariConfig(stack_size=2, max_episode_steps=6)


class _Environment:
  """Episode i has 2 + 5 i mod 7 steps; its frames say episode and step.

  Odd episodes end in a terminal state, even ones are truncated.
  """

  made = 0

  def __init__(self, config, seed):
    self._seed = seed
    self.action_spec = lambda: specs.DiscreteArray(4)
    self.observation_spec = lambda: specs.BoundedArray((1, 3), np.uint8, 0, 255)
    _Environment.made += 1

  def start_at_episode(self, episode):
    self._episode = episode

  @property
  def episode_facts(self):
    return {'steps': int(self._step), 'seed': self._seed}

  def _frame(self):
    return np.array([[self._episode, self._step, self._seed]], np.uint8)

  def reset(self):
    self._step = 0
    return dm_env.restart(self._frame())

  def step(self, action):
    self._step += 1
    reward = np.float32(action + 10 * self._step)
    if self._step < _length(self._episode):
      return dm_env.transition(reward, self._frame(), np.float32(1))
    discount = np.float32(0 if self._episode % 2 else 1)
    return dm_env.TimeStep(
        dm_env.StepType.LAST, reward, discount, self._frame()
    )


def _length(episode: int) -> int:
  return 2 + 5 * episode % 7


@pytest.fixture(name='fake_environments')
def fixture_fake_environments(monkeypatch):
  monkeypatch.setattr(factory, 'make', _Environment)
  _Environment.made = 0


def _policy(observations: np.ndarray) -> np.ndarray:
  """Depends on the episode and on the two newest steps."""
  assert observations.dtype == np.uint8
  episodes = observations[:, 0, 0, -1].astype(int)
  steps = observations[:, 0, 1].astype(int)
  return (episodes + steps[:, 0] + 2 * steps[:, 1]) % 4


def _play(numbers, num_parallel, epsilon=0.0, seed=1, **kwargs):
  return list(
      rollouts.play(
          _CONFIG, _policy, numbers, seed, lambda _: epsilon, num_parallel,
          **kwargs,
      )
  )


def _assert_equal(first, second):
  for a, b in zip(first, second, strict=True):
    assert (a.number, a.terminal) == (b.number, b.terminal)
    assert a.facts == b.facts
    for name in ('frames', 'actions', 'rewards'):
      np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize('num_parallel', [1, 3, 8, 20])
def test_episodes_come_whole_and_in_order(fake_environments, num_parallel):
  numbers = [4, 0, 7, 2, 9, 5, 1, 3]
  episodes = _play(numbers, num_parallel, keep_frames=True)
  assert [episode.number for episode in episodes] == numbers
  assert _Environment.made == min(num_parallel, len(numbers))
  for episode in episodes:
    length = _length(episode.number)
    assert episode.terminal == bool(episode.number % 2)
    assert episode.facts == {'steps': length, 'seed': 1}
    assert episode.actions.dtype == np.int32
    assert episode.rewards.dtype == np.float32
    # Step t is taken at the stack of frames t - 1 and t; before there are
    # zeros, so the step in them is 0.
    expected = [
        (episode.number + max(t - 1, 0) + 2 * t) % 4 for t in range(length)
    ]
    assert episode.actions.tolist() == expected
    assert episode.rewards.tolist() == [
        action + 10 * (t + 1) for t, action in enumerate(expected)
    ]
    # One frame more than actions: the last observation too.
    assert episode.frames.shape == (length + 1, 1, 3)
    assert episode.frames[:, 0, 0].tolist() == [episode.number] * (length + 1)
    assert episode.frames[:, 0, 1].tolist() == list(range(length + 1))


def test_frames_are_kept_only_if_wanted(fake_environments):
  episodes = _play(range(3), 2)
  assert {episode.frames.shape for episode in episodes} == {(0, 1, 3)}


def test_exploration_depends_on_seed_and_number_only(fake_environments):
  together = _play(range(9), 4, epsilon=0.5)
  _assert_equal(together, _play(range(9), 1, epsilon=0.5))
  alone = [_play([number], 1, epsilon=0.5)[0] for number in range(9)]
  _assert_equal(together, alone)
  actions = [np.concatenate([e.actions for e in played]) for played in (
      together, _play(range(9), 4, epsilon=0.5, seed=2), _play(range(9), 4)
  )]
  assert not np.array_equal(actions[0], actions[1])
  assert not np.array_equal(actions[0], actions[2])


def test_each_episode_has_an_epsilon_of_its_own(fake_environments):
  played = list(
      rollouts.play(
          _CONFIG, _policy, range(40), 1, lambda n: float(n % 2), 4
      )
  )
  greedy = _play(range(40), 4)
  same = [
      np.array_equal(a.actions, b.actions) for a, b in zip(played, greedy)
  ]
  assert all(same[::2])
  assert sum(same[1::2]) < 5  # Two random actions may be the greedy ones.


def test_an_endless_list_of_numbers_is_taken_as_needed(fake_environments):
  taken = []

  def numbers():
    for number in range(10**9):
      taken.append(number)
      yield number

  played = rollouts.play(_CONFIG, _policy, numbers(), 1, lambda _: 0.0, 3)
  assert [next(played).number for _ in range(5)] == [0, 1, 2, 3, 4]
  assert len(taken) < 12


def test_no_episodes_make_no_environment(fake_environments):
  assert not _play([], 3)
  assert _Environment.made == 0


def test_games_are_the_same_alone_and_in_parallel():
  config = atari.AtariConfig(max_episode_steps=12)

  def policy(observations):
    return observations.reshape(len(observations), -1).sum(axis=1) % 6

  def play(numbers, num_parallel):
    return list(
        rollouts.play(
            config, policy, numbers, 5, lambda _: 0.2, num_parallel,
            keep_frames=True,
        )
    )

  together = play(range(3), 2)
  _assert_equal(together, play(range(3), 3))
  _assert_equal(together[2:], play([2], 1))
  assert {len(episode.actions) for episode in together} == {12}
  assert not any(episode.terminal for episode in together)
  assert together[0].frames.shape == (13, 84, 84)
  assert not np.array_equal(together[0].actions, together[1].actions)


def test_episodes_are_the_same_in_other_processes():
  config = atari.AtariConfig(frame_size=16, max_episode_steps=7)

  def play(num_workers):
    return list(rollouts.play(
        config, lambda o: o.sum(axis=(1, 2, 3)) % 6, range(5), 2,
        lambda number: 0.2 * number, 3, keep_frames=True,
        num_workers=num_workers,
    ))

  expected = play(0)
  # The second time in processes that are there, the third in new ones.
  for is_killed in (False, False, True):
    if is_killed:
      for process in rollouts._processes(config, 2, 3, 2).process_ids:
        os.kill(process, signal.SIGKILL)
      with pytest.raises(parallel.WorkerError, match='SIGKILL'):
        play(2)
    for here, there in zip(expected, play(2), strict=True):
      assert (here.number, here.terminal) == (there.number, there.terminal)
      for name in ('frames', 'actions', 'rewards'):
        np.testing.assert_array_equal(
            getattr(here, name), getattr(there, name)
        )
  rollouts._processes.cache_clear()
