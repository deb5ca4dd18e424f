"""Tests of the online replay: its start, its draws and its copy on disk."""

import dataclasses

import numpy as np
import pytest

from rrl_pipeline.agents import method_config
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.replay import frame_store
from rrl_pipeline.training import online_replay
from rrl_pipeline.training import teacher_data

_ENVIRONMENT = atari.AtariConfig(frame_size=8)
_AGENT = dataclasses.replace(
    methods.METHODS['tabula_rasa'].agent, batch_size=16, min_replay_steps=1,
    replay_capacity=40,
)
_LOGS = dataclasses.replace(
    _AGENT, switch=method_config.SwitchConfig(replay='logs')
)
_BY_PRIORITY = dataclasses.replace(_AGENT, prioritized_replay=True)


def _rows(start, count, length=10):
  """Rows start … of episodes of `length` rows, marked by their numbers."""
  numbers = np.arange(start, start + count)
  return frame_store.Rows(
      observation=np.broadcast_to(
          (numbers % 251).astype(np.uint8)[:, None, None], (count, 8, 8)
      ),
      action=(numbers % 6).astype(np.int32),
      reward=numbers.astype(np.float32),
      is_first=numbers % length == 0,
      is_last=numbers % length == length - 1,
      is_terminal=numbers % length == length - 1,
      is_padded=np.ones(count, bool),
      teacher_values=np.zeros((count, 6), np.float32),
  )


def _replay(directory, agent, logged=0, num_actor_steps=1_000, length=10):
  newest = None
  if logged:
    newest = teacher_data.NewestEpisodes(
        logged,
        lambda: (_rows(i, length, length) for i in range(0, logged, length)),
    )
  return online_replay.OnlineReplay(
      directory, _ENVIRONMENT, agent, num_actor_steps, 3,
      teacher_data.TeacherData(newest=newest),
  )


def _held(replay):
  store = replay.store
  return store.rows(store.oldest, store.num_added).reward


@pytest.mark.parametrize('logged', [20, 40, 70])
def test_it_begins_with_the_newest_logs_and_they_give_way(tmp_path, logged):
  replay = _replay(tmp_path, _LOGS, logged)
  replay.restore()
  assert replay.num_initial == logged == replay.store.num_added
  np.testing.assert_array_equal(
      _held(replay), np.arange(max(0, logged - 40), logged)
  )
  replay.store.extend(_rows(logged, 25))
  assert _held(replay)[-1] == logged + 24
  assert len(_held(replay)) == min(40, logged + 25)
  # What comes from the dataset is not kept a second time.
  replay.save()
  names = [path.name for path in (tmp_path / 'rows').iterdir()]
  assert names == [f'{logged}-{logged + 25}.npz']


@pytest.mark.parametrize('played', [0, 15, 39, 40, 65, 130])
def test_a_resumed_run_has_the_same_rows(tmp_path, played):
  replay = _replay(tmp_path, _LOGS, 30)
  replay.restore()
  for start in range(30, 30 + played, 13):
    replay.store.extend(_rows(start, min(13, 30 + played - start)))
    replay.save()
  again = _replay(tmp_path, _LOGS, 30)
  again.restore(30 + played)
  for first, second in zip(
      replay.store.rows(replay.store.oldest, replay.store.num_added),
      again.store.rows(again.store.oldest, again.store.num_added),
      strict=True,
  ):
    np.testing.assert_array_equal(first, second)
  first, second = replay.draw(5).transitions, again.draw(5).transitions
  for a, b in zip(first, second, strict=True):
    np.testing.assert_array_equal(a, b)


def test_one_episode_longer_than_the_replay_fills_it(tmp_path):
  replay = _replay(tmp_path, _LOGS, 90, length=90)
  replay.restore()
  np.testing.assert_array_equal(_held(replay), np.arange(50, 90))


def test_a_short_run_takes_no_more_memory_than_it_needs(tmp_path):
  agent = dataclasses.replace(_AGENT, replay_capacity=10**9)
  replay = _replay(tmp_path, agent, num_actor_steps=20)
  replay.restore()
  replay.store.extend(_rows(0, 40))
  replay.store.extend(_rows(40, 1))
  assert len(_held(replay)) == 40


def test_priorities_come_back_with_the_rows(tmp_path):
  replay = _replay(tmp_path, _BY_PRIORITY)
  replay.restore()
  saved = {}
  for i in range(4):
    replay.store.extend(_rows(15 * i, 15))
    draw = replay.draw(i)
    # No error at all must not make a row impossible to draw.
    errors = np.where(np.arange(16) == 0, 0, np.arange(16) + i)
    replay.update_priorities(draw, errors.astype(np.float32))
    _, saved[15 * (i + 1)] = replay.save()
  draws = {}
  for num_added in (60, 45):  # The newest checkpoint, or the one before.
    again = _replay(tmp_path, _BY_PRIORITY)
    again.restore(num_added, saved[num_added])
    for name, value in again._sampler.state().items():
      np.testing.assert_array_equal(value, saved[num_added][name])
    draws[num_added] = again.draw(7)
  expected = replay.draw(7)
  np.testing.assert_array_equal(draws[60].numbers, expected.numbers)
  np.testing.assert_array_equal(
      draws[60].importance_weights, expected.importance_weights
  )
  with pytest.raises(ValueError, match='priorities are those of 40 rows up to'):
    _replay(tmp_path, _BY_PRIORITY).restore(45, saved[60])


def test_its_size_is_known_beforehand(tmp_path):
  # A frame of 8 by 8, action, reward, four flags, six teacher's values.
  row_bytes = 64 + 4 + 4 + 4 + 6 * 4
  assert _replay(tmp_path, _AGENT).max_bytes == 40 * row_bytes
  short = _replay(tmp_path, _AGENT, num_actor_steps=5)
  assert short.max_bytes == 10 * row_bytes


def test_uniform_draws_have_neither_weights_nor_numbers(tmp_path):
  replay = _replay(tmp_path, _AGENT)
  replay.restore()
  replay.store.extend(_rows(0, 30))
  draw = replay.draw(0)
  assert draw.importance_weights is None and draw.numbers is None
  replay.update_priorities(draw, np.ones(16, np.float32))
  np.testing.assert_array_equal(
      draw.transitions.reward,
      replay.store.sample(16, 3, 0.99, 3, 0).reward,
  )
