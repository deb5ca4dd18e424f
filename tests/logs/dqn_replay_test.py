"""Tests of reading the DQN Replay Dataset's layout: its traps one by one."""

import gzip
import io
import pathlib
import shutil

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import dqn_replay
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader
from rrl_pipeline.testing import lap_logger

CAPACITY = 20
_STORED = (files.OBSERVATION, files.ACTION, files.REWARD, files.TERMINAL)


def _reader(directory, checkpoints='all', time_limit_steps=()):
  return dqn_replay.DqnReplayReader(
      dopamine.DopamineLogConfig(
          str(directory), checkpoints, time_limit_steps=time_limit_steps
      )
  )


def _log(directory, lengths, final=True):
  """Logs episodes whose n-th step, counted over all, has action and frame n."""
  logger = lap_logger.LapLogger(str(directory), (2, 3), CAPACITY)
  steps = 0
  for length in lengths:
    for t in range(length):
      steps += 1
      logger.add(np.full((2, 3), steps), steps, 1.0, t == length - 1)
  if final:
    logger.save_final()
  return logger


def _actions(log_reader):
  return [
      stream.load().actions.tolist()
      for stream in log_reader.read(log_reader.index().spans)
  ]


def _rename(directory, number, to):
  for path in list(pathlib.Path(directory).glob(f'*_ckpt.{number}.gz')):
    path.rename(str(path).replace(f'_ckpt.{number}.', f'_ckpt.{to}.'))


def test_stale_slot_is_taken_from_the_next_file(tmp_path):
  # Entries 3 to 32 are one episode: the 17th step, entry 19, is in slot 19,
  # which file 0 was saved without.
  _log(tmp_path, [30])
  path = files.path_of(str(tmp_path), files.ACTION, 0)
  assert npy_gzip.read_array(path)[19] != 17
  index = _reader(tmp_path).index()
  assert [(s.first_add, s.length, s.end) for s in index.spans] == [
      (3, 30, types.EpisodeEnd.TERMINAL)
  ]
  assert _actions(_reader(tmp_path)) == [list(range(1, 31))]
  assert index.accounting == reader.Accounting(33, 30, 3, 0)
  assert index.ends_marked
  assert not index.warnings


def test_last_file_counts_from_its_lap(tmp_path):
  _log(tmp_path, [30, 10, 12])  # 61 entries: file 2 ends a lap at 59.
  path = files.path_of(str(tmp_path), files.ADD_COUNT, 3)
  assert npy_gzip.read_array(path) == 1
  index = _reader(tmp_path).index()
  assert index.checkpoints == (0, 1, 2, 3)
  assert index.accounting.adds == 61


def test_run_may_stop_just_as_a_lap_is_saved(tmp_path):
  logger = _log(tmp_path, [16, 17])  # 39 entries, and 39 = 2 · 20 - 1.
  assert (logger.num_files, logger.add_count) == (3, 39)
  index = _reader(tmp_path).index()
  assert index.accounting == reader.Accounting(39, 33, 6, 0)
  assert _actions(_reader(tmp_path)) == [
      list(range(1, 17)), list(range(17, 34))
  ]


def test_last_file_may_be_as_short_as_its_padding_allows(tmp_path):
  logger = _log(tmp_path, [16, 18])  # 40 entries: the cursor is back at 0.
  assert (logger.num_files, logger.add_count) == (3, 40)
  assert npy_gzip.read_array(
      files.path_of(str(tmp_path), files.ADD_COUNT, 2)
  ) == 0
  assert _actions(_reader(tmp_path)) == [
      list(range(1, 17)), list(range(17, 35))
  ]


@pytest.mark.parametrize('checkpoints', ['latest', '2'])
def test_latest_is_the_last_state_of_the_ring(tmp_path, checkpoints):
  _log(tmp_path, [30, 10, 5])  # 54 entries: file 2 ends at 14 of its lap.
  log_reader = _reader(tmp_path, checkpoints)
  index = log_reader.index()
  assert index.checkpoints == (2,)
  # Entries 34 to 53: two of padding, 10 steps, three of padding, 5 steps.
  assert [(s.first_add, s.length, s.padding) for s in index.spans] == [
      (36, 10, 2), (49, 5, 3)
  ]
  assert _actions(log_reader) == [list(range(31, 41)), list(range(41, 46))]
  assert index.accounting == reader.Accounting(54, 15, 5, 34)
  assert index.losses[-1].startswith('34 of the 54 entries of the log are in ')


def test_lap_that_was_never_saved_is_found(tmp_path):
  # The second lap ends, with entry 38, within padding.
  logger = _log(tmp_path, [30, 1, 40])
  assert (logger.num_files, logger.add_count) == (4, 80)
  index = _reader(tmp_path).index()
  assert [
      (s.checkpoint_id, s.first_add, s.length, s.complete_start, s.end)
      for s in index.spans
  ] == [
      (0, 3, 16, True, types.EpisodeEnd.LOG_END),
      # Slot 19 of file 1 still holds the last of the padding.
      (1, 40, 40, True, types.EpisodeEnd.TERMINAL),
  ]
  assert index.accounting.left_out == 20
  assert index.warnings == (
      '1 of the laps 1 were never saved (the logger passes over a lap that '
      'ends in padding): episodes are cut there',
  )


def test_lap_before_the_last_file_may_be_missing(tmp_path):
  logger = _log(tmp_path, [30, 1, 10])
  assert (logger.num_files, logger.add_count) == (2, 50)
  index = _reader(tmp_path).index()
  assert [(s.checkpoint_id, s.first_add, s.length) for s in index.spans] == [
      (0, 3, 16), (1, 30, 3), (1, 36, 1), (1, 40, 10)
  ]
  assert index.accounting.adds == 50
  (warning,) = index.warnings
  assert 'does not follow on another one: it is taken for lap 2' in warning


def test_time_limits_are_told_by_their_length(tmp_path):
  _log(tmp_path, [7, 12, 7, 20])
  index = _reader(tmp_path, time_limit_steps=(7, 20)).index()
  assert [span.end is types.EpisodeEnd.TRUNCATED for span in index.spans] == [
      True, False, True, True
  ]
  assert index.warnings == (
      '3 of 4 episodes are stored as terminal after exactly 7 or 20 steps: '
      'taken for ends by a time limit (see --time_limit_steps)',
  )


def test_missing_files_are_named(tmp_path):
  _log(tmp_path, [200])
  for path in tmp_path.glob('*_ckpt.[3467].gz'):
    path.unlink()
  index = _reader(tmp_path).index()
  assert 'has no files of the numbers 3-4, 6-7' in index.warnings[0]
  assert [span.first_add for span in index.spans] == [3, 99, 159]


def test_count_that_is_no_lap(tmp_path):
  _log(tmp_path, [100])
  path = pathlib.Path(files.path_of(str(tmp_path), files.ADD_COUNT, 2))
  contents = io.BytesIO()
  np.save(contents, np.array(57))
  path.write_bytes(gzip.compress(contents.getvalue()))
  with pytest.raises(
      reader.LogError,
      match=r'file 2 of .* counts 57 entries; expected one less than a '
      r'multiple of its 20 slots.*say --log_format=dopamine',
  ):
    _reader(tmp_path).index()


def test_renamed_file(tmp_path):
  _log(tmp_path, [100], final=False)
  _rename(tmp_path, 1, 17)
  with pytest.raises(
      reader.LogError, match='counts 39 entries, which is lap 1; expected lap '
      '17 or a later one'
  ):
    _reader(tmp_path).index()


def test_lap_may_not_come_twice(tmp_path):
  _log(tmp_path, [100], final=False)
  for element in (*_STORED, files.ADD_COUNT):
    shutil.copy(
        files.path_of(str(tmp_path), element, 3),
        files.path_of(str(tmp_path), element, 2),
    )
  with pytest.raises(
      reader.LogError, match='files 2 and 3 .* count 79 and 79 entries'
  ):
    _reader(tmp_path).index()


def test_last_file_of_another_run(tmp_path):
  _log(tmp_path / 'a', [16, 17])
  _log(tmp_path / 'b', [1, 15, 2, 12])
  for element in _STORED:
    shutil.copy(
        files.path_of(str(tmp_path / 'b'), element, 1),
        files.path_of(str(tmp_path / 'a'), element, 2),
    )
  with pytest.raises(
      reader.LogError, match='as if saved together with file 1, but holds other'
  ):
    _reader(tmp_path / 'a').index()


def test_capacity_may_not_change(tmp_path):
  _log(tmp_path, [30])
  for element in _STORED:
    path = pathlib.Path(files.path_of(str(tmp_path), element, 1))
    array = npy_gzip.read_array(str(path))
    contents = io.BytesIO()
    np.save(contents, np.concatenate([array, array]))
    path.write_bytes(gzip.compress(contents.getvalue()))
  with pytest.raises(reader.LogError, match='have 20 and 40 slots'):
    _reader(tmp_path).index()


def test_damaged_frames_of_the_next_file_are_found(tmp_path):
  _log(tmp_path, [30])
  path = pathlib.Path(files.path_of(str(tmp_path), files.OBSERVATION, 1))
  data = path.read_bytes()
  path.write_bytes(data[:-8] + bytes([data[-8] ^ 1]) + data[-7:])
  with pytest.raises(reader.LogError, match='ckpt.1.gz is not a complete gzip'):
    _actions(_reader(tmp_path))


def test_priorities_and_extra_stores_are_left_out(tmp_path):
  _log(tmp_path, [30])
  for name in ('sum_tree', '$store$_logits', 'other'):
    (tmp_path / f'{name}_ckpt.0.gz').write_bytes(b'never opened')
  losses = _reader(tmp_path).index().losses
  for expected in (
      'The sum tree with the priorities of the replay buffer is not part',
      "The extra store 'logits' is not part of the dataset.",
      'The file other_ckpt.<number>.gz is not part of the dataset.',
  ):
    assert any(loss.startswith(expected) for loss in losses)
