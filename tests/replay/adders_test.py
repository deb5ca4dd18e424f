"""Tests of the way from an actor to the learner's store, through Reverb."""

import threading
import time

import dm_env
from dm_env import specs
import numpy as np
import pytest
import reverb

from rrl_pipeline.replay import adders
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import streams
from rrl_pipeline.replay import tables

_SHAPE, _ACTIONS = (3, 2), 4


@pytest.fixture(name='client')
def fixture_client():
  observation_spec = specs.BoundedArray(_SHAPE, np.uint8, 0, 255)
  server = reverb.Server(
      [tables.step_table(observation_spec, _ACTIONS, max_unread=64)]
  )
  yield reverb.Client(f'localhost:{server.port}')
  server.stop()


def _frame(value: int) -> np.ndarray:
  return np.full(_SHAPE, value % 256, np.uint8)


def _values(t: int) -> np.ndarray:
  return np.arange(_ACTIONS, dtype=np.float32) + t


def _play(adder, first: int, rewards: list[float], terminal: bool) -> None:
  """An episode of frames first, first + 1, … (mod 256); actions 0, 1, …."""
  adder.add_first(dm_env.restart(_frame(first)))
  for t, reward in enumerate(rewards):
    frame, reward = _frame(first + t + 1), np.float32(reward)
    if t + 1 < len(rewards):
      timestep = dm_env.transition(reward, frame, np.float32(1))
    elif terminal:
      timestep = dm_env.TimeStep(
          dm_env.StepType.LAST, reward, np.float32(0), frame
      )
    else:
      timestep = dm_env.truncation(reward, frame, np.float32(1))
    adder.add(t % _ACTIONS, timestep, _values(first + t))


def _read_all(client, adder) -> frame_store.Rows:
  return streams.StepStream(client).read(adder.num_written)


def test_episodes_arrive_step_by_step(client):
  adder = adders.StepAdder(client, _ACTIONS)
  _play(adder, 10, [0.0, 0.5, -1.0], terminal=True)
  _play(adder, 20, [1.0, 0.25], terminal=False)
  assert adder.num_written == 7
  rows = _read_all(client, adder)
  assert rows.observation[:, 0, 0].tolist() == [10, 11, 12, 13, 20, 21, 22]
  for frame in rows.observation:
    np.testing.assert_array_equal(frame, _frame(frame[0, 0]))
  is_last = rows.is_last.astype(int).tolist()
  assert is_last == [0, 0, 0, 1, 0, 0, 1]
  assert rows.is_first.astype(int).tolist() == [1, 0, 0, 0, 1, 0, 0]
  # The first episode ended by itself, the second by a limit.
  assert rows.is_terminal.astype(int).tolist() == [0, 0, 0, 1, 0, 0, 0]
  assert rows.is_padded.all()
  assert rows.action[rows.is_last == 0].tolist() == [0, 1, 2, 0, 1]
  assert rows.reward[rows.is_last == 0].tolist() == [0.0, 0.5, -1.0, 1.0, 0.25]
  np.testing.assert_array_equal(
      rows.teacher_values[rows.is_last == 0],
      [_values(t) for t in (10, 11, 12, 20, 21)],
  )


def test_rows_have_the_dtypes_of_the_store(client):
  adder = adders.StepAdder(client, _ACTIONS)
  _play(adder, 0, [0.0], terminal=True)
  rows = _read_all(client, adder)
  store = frame_store.FrameStore(4, _SHAPE, _ACTIONS, 2)
  store.extend(rows)
  for name, got, held in zip(
      rows._fields, rows, store.rows(0, 2), strict=True
  ):
    assert (name, got.dtype) == (name, held.dtype)
    np.testing.assert_array_equal(got, held)


def test_rewards_are_stored_raw(client):
  adder = adders.StepAdder(client, _ACTIONS)
  _play(adder, 0, [30.0, -7.0, 0.5, 0.0], terminal=True)
  assert _read_all(client, adder).reward[:4].tolist() == [30.0, -7.0, 0.5, 0.0]


def test_without_a_teacher_values_are_zero(client):
  adder = adders.StepAdder(client, _ACTIONS)
  adder.add_first(dm_env.restart(_frame(1)))
  adder.add(2, dm_env.transition(np.float32(0), _frame(2), np.float32(1)))
  np.testing.assert_array_equal(
      _read_all(client, adder).teacher_values, np.zeros((1, _ACTIONS))
  )


def test_an_episode_that_is_given_up_joins_no_other(client):
  adder = adders.StepAdder(client, _ACTIONS)
  adder.add_first(dm_env.restart(_frame(1)))
  for t in range(3):
    adder.add(t, dm_env.transition(np.float32(1), _frame(2 + t), np.float32(1)))
  adder.reset()
  _play(adder, 100, [0.0, 0.0, 0.0], terminal=True)
  store = frame_store.FrameStore(16, _SHAPE, _ACTIONS, 2)
  store.extend(_read_all(client, adder))
  # The frame after the third step was never written.
  assert store.num_added == 3 + 4
  np.testing.assert_array_equal(
      store.is_sampleable(np.arange(7), n_step=2),
      [True, False, False, True, True, True, False],
  )


def test_every_step_is_read_once_and_in_order(client):
  adder = adders.StepAdder(client, _ACTIONS)
  stream = streams.StepStream(client)
  seen = []
  for episode in range(5):
    _play(adder, 10 * episode, [0.0] * 6, terminal=True)
    unread = adder.num_written - stream.num_read
    for count in (unread // 2, unread - unread // 2):
      seen += stream.read(count).observation[:, 0, 0].tolist()
  assert stream.num_read == adder.num_written == 35
  assert seen == [10 * episode + t for episode in range(5) for t in range(7)]
  assert client.server_info()[tables.STEPS].current_size == 0


def test_what_was_written_survives_the_writers_end(client):
  adder = adders.StepAdder(client, _ACTIONS)
  _play(adder, 0, [0.0, 0.0], terminal=True)
  adder.close()
  assert _read_all(client, adder).observation[:, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize('rows_per_item', [1, 3, 4, 16])
def test_rows_are_the_same_however_many_share_an_item(client, rows_per_item):
  adder = adders.StepAdder(client, _ACTIONS, rows_per_item)
  stream = streams.StepStream(client)
  seen = []
  for episode, length in enumerate((6, 1, 2, 9)):
    _play(adder, 20 * episode, [0.0] * length, terminal=True)
    if episode == 2:
      continue  # Rows of two episodes may be read in one go.
    adder.flush()
    # Pieces that end within items.
    while unread := adder.num_written - stream.num_read:
      rows = stream.read(min(unread, 5))
      seen += rows.observation[:, 0, 0].tolist()
  assert seen == [
      *range(0, 7), *range(20, 22), *range(40, 43), *range(60, 70)
  ]


def test_rows_are_sent_when_an_item_is_full_or_on_demand(client):
  adder = adders.StepAdder(client, _ACTIONS, rows_per_item=4)
  adder.add_first(dm_env.restart(_frame(0)))
  written = []
  for t in range(6):
    adder.add(t, dm_env.transition(np.float32(0), _frame(t + 1)))
    written.append(adder.num_written)
  adder.flush()
  adder.flush()
  assert written == [0, 0, 0, 4, 4, 4]
  assert adder.num_written == 6
  assert _read_all(client, adder).observation[:, 0, 0].tolist() == [
      0, 1, 2, 3, 4, 5
  ]


def test_an_actor_waits_for_a_learner_that_is_behind(client):
  adder = adders.StepAdder(client, _ACTIONS)
  rewards = [0.0] * 300
  actor = threading.Thread(
      target=_play, args=(adder, 0, rewards, True), daemon=True
  )
  actor.start()
  deadline = time.monotonic() + 60
  while adder.num_written < 64 and time.monotonic() < deadline:
    actor.join(timeout=0.1)
  actor.join(timeout=0.5)
  assert actor.is_alive()
  # The table's 64, those that may be under way, and the one that waits.
  assert 64 <= adder.num_written <= 64 + 4 + 1
  stream = streams.StepStream(client)
  for _ in range(len(rewards) + 1):
    stream.read(1)
  actor.join(timeout=60)
  assert not actor.is_alive()
  assert adder.num_written == stream.num_read == len(rewards) + 1
