"""Records a game, a vector environment, and Acme's own loop."""

import dataclasses

from acme import core
from acme import environment_loop
from acme.utils import loggers
import dm_env
from dm_env import specs
import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import recording as recording_environment
from rrl_pipeline.logs import bounds
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording

_ATARI = atari.AtariConfig(frame_size=40, max_episode_steps=12)


class VectorEnvironment(dm_env.Environment):
  """Counts up to five in a float vector that it overwrites at each step."""

  def __init__(self, terminal: bool = True):
    self._terminal = terminal
    self._observation = np.zeros(1099, np.float32)

  def reset(self):
    self._observation[:] = 0
    return dm_env.restart(self._observation)

  def step(self, action):
    if self._observation[0] == 5:
      return self.reset()
    self._observation += 1
    reward = 0.5 * action
    if self._observation[0] < 5:
      return dm_env.transition(reward, self._observation)
    if self._terminal:
      return dm_env.termination(reward, self._observation)
    return dm_env.truncation(reward, self._observation)

  def observation_spec(self):
    return specs.Array((1099,), np.float32)

  def action_spec(self):
    return specs.DiscreteArray(3)

  def reward_spec(self):
    return specs.Array((), np.float32)


class _Actor(core.Actor):
  """Acts in turn 0, 1, 2, as an int of Python."""

  def __init__(self):
    self._steps = 0

  def select_action(self, observation):
    self._steps += 1
    return self._steps % 3

  def observe_first(self, timestep):
    pass

  def observe(self, action, next_timestep):
    pass

  def update(self, wait=False):
    pass


def _writer(directory, environment, metadata=None):
  return recorder.RecordingWriter(
      str(directory),
      recording_environment.describe(environment, metadata or {}),
  )


def _episodes(directory):
  log_reader = recording.RecordingReader(
      recording.RecordingConfig(str(directory))
  )
  return [
      (stream.span.end, np.concatenate(list(stream.frames)), stream.actions,
       stream.rewards)
      for stream in log_reader.read(log_reader.index().spans)
  ]


def test_a_game_is_recorded_as_it_was_played(tmp_path):
  environment = atari.AtariEnvironment(_ATARI, seed=3)
  rng = np.random.default_rng(0)
  played = []
  metadata = {'environment': dataclasses.asdict(_ATARI)}
  with _writer(tmp_path, environment, metadata) as writer:
    recorded = recording_environment.RecordingEnvironment(environment, writer)
    assert recorded.action_meanings == environment.action_meanings
    assert recorded.observation_spec() == environment.observation_spec()
    recorded.start_at_episode(4)  # Of the game itself.
    timestep = recorded.reset()
    played.append(([timestep.observation], [], []))
    for action in rng.integers(0, 6, 30):
      timestep = recorded.step(action)
      if timestep.first():
        played.append(([timestep.observation], [], []))
        continue
      observations, actions, rewards = played[-1]
      observations.append(timestep.observation)
      actions.append(action)
      rewards.append(timestep.reward)
  found = _episodes(tmp_path)
  # 12 steps, one to begin anew, 12 steps, one, and four of a third episode.
  assert [len(actions) for _, actions, _ in played] == [12, 12, 4]
  assert len(found) == 2
  for (end, *columns), expected in zip(found, played):
    assert end is types.EpisodeEnd.TRUNCATED
    for column, wanted in zip(columns, expected):
      np.testing.assert_array_equal(column, wanted)
  assert found[0][2].dtype == np.int32 and found[0][3].dtype == np.float32
  index = recording.RecordingReader(
      recording.RecordingConfig(str(tmp_path))
  ).index()
  assert index.metadata['environment']['game'] == 'Pong'


@pytest.mark.parametrize('terminal', [True, False])
def test_acme_loop_in_a_recording_environment(tmp_path, terminal):
  """Acme's own loop, with vectors as of a balloon."""
  environment = VectorEnvironment(terminal)
  with _writer(tmp_path, environment) as writer:
    environment_loop.EnvironmentLoop(
        recording_environment.RecordingEnvironment(environment, writer),
        _Actor(),
        logger=loggers.NoOpLogger(),
    ).run(num_episodes=2)
  _assert_two_episodes(_episodes(tmp_path), terminal)


def _assert_two_episodes(found, terminal):
  assert len(found) == 2
  for number, (end, observations, actions, rewards) in enumerate(found):
    assert (end is types.EpisodeEnd.TERMINAL) == terminal
    np.testing.assert_array_equal(
        observations, np.repeat(np.arange(6.0)[:, None], 1099, axis=1)
    )
    assert observations.dtype == np.float32
    np.testing.assert_array_equal(actions, (np.arange(1, 6) + 5 * number) % 3)
    np.testing.assert_array_equal(rewards, 0.5 * actions)


def test_observer_records_what_acme_tells_observers(tmp_path):
  """The calls of later versions of Acme's loop, in their order."""
  environment = VectorEnvironment()
  with _writer(tmp_path, environment) as writer:
    observer = recording_environment.RecordingObserver(writer)
    actor = _Actor()
    for episode in range(2):
      timestep = environment.reset()
      observer.observe_first(environment, timestep)
      while not timestep.last():
        action = actor.select_action(timestep.observation)
        timestep = environment.step(action)
        observer.observe(environment, timestep, action)
      assert observer.get_metrics() == {'recorded_episodes': episode + 1}
  _assert_two_episodes(_episodes(tmp_path), terminal=True)


def test_an_episode_that_is_given_up_is_not_recorded(tmp_path):
  environment = VectorEnvironment()
  with _writer(tmp_path, environment) as writer:
    recorded = recording_environment.RecordingEnvironment(environment, writer)
    recorded.reset()
    recorded.step(2)
    recorded.reset()
    for _ in range(5):
      recorded.step(1)
  (_, _, actions, _), = _episodes(tmp_path)
  np.testing.assert_array_equal(actions, np.ones(5))


def test_a_step_needs_a_beginning(tmp_path):
  environment = VectorEnvironment()
  with _writer(tmp_path, environment) as writer:
    observer = recording_environment.RecordingObserver(writer)
    with pytest.raises(ValueError, match='no episode was begun'):
      observer.observe(environment, dm_env.transition(0.0, np.zeros(1099)), 0)


def test_wrong_actions_and_observations_are_refused(tmp_path):
  environment = VectorEnvironment()
  for observation, action, message in (
      (np.zeros(1099, np.float32), 0.5, r'actions\[0\] is float64'),
      (np.zeros(1099), 1, r'observations\[1\] is float64'),
      (np.zeros(7, np.float32), 1, r'observations\[1\] is float32 \(7,\)'),
  ):
    with _writer(tmp_path, environment) as writer:
      observer = recording_environment.RecordingObserver(writer)
      observer.observe_first(environment, environment.reset())
      with pytest.raises(ValueError, match=message):
        observer.observe(
            environment, dm_env.termination(1.0, observation), action
        )


def test_nested_observations_are_refused():

  class NestedEnvironment(VectorEnvironment):

    def observation_spec(self):
      return {'position': specs.Array((2,), np.float32)}

  with pytest.raises(
      ValueError, match='the observations of this environment are dict; only'
  ):
    recording_environment.describe(NestedEnvironment(), {})


class _BoundedEnvironment(VectorEnvironment):

  def observation_spec(self):
    return specs.BoundedArray((1099,), np.float32, [0.0] * 1098 + [-1.0], 5.0)


def test_the_declared_range_is_recorded():
  described = recording_environment.describe(_BoundedEnvironment(), {})
  assert described.bounds == bounds.Bounds((0.0,) * 1098 + (-1.0,), (5.0,))
  assert recording_environment.describe(VectorEnvironment(), {}).bounds is None
  # The pixels of a game can be nothing but 0 to 255.
  game = atari.AtariEnvironment(_ATARI, seed=0)
  assert 'bounds' not in recording_environment.describe(game, {}).to_json()


def test_facts_of_episodes_are_recorded(tmp_path):
  environment = VectorEnvironment()
  description = recording_environment.describe(environment, {})
  seeds = iter([3, 8])
  with recorder.RecordingWriter(str(tmp_path), description) as writer:
    recorded = recording_environment.RecordingEnvironment(
        environment, writer, lambda env: {'seed': next(seeds), 'self': env is
                                          environment}
    )
    for _ in range(2):
      timestep = recorded.reset()
      while not timestep.last():
        timestep = recorded.step(1)
  reader = recording.RecordingReader(recording.RecordingConfig(str(tmp_path)))
  streams = reader.read(reader.index().spans)
  assert [stream.load().metadata for stream in streams] == [
      {'seed': 3, 'self': True, 'checkpoint': 0, 'episode': 0, 'first_add': 0},
      {'seed': 8, 'self': True, 'checkpoint': 0, 'episode': 1, 'first_add': 5},
  ]


def test_facts_that_json_cannot_hold_are_refused(tmp_path):
  environment = VectorEnvironment()
  description = recording_environment.describe(environment, {})
  with recorder.RecordingWriter(str(tmp_path), description) as writer:
    recorded = recording_environment.RecordingEnvironment(
        environment, writer, lambda _: {'distance': np.float32(3)}
    )
    recorded.reset()
    with pytest.raises(ValueError, match='expected what JSON can hold'):
      while not recorded.step(1).last():
        pass
  assert writer.num_episodes == 0
