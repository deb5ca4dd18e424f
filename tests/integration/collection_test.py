"""The collect stage: its log, read back, is what the teacher played."""

import dataclasses
import json
import types

import numpy as np
import pytest

from rrl_pipeline import types as rrl_types
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.logs import dopamine
from rrl_pipeline.testing import interruptions
from rrl_pipeline.training import collection
from rrl_pipeline.training import collection_logs
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import seeding

_ENVIRONMENT = atari.AtariConfig(frame_size=30, max_episode_steps=30)
_CONFIG = config_lib.CollectConfig(
    num_steps=200, epsilons=(0.0, 0.5), checkpoint_period=90, num_parallel=2
)
_SEED = 6


def _actions(observation: np.ndarray) -> np.ndarray:
  """Depends on the whole stack."""
  return observation.reshape(len(observation), -1).sum(axis=1, dtype=int) % 6


def _teacher():
  description = types.SimpleNamespace(score={'mean_return': 1.5})
  return types.SimpleNamespace(
      actions=_actions, sha256='abc', description=description
  )


def _collect(directory, config=_CONFIG, environment=_ENVIRONMENT):
  return collection.collect(directory, environment, config, _teacher(), _SEED)


def _played(numbers, environment=_ENVIRONMENT):
  return list(
      rollouts.play(
          environment, _actions, numbers, seeding.derive(_SEED, 'collect'),
          lambda n: (0.0, 0.5)[n % 2], 1, keep_frames=True,
      )
  )


def _read(directory):
  log = dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(directory), stack_size=4)
  )
  index = log.index()
  return index, [stream.load() for stream in log.read(index.spans)]


@pytest.fixture(scope='module', name='undisturbed')
def fixture_undisturbed(tmp_path_factory):
  directory = tmp_path_factory.mktemp('collect') / 'logs'
  return directory, _collect(directory)


def test_the_log_holds_what_was_played(undisturbed):
  directory, collected = undisturbed
  index, episodes = _read(directory)
  played = _played(range(7))
  assert len(episodes) == 7
  for i, (logged, expected) in enumerate(zip(episodes, played, strict=True)):
    # 200 steps are six episodes of 30 and 20 steps of a seventh, where the
    # log ends.
    count = 30 if i < 6 else 20
    np.testing.assert_array_equal(
        logged.observations, expected.frames[:count]
    )
    np.testing.assert_array_equal(logged.actions, expected.actions[:count])
    np.testing.assert_array_equal(
        logged.rewards, np.clip(expected.rewards[:count], -1, 1)
    )
    assert logged.complete_start
    assert logged.end is (
        rrl_types.EpisodeEnd.TRUNCATED if i < 6
        else rrl_types.EpisodeEnd.LOG_END
    )
  assert index.accounting.transitions == 200 and not index.warnings
  returns = [e.rewards.sum() for e in played[:6]]
  returns.append(played[6].rewards[:20].sum())
  assert collected == collection.Collected(200, 7, float(np.mean(returns)))


def test_the_log_says_how_it_came_about(undisturbed):
  metadata = _read(undisturbed[0])[0].metadata
  assert metadata['environment'] == (
      environment_config.to_json(_ENVIRONMENT)
  )
  assert metadata['epsilons'] == [0.0, 0.5]
  assert (metadata['seed'], metadata['teacher_sha256']) == (_SEED, 'abc')
  assert metadata['teacher_score'] == {'mean_return': 1.5}


def test_the_end_of_a_game_is_terminal_in_the_log(tmp_path, monkeypatch):
  game = atari.AtariConfig(frame_size=10)
  monkeypatch.setattr(
      collection.rollouts, 'play', lambda *args, **kwargs: iter([_ended()])
  )
  config = dataclasses.replace(_CONFIG, num_steps=8)
  _collect(tmp_path, config, game)
  _, episodes = _read(tmp_path)
  assert [len(e.actions) for e in episodes] == [5, 3]
  assert [e.end for e in episodes] == [
      rrl_types.EpisodeEnd.TERMINAL, rrl_types.EpisodeEnd.LOG_END
  ]
  # Clipped in the log, raw in the mean.
  assert episodes[0].rewards.tolist() == [0, 1, -1, 0.5, 1]
  returns = [40 - 3 + 0.5 + 7, 40 - 3]
  state = json.loads((tmp_path / 'collect.json').read_text())
  assert state['returns'] == pytest.approx(returns)


def _ended() -> rollouts.PlayedEpisode:
  """An episode of five steps that ended by itself."""
  return rollouts.PlayedEpisode(
      number=0,
      frames=(np.arange(600) % 251 + 1).astype(np.uint8).reshape(6, 10, 10),
      actions=np.arange(5, dtype=np.int32),
      rewards=np.array([0, 40, -3, 0.5, 7], np.float32),
      terminal=True,
  )


def _files(directory):
  return {
      path.name: path.read_bytes()
      for path in directory.iterdir()
      if not path.name.startswith('.tmp-')
  }


# The process ends where this function would have been called for the nth time.
# The log is saved after four episodes and at the end.
@pytest.mark.parametrize(
    'module, name, nth',
    [
        # Two episodes were played after the first save.
        (collection_logs, '_log', 6),
        # The log is half saved for the second time.
        (collection_logs.dopamine_writer.pickle, 'dump', 2),
        # It is saved, but the state does not know of it.
        (collection_logs.run_directory, 'write_json', 2),
    ],
)
def test_a_killed_collection_ends_like_an_undisturbed_one(
    undisturbed, tmp_path, monkeypatch, module, name, nth
):
  with monkeypatch.context() as patch:
    interruptions.kill_at(patch, module, name, nth, 'before')
    with pytest.raises(interruptions.Killed):
      _collect(tmp_path)
  assert _collect(tmp_path) == undisturbed[1]
  got, expected = _files(tmp_path), _files(undisturbed[0])
  assert got.keys() == expected.keys()
  assert [n for n in got if got[n] != expected[n]] == []


def test_a_finished_collection_is_left_as_it_is(undisturbed, monkeypatch):
  directory, collected = undisturbed
  before = _files(directory)

  def play(*unused_args, **unused_kwargs):
    raise AssertionError('nothing is left to play')

  monkeypatch.setattr(collection.rollouts, 'play', play)
  assert _collect(directory) == collected
  assert _files(directory) == before
