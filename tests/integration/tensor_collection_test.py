"""The collect stage where observations are no frames: a recording."""

import dataclasses
import types

import numpy as np
import pytest

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.environments import factory
from rrl_pipeline.logs import recording
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.testing import interruptions
from rrl_pipeline.testing import small_environments
from rrl_pipeline.training import collection
from rrl_pipeline.training import collection_logs
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import seeding

_ENVIRONMENT = small_environments.SmallConfig()
_CONFIG = config_lib.CollectConfig(
    num_steps=150, epsilons=(0.0, 0.5), num_parallel=2
)
_SEED = 6


@pytest.fixture(name='environments', autouse=True)
def fixture_environments(monkeypatch):
  """The factory makes the small environments."""
  monkeypatch.setattr(factory, 'make', small_environments.SmallEnvironment)


def _values(observation: np.ndarray) -> np.ndarray:
  """A teacher's greedy actions for a batch."""
  assert observation.dtype == np.float32 and observation.shape[1:] == (7,)
  return (observation.sum(axis=1) * 10).astype(int) % 3


def _teacher():
  description = types.SimpleNamespace(score={'mean_return': 1.5})
  return types.SimpleNamespace(
      actions=_values, sha256='abc', description=description
  )


def _collect(directory, config=_CONFIG):
  return collection.collect(
      directory, _ENVIRONMENT, config, _teacher(), _SEED
  )


def _play(number):
  """An episode, played in a loop of its own: rows of observation, action …"""
  seed = seeding.derive(_SEED, 'collect')
  environment = small_environments.SmallEnvironment(_ENVIRONMENT, seed)
  environment.start_at_episode(number)
  generator = np.random.Generator(np.random.Philox(key=[seed, number]))
  timestep = environment.reset()
  rows = [(timestep.observation, None, None, None)]
  while not timestep.last():
    # As `acting.explore` does.
    action = int(_values(timestep.observation[np.newaxis])[0])
    if generator.random() < _CONFIG.epsilons[number % 2]:
      action = int(generator.integers(small_environments.NUM_ACTIONS))
    timestep = environment.step(action)
    rows.append(
        (timestep.observation, action, timestep.reward, timestep.discount)
    )
  return rows, environment.episode_facts


def _read(directory):
  log = recording.RecordingReader(
      recording.RecordingConfig(str(directory))
  )
  index = log.index()
  return index, [
      (stream.load(), dict(stream.metadata)) for stream in log.read(index.spans)
  ]


def _files(directory):
  return {
      path.name: path.read_bytes()
      for path in directory.iterdir()
      if not path.name.startswith('.')
  }


def test_the_recording_holds_what_was_played(tmp_path):
  collected = _collect(tmp_path)
  index, episodes = _read(tmp_path)
  returns = []
  for number, (episode, metadata) in enumerate(episodes):
    rows, facts = _play(number)
    observations, actions, rewards, discounts = zip(*rows)
    np.testing.assert_array_equal(episode.observations, observations)
    np.testing.assert_array_equal(episode.actions, actions[1:])
    np.testing.assert_array_equal(
        episode.rewards, np.array(rewards[1:], np.float32)
    )
    assert (episode.end.value == 'terminal') == (discounts[-1] == 0)
    returns.append(float(np.sum(np.array(rewards[1:], np.float32))))
    assert metadata == {
        **facts,
        'environment_seed': seeding.derive(_SEED, 'collect'),
        'episode': number,
        'epsilon': (0.0, 0.5)[number % 2],
        'episode_return': returns[-1],
    }
  # Whole episodes, and not one more than needed.
  steps = index.accounting.transitions
  assert steps >= 150 > steps - len(episodes[-1][0].actions)
  assert collected == collection.Collected(
      steps, len(episodes), float(np.mean(returns))
  )
  assert index.metadata['agent'] == 'teacher'
  assert index.metadata['action_meanings'] == ['LEFT', 'STAY', 'RIGHT']
  assert index.metadata['teacher_sha256'] == 'abc'
  assert index.bounds.maximum == (1.0,)


# The process ends where this function would have been called for the nth time.
# A wave has eight episodes.
@pytest.mark.parametrize(
    'owner, name, nth',
    [
        (collection_logs.recorder.RecordingWriter, 'write', 3),
        (collection_logs.recorder.RecordingWriter, 'write', 11),
        (collection_logs.run_directory, 'write_json', 2),
    ],
)
@pytest.mark.parametrize('when', ['before', 'after'])
def test_a_killed_collection_ends_like_an_undisturbed_one(
    tmp_path, monkeypatch, owner, name, nth, when
):
  undisturbed = _collect(tmp_path / 'a')
  assert undisturbed.episodes > 8
  with monkeypatch.context() as patch:
    interruptions.kill_at(patch, owner, name, nth, when)
    with pytest.raises(interruptions.Killed):
      _collect(tmp_path / 'b')
  assert _collect(tmp_path / 'b') == undisturbed
  assert _files(tmp_path / 'a') == _files(tmp_path / 'b')


def test_a_finished_collection_is_left_as_it_is(tmp_path, monkeypatch):
  collected = _collect(tmp_path)
  before = _files(tmp_path)
  monkeypatch.setattr(collection.rollouts, 'play', None)
  assert _collect(tmp_path) == collected
  assert _files(tmp_path) == before


def test_what_is_collected_becomes_a_dataset(tmp_path):
  collected = _collect(tmp_path / 'log')
  config = build_rlds.BuildRldsConfig(
      str(tmp_path / 'log'), str(tmp_path / 'data')
  )
  with pytest.raises(ValueError, match='give a name to the dataset'):
    build_rlds.convert(config)
  summary = build_rlds.convert(
      dataclasses.replace(config, dataset='small_replay')
  )
  assert summary.transitions == collected.steps
  assert summary.episodes == collected.episodes
  dataset = dataset_files.Dataset(summary.path)
  assert dataset.full_name == 'small_replay/teacher_run_1/1.0.0'
  assert dataset.conversion['log']['environment']['kind'] == 'small'
