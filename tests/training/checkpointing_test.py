"""Tests of checkpoints and of the log of rows beside them."""

import os

from acme import types
import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import frame_store
from rrl_pipeline.training import checkpointing
import tensorflow as tf


def _learner(seed=0, hidden_units=3, channels=(2, 2, 2), num_actions=2):
  return builder.make_learner(
      network_config.NatureConfig(channels=channels, hidden_units=hidden_units),
      agent_config.AgentConfig(target_update_period=2),
      (8, 8, 2),
      'uint8',
      num_actions,
      seed,
  )


def _step(learner, index):
  generator = np.random.default_rng(index)
  observation, next_observation = generator.integers(
      0, 256, (2, 4, 8, 8, 2), np.uint8
  )
  transitions = types.Transition(
      observation,
      np.arange(4, dtype=np.int32) % 2,
      np.ones(4, np.float32),
      np.full(4, 0.9, np.float32),
      next_observation,
      generator.normal(size=(4, 2)).astype(np.float32),
  )
  learner.step(transitions, 1.0, 1e-3 / (index + 1))


def _weights(learner):
  return [
      v.numpy()
      for part in ('network', 'target_network')
      for v in learner.state[part].variables
  ]


def _checkpointer(directory, learner):
  return checkpointing.Checkpointer(directory, learner.state)


def test_a_restored_learner_goes_on_as_if_nothing_had_happened(tmp_path):
  learner = _learner()
  for i in range(3):
    _step(learner, i)
  _checkpointer(tmp_path, learner).save(3, {'actor_steps': 12, 'note': None})
  restored = _learner(seed=9)
  assert _checkpointer(tmp_path, restored).restore() == {
      'actor_steps': 12, 'note': None,
  }
  assert int(restored.num_steps) == 3
  for i in range(3, 6):  # Adam's moments count here, and the target's period.
    for each in (learner, restored):
      _step(each, i)
    for a, b in zip(_weights(learner), _weights(restored), strict=True):
      np.testing.assert_array_equal(a, b)


def test_without_a_checkpoint_nothing_is_restored(tmp_path):
  learner = _learner()
  before = _weights(learner)
  assert _checkpointer(tmp_path / 'none', learner).restore() is None
  for a, b in zip(before, _weights(learner), strict=True):
    np.testing.assert_array_equal(a, b)


def test_the_newest_two_are_kept(tmp_path):
  learner = _learner()
  checkpointer = _checkpointer(tmp_path, learner)
  # Not in the order of their names as text.
  for step in (1, 2, 9, 10, 100):
    learner.num_steps.assign(step)
    checkpointer.save(step, {'step': step})
    kept = {int(name) for name in os.listdir(tmp_path)}
    assert len(kept) <= 2 and step in kept
  assert kept == {10, 100}
  restored = _learner()
  assert _checkpointer(tmp_path, restored).restore() == {'step': 100}
  assert int(restored.num_steps) == 100


def test_a_step_may_be_saved_again(tmp_path):
  learner = _learner()
  checkpointer = _checkpointer(tmp_path, learner)
  checkpointer.save(5, {'try': 1})
  checkpointer.save(5, {'try': 2})
  assert checkpointer.restore() == {'try': 2}


@pytest.mark.parametrize('place', ['variables', 'rename'])
def test_an_interrupted_save_does_not_count(tmp_path, monkeypatch, place):
  learner = _learner()
  checkpointer = _checkpointer(tmp_path, learner)
  checkpointer.save(1, {'step': 1})

  def crash(*unused_args, **unused_kwargs):
    raise KeyboardInterrupt

  if place == 'variables':
    monkeypatch.setattr(checkpointing.json, 'dumps', crash)
  else:
    monkeypatch.setattr(checkpointing.os, 'replace', crash)
  with pytest.raises(KeyboardInterrupt):
    checkpointer.save(2, {'step': 2})
  monkeypatch.undo()
  assert 'incomplete' in os.listdir(tmp_path)
  again = _checkpointer(tmp_path, _learner())
  assert again.restore() == {'step': 1}
  again.save(3, {'step': 3})
  assert sorted(os.listdir(tmp_path)) == ['1', '3']
  assert again.restore() == {'step': 3}


@pytest.mark.parametrize(
    'other',
    [
        {'hidden_units': 4},
        {'channels': (2, 3, 2)},
        {'num_actions': 3},
    ],
)
def test_a_checkpoint_of_another_network_is_refused(tmp_path, other):
  _checkpointer(tmp_path, _learner()).save(1, {})
  with pytest.raises(
      ValueError,
      match=f'{tmp_path}/1 does not fit this agent; was it written with another'
      ' network',
  ):
    _checkpointer(tmp_path, _learner(**other)).restore()


def test_a_checkpoint_that_lacks_a_variable_is_refused(tmp_path):
  learner = _learner()
  state = dict(learner.state)
  del state['optimizer']
  checkpointing.Checkpointer(tmp_path, state).save(1, {})
  with pytest.raises(ValueError, match='does not fit this agent'):
    _checkpointer(tmp_path, learner).restore()
  checkpointing.Checkpointer(tmp_path, learner.state).save(2, {})
  with pytest.raises(ValueError, match='does not fit this agent'):
    checkpointing.Checkpointer(tmp_path, state).restore()


def test_a_damaged_checkpoint_is_refused(tmp_path):
  _checkpointer(tmp_path, _learner()).save(1, {})
  (tmp_path / '1' / 'variables.index').write_bytes(b'')
  with pytest.raises(ValueError, match='does not fit this agent'):
    _checkpointer(tmp_path, _learner()).restore()


_EPISODE = 4  # Rows of an episode in the logs of rows below.


def _rows(start, stop) -> frame_store.Rows:
  numbers = np.arange(start, stop)
  return frame_store.Rows(
      observation=np.stack([numbers % 251, numbers // 251], 1).astype(np.uint8),
      action=numbers.astype(np.int32),
      reward=numbers.astype(np.float32) / 7,
      is_first=numbers % _EPISODE == 0,
      is_last=numbers % _EPISODE == _EPISODE - 1,
      is_terminal=numbers % (2 * _EPISODE) == _EPISODE - 1,
      is_padded=np.ones(len(numbers), bool),
      teacher_values=np.stack([numbers, -numbers], 1).astype(np.float32),
  )


def _store(capacity, num_rows=0):
  store = frame_store.FrameStore(capacity, (2,), 2, stack_size=3)
  for start in range(0, num_rows, 3):
    store.extend(_rows(start, min(start + 3, num_rows)))
  return store


def _assert_equal(restored, expected):
  assert restored.num_added == expected.num_added
  assert restored.oldest == expected.oldest
  held = np.arange(expected.oldest, expected.num_added)
  for a, b in zip(
      restored.rows(expected.oldest, expected.num_added),
      expected.rows(expected.oldest, expected.num_added),
      strict=True,
  ):
    np.testing.assert_array_equal(a, b)
  for n_step in (1, 3):
    np.testing.assert_array_equal(
        restored.is_sampleable(held, n_step),
        expected.is_sampleable(held, n_step),
    )
  for a, b in zip(
      restored.sample(16, 2, 0.9, 0, 1), expected.sample(16, 2, 0.9, 0, 1),
      strict=True,
  ):
    np.testing.assert_array_equal(a, b)


# Numbers of rows at which the log is saved; the last is what is restored. In
# the last two, more rows come between two saves than the store holds.
@pytest.mark.parametrize(
    'capacity, saves',
    [
        (100, [8, 8, 20]),
        (100, [40, 80, 120, 160, 200, 240]),
        (10, [8, 16, 24, 32]),
        (10, [7, 13, 18, 27, 35]),
        (10, [8, 40]),
        (10, [3, 30, 34, 71]),
    ],
)
def test_rows_are_restored_as_they_were(tmp_path, capacity, saves):
  log = checkpointing.RowLog(tmp_path / 'rows')
  oldest_needed = 0
  for num_rows in saves:
    store = _store(capacity, num_rows)
    log.save(store, oldest_needed)
    oldest_needed = store.oldest
    restored = _store(capacity)
    # Another object, as another process has it.
    checkpointing.RowLog(tmp_path / 'rows').restore(restored, num_rows)
    _assert_equal(restored, _store(capacity, num_rows))


def test_each_row_is_written_once_and_old_segments_go(tmp_path):
  log = checkpointing.RowLog(tmp_path)
  oldest_needed = 0
  sizes = []
  for num_rows in range(5, 60, 5):
    store = _store(12, num_rows)
    log.save(store, oldest_needed)
    oldest_needed = store.oldest
    sizes.append(len(os.listdir(tmp_path)))
  assert max(sizes) <= 5  # Of eleven.
  assert f'{num_rows - 5}-{num_rows}.npz' in os.listdir(tmp_path)


def test_the_checkpoint_before_can_still_be_restored(tmp_path):
  # The rows are saved first: a process may die before its checkpoint is.
  log = checkpointing.RowLog(tmp_path)
  log.save(_store(10, 8), 0)
  log.save(_store(10, 16), 0)
  log.save(_store(10, 28), _store(10, 16).oldest)
  restored = _store(10)
  log.restore(restored, 16)
  _assert_equal(restored, _store(10, 16))
  # What came after is forgotten, and written anew by the resumed run.
  assert not any(name.endswith('-28.npz') for name in os.listdir(tmp_path))
  log.save(_store(10, 24), _store(10, 16).oldest)
  restored = _store(10)
  log.restore(restored, 24)
  _assert_equal(restored, _store(10, 24))


def test_a_torn_segment_is_not_read(tmp_path):
  log = checkpointing.RowLog(tmp_path)
  log.save(_store(100, 8), 0)
  (tmp_path / 'incomplete-8-16.npz').write_bytes(b'half')
  restored = _store(100)
  log.restore(restored, 8)
  _assert_equal(restored, _store(100, 8))


@pytest.mark.parametrize('lost', ['0-8.npz', '8-16.npz', '16-24.npz'])
def test_missing_rows_are_noticed(tmp_path, lost):
  log = checkpointing.RowLog(tmp_path)
  for num_rows in (8, 16, 24):
    log.save(_store(100, num_rows), 0)
  (tmp_path / lost).unlink()
  with pytest.raises(
      ValueError, match='checkpoint needs those up to 24.*Remove the stage'
  ):
    log.restore(_store(100), 24)


def test_a_fresh_log_restores_an_empty_store(tmp_path):
  store = _store(10)
  checkpointing.RowLog(tmp_path / 'none').restore(store, 0)
  assert store.num_added == 0
