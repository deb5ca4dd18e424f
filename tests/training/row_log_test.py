"""Tests of the copy of the replay on disk."""

import os

import numpy as np
import pytest

from rrl_pipeline.replay import frame_store
from rrl_pipeline.training import row_log

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
  log = row_log.RowLog(tmp_path / 'rows')
  for num_rows in saves:
    needed = log.save(_store(capacity, num_rows))
    for path in (tmp_path / 'rows').iterdir():
      if path not in needed:
        path.unlink()
    restored = _store(capacity)
    # Another object, as another process has it.
    row_log.RowLog(tmp_path / 'rows').restore(restored, num_rows)
    _assert_equal(restored, _store(capacity, num_rows))


def test_each_row_is_written_once_and_old_segments_are_not_needed(tmp_path):
  log = row_log.RowLog(tmp_path)
  for num_rows in range(5, 60, 5):
    needed = [path.name for path in log.save(_store(12, num_rows))]
    oldest = max(0, num_rows - 12) // 5 * 5
    assert needed == [f'{i}-{i + 5}.npz' for i in range(oldest, num_rows, 5)]
  assert len(os.listdir(tmp_path)) == 11


def test_the_checkpoint_before_can_still_be_restored(tmp_path):
  # The rows are saved first: a process may die before its checkpoint is.
  log = row_log.RowLog(tmp_path)
  for num_rows in (8, 16, 28):
    log.save(_store(10, num_rows))
  restored = _store(10)
  log.restore(restored, 16)
  _assert_equal(restored, _store(10, 16))
  # What came after is forgotten, and written anew by the resumed run.
  assert not any(name.endswith('-28.npz') for name in os.listdir(tmp_path))
  log.save(_store(10, 24))
  restored = _store(10)
  log.restore(restored, 24)
  _assert_equal(restored, _store(10, 24))


def test_a_torn_segment_is_not_read(tmp_path):
  log = row_log.RowLog(tmp_path)
  log.save(_store(100, 8))
  (tmp_path / '.8-16.npz.0123456789ab.rrl_tmp').write_bytes(b'half')
  restored = _store(100)
  log.restore(restored, 8)
  _assert_equal(restored, _store(100, 8))


@pytest.mark.parametrize('lost', ['0-8.npz', '8-16.npz', '16-24.npz'])
def test_missing_rows_are_noticed(tmp_path, lost):
  log = row_log.RowLog(tmp_path)
  for num_rows in (8, 16, 24):
    log.save(_store(100, num_rows))
  (tmp_path / lost).unlink()
  with pytest.raises(
      ValueError, match='checkpoint needs those up to 24.*Remove the stage'
  ):
    log.restore(_store(100), 24)


def test_a_fresh_log_restores_an_empty_store(tmp_path):
  store = _store(10)
  row_log.RowLog(tmp_path / 'none').restore(store, 0)
  assert store.num_added == 0
