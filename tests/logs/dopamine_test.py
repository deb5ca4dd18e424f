"""Tests of reading Dopamine logs, against the truth about two real ones."""

import gzip
import io
import os
import pathlib
import shutil
import zlib

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import dopamine_writer
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader
from rrl_pipeline.testing import replay_logs

SAMPLES = pathlib.Path(__file__).parents[1] / 'testdata' / 'dopamine'
STORED = (files.OBSERVATION, files.ACTION, files.REWARD, files.TERMINAL)


def _reader(directory, checkpoints='latest', stack_size=4):
  return dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(directory), checkpoints, stack_size)
  )


def _checkpoints(sample):
  return SAMPLES / sample / 'checkpoints'


def _check_against_truth(log_reader, truth):
  """Compares every frame, action and reward; returns the spans."""
  spans = log_reader.index().spans
  for stream in log_reader.read(spans):
    episode = stream.load()
    true = replay_logs.episode_at(truth, stream.span.first_add)
    offset = stream.span.first_add - true.first_add
    logged = slice(offset, offset + stream.span.length)
    assert episode.actions.tolist() == true.actions[logged]
    assert episode.rewards.tolist() == true.rewards[logged]
    assert [
        zlib.crc32(frame.tobytes()) for frame in episode.observations
    ] == true.frame_crc32[logged]
    assert episode.end is types.EpisodeEnd.TERMINAL
    assert episode.complete_start == (offset == 0)
    assert offset + stream.span.length == true.length
  return spans


@pytest.mark.parametrize(
    'sample,checkpoints,episodes,transitions,padding,left_out',
    [
        ('unwrapped', 'latest', 13, 12912, 39, 0),
        ('unwrapped', 'all', 13, 12912, 39, 0),
        ('unwrapped', '0', 7, 6563, 21, 0),
        # Slots 9262 to 9999 hold the end of the episode that began in slot
        # 9047: its first 215 steps and everything before are overwritten.
        ('wrapped', 'latest', 12, 9967, 33, 9262),
        ('wrapped', 'all', 22, 19196, 66, 0),
        # Of what checkpoint 1 held, checkpoint 2 lost entries 6389 to 9261.
        ('wrapped', '0,2', 19, 16335, 54, 2873),
    ],
)
def test_samples_equal_the_truth(
    sample, checkpoints, episodes, transitions, padding, left_out
):
  log_reader = _reader(_checkpoints(sample), checkpoints)
  truth = replay_logs.load_truth(str(SAMPLES / sample))
  spans = _check_against_truth(log_reader, truth)
  assert len(spans) == episodes
  accounting = log_reader.index().accounting
  assert accounting.transitions == transitions
  assert accounting.padding == padding
  assert accounting.left_out == left_out
  assert accounting.adds == transitions + padding + left_out
  assert not log_reader.index().warnings


def test_overwritten_part_is_marked():
  spans = _reader(_checkpoints('wrapped')).index().spans
  assert [span.complete_start for span in spans] == [False] + [True] * 11
  assert spans[0].first_add == 9262
  assert spans[0].padding == 0
  assert {span.padding for span in spans[1:]} == {3}


def test_all_checkpoints_hold_each_step_once():
  spans = _reader(_checkpoints('wrapped'), 'all').index().spans
  adds = [
      add
      for span in spans
      for add in range(span.first_add, span.first_add + span.length)
  ]
  assert len(set(adds)) == len(adds) == 19196
  assert [span.checkpoint_id for span in spans] == [0] * 7 + [1] * 7 + [2] * 8
  assert [span.episode_id for span in spans] == [
      *range(7), *range(7), *range(8)
  ]


def _replace_array(directory, element, number, change):
  """Changes an array of a log in place."""
  path = files.path_of(str(directory), element, number)
  array = npy_gzip.read_array(path).copy()
  change(array)
  contents = io.BytesIO()
  np.save(contents, array)
  pathlib.Path(path).write_bytes(gzip.compress(contents.getvalue(), 1))


def test_slots_never_written_are_never_read(tmp_path):
  log = tmp_path / 'log'
  shutil.copytree(_checkpoints('unwrapped'), log)

  def poison(array):
    array[12951:] = 251

  for element in STORED:
    _replace_array(log, element, 1, poison)
  truth = replay_logs.load_truth(str(SAMPLES / 'unwrapped'))
  assert len(_check_against_truth(_reader(log), truth)) == 13


@pytest.fixture(name='rng')
def fixture_rng():
  return np.random.default_rng(0)


def _episodes(rng, *lengths_and_ends):
  return [
      replay_logs.random_episode(rng, length, (2, 3), end)
      for length, end in lengths_and_ends
  ]


def test_time_limit_is_not_terminal(tmp_path, rng):
  episodes = _episodes(
      rng, (4, types.EpisodeEnd.TRUNCATED), (5, types.EpisodeEnd.TERMINAL)
  )
  replay_logs.write_log(str(tmp_path), episodes)
  index = _reader(tmp_path).index()
  assert [span.end for span in index.spans] == [e.end for e in episodes]
  assert [span.length for span in index.spans] == [4, 5]


def test_unfinished_episode_ends_with_the_log(tmp_path, rng):
  episodes = _episodes(
      rng, (4, types.EpisodeEnd.TERMINAL), (3, types.EpisodeEnd.LOG_END)
  )
  replay_logs.write_log(str(tmp_path), episodes)
  spans = _reader(tmp_path).index().spans
  assert [span.end for span in spans] == [e.end for e in episodes]


@pytest.mark.parametrize('left', [1, 2, 3])
def test_rest_of_padding_proves_the_start(tmp_path, rng, left):
  # Two episodes of 10 entries in all; the ring keeps the second one's 7 steps
  # and `left` entries of the padding before them.
  episodes = _episodes(
      rng, (7, types.EpisodeEnd.TERMINAL), (7, types.EpisodeEnd.TERMINAL)
  )
  episodes[0].actions[:] = 1
  replay_logs.write_log(str(tmp_path), episodes, capacity=7 + left)
  (span,) = _reader(tmp_path).index().spans
  assert span.complete_start
  assert (span.first_add, span.length, span.padding) == (13, 7, left)


def test_start_without_padding_is_not_proven(tmp_path, rng):
  episodes = _episodes(
      rng, (7, types.EpisodeEnd.TERMINAL), (7, types.EpisodeEnd.TERMINAL)
  )
  replay_logs.write_log(str(tmp_path), episodes, capacity=7)
  (span,) = _reader(tmp_path).index().spans
  assert not span.complete_start
  assert (span.first_add, span.length, span.padding) == (13, 7, 0)


def test_steps_without_effect_are_not_taken_for_padding(tmp_path, rng):
  (episode,) = _episodes(rng, (20, types.EpisodeEnd.TERMINAL))
  episode.actions[:] = 0
  episode.rewards[:] = 0
  replay_logs.write_log(str(tmp_path), [episode], capacity=10)
  (span,) = _reader(tmp_path).index().spans
  assert (span.length, span.padding, span.complete_start) == (10, 0, False)


def test_episode_goes_on_in_the_next_checkpoint(tmp_path, rng):
  writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), 12)
  first, second = _episodes(
      rng, (4, types.EpisodeEnd.TERMINAL), (15, types.EpisodeEnd.TERMINAL)
  )
  replay_logs.add_episode(writer, first)
  for t in range(15):
    if t in (1, 6, 12):
      writer.save(t)  # After 11, 16 and 22 entries.
    writer.add(
        second.observations[t], int(second.actions[t]), 1.0, terminal=t == 14
    )
  writer.save(15)
  log_reader = _reader(tmp_path, 'all')
  index = log_reader.index()
  assert [(s.checkpoint_id, s.length) for s in index.spans] == [(1, 4), (1, 15)]
  assert index.spans[1].end is types.EpisodeEnd.TERMINAL
  whole = [stream.load() for stream in log_reader.read(index.spans)][1]
  np.testing.assert_array_equal(whole.observations, second.observations)
  np.testing.assert_array_equal(whole.actions, second.actions)


def test_gap_between_checkpoints_cuts_the_episode(tmp_path, rng):
  writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), 8)
  (episode,) = _episodes(rng, (30, types.EpisodeEnd.TERMINAL))
  for t in range(30):
    writer.add(
        episode.observations[t], int(episode.actions[t]), 1.0, terminal=t == 29
    )
    if t == 4:
      writer.save(0)  # Entries 0 to 7.
  writer.save(1)  # Entries 25 to 32.
  index = _reader(tmp_path, 'all').index()
  assert [
      (s.first_add, s.length, s.end, s.complete_start) for s in index.spans
  ] == [
      (3, 5, types.EpisodeEnd.LOG_END, True),
      (25, 8, types.EpisodeEnd.TERMINAL, False),
  ]
  assert index.accounting.left_out == 17


def test_checkpoints_of_two_runs_are_not_merged(tmp_path, rng):
  replay_logs.write_log(
      str(tmp_path), _episodes(rng, (9, types.EpisodeEnd.TERMINAL))
  )
  writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), 500)
  for episode in _episodes(rng, *[(9, types.EpisodeEnd.TERMINAL)] * 2):
    replay_logs.add_episode(writer, episode)
  writer.save(1)
  with pytest.raises(reader.LogError, match='0 and 1 .* are not of one run'):
    _reader(tmp_path, 'all').index()


def test_count_may_not_go_back(tmp_path, rng):
  for number, length in ((0, 9), (1, 5)):
    writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), 500)
    for episode in _episodes(rng, (length, types.EpisodeEnd.TERMINAL)):
      replay_logs.add_episode(writer, episode)
    writer.save(number)
  with pytest.raises(
      reader.LogError, match='counts 8 entries, fewer than the 12 of an earlier'
  ):
    _reader(tmp_path, 'all').index()


def test_capacity_may_not_change(tmp_path, rng):
  for number, capacity in ((0, 500), (1, 400)):
    writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), capacity)
    for episode in _episodes(rng, (9, types.EpisodeEnd.TERMINAL)):
      replay_logs.add_episode(writer, episode)
    writer.save(number)
  with pytest.raises(
      reader.LogError, match='has capacity 400, checkpoint 0 has 500'
  ):
    _reader(tmp_path, 'all').index()


def test_terminal_is_a_flag(tmp_path, rng):
  replay_logs.write_log(
      str(tmp_path), _episodes(rng, (9, types.EpisodeEnd.TERMINAL))
  )

  def change(array):
    array[5] = 7

  _replace_array(tmp_path, files.TERMINAL, 0, change)
  with pytest.raises(
      reader.LogError, match='terminal_ckpt.0.gz holds 7 for entry 5; expected'
  ):
    _reader(tmp_path).index()


@pytest.mark.parametrize('stack_size', [5, 6])
def test_too_large_stack_is_found(tmp_path, rng, stack_size):
  (episode,) = _episodes(rng, (9, types.EpisodeEnd.TERMINAL))
  episode.actions[:] = 1
  replay_logs.write_log(str(tmp_path), [episode])
  with pytest.raises(reader.LogError, match='Give it with --stack_size'):
    _reader(tmp_path, stack_size=stack_size).index()


def test_padding_with_a_frame_is_found_when_read(tmp_path, rng):
  (episode,) = _episodes(rng, (9, types.EpisodeEnd.TERMINAL))
  episode.actions[:] = 0
  episode.rewards[:] = 0
  replay_logs.write_log(str(tmp_path), [episode])
  log_reader = _reader(tmp_path, stack_size=5)
  spans = log_reader.index().spans
  with pytest.raises(
      reader.LogError, match='checkpoint 0 of .* a frame that is not all zero'
  ):
    for stream in log_reader.read(spans):
      stream.load()


def test_empty_ring_is_refused(tmp_path):
  dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), 20).save(0)
  with pytest.raises(reader.LogError, match='holds no steps in checkpoints 0'):
    _reader(tmp_path).index()


def test_damage_behind_the_last_step_is_found(tmp_path, rng):
  replay_logs.write_log(
      str(tmp_path), _episodes(rng, (9, types.EpisodeEnd.TERMINAL))
  )
  path = pathlib.Path(files.path_of(str(tmp_path), files.OBSERVATION, 0))
  data = path.read_bytes()
  path.write_bytes(data[:-8] + bytes([data[-8] ^ 1]) + data[-7:])
  with pytest.raises(reader.LogError, match='not a complete gzip file'):
    log_reader = _reader(tmp_path)
    for stream in log_reader.read(log_reader.index().spans):
      stream.load()


class TestSelection:
  """Which checkpoints are read."""

  @pytest.fixture(name='log')
  def fixture_log(self, tmp_path, rng):
    """Checkpoints 0, 1 and 2 of one run."""
    writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), 500)
    for number in range(3):
      for episode in _episodes(rng, (4, types.EpisodeEnd.TERMINAL)):
        replay_logs.add_episode(writer, episode)
      writer.save(number)
    return tmp_path

  @pytest.mark.parametrize(
      'checkpoints,expected',
      [('latest', (2,)), ('all', (0, 1, 2)), ('2,0', (0, 2)), ('1', (1,))],
  )
  def test_choice(self, log, checkpoints, expected):
    assert _reader(log, checkpoints).index().checkpoints == expected

  @pytest.mark.parametrize('checkpoints', ['newest', '', '1,', '-1', '1.5'])
  def test_bad_choice(self, checkpoints):
    with pytest.raises(ValueError, match="expected 'latest', 'all' or numbers"):
      dopamine.DopamineLogConfig('/log', checkpoints)

  def test_bad_stack_size(self):
    with pytest.raises(ValueError, match='stack_size is 0'):
      dopamine.DopamineLogConfig('/log', stack_size=0)

  def test_absent_checkpoint(self, log):
    with pytest.raises(
        reader.LogError, match='has no checkpoint 7; it has 0, 1, 2'
    ):
      _reader(log, '7').index()

  def test_latest_is_the_newest_complete_one(self, log):
    os.remove(files.sentinel_path(str(log), 2))
    index = _reader(log).index()
    assert index.checkpoints == (1,)
    assert 'checkpoints [2] have no sentinel' in index.warnings[0]

  @pytest.mark.parametrize('checkpoints', ['all', '0,2'])
  def test_incomplete_checkpoint_is_refused(self, log, checkpoints):
    os.remove(files.sentinel_path(str(log), 2))
    with pytest.raises(
        reader.LogError,
        match='sentinel_checkpoint_complete.2 is missing.*--checkpoints=0,1',
    ):
      _reader(log, checkpoints).index()

  def test_log_without_any_sentinel_is_read_with_a_warning(self, log):
    for number in range(3):
      os.remove(files.sentinel_path(str(log), number))
    index = _reader(log).index()
    assert index.checkpoints == (2,)
    assert 'has no sentinel files' in index.warnings[0]

  def test_log_without_marked_ends_is_read_with_a_warning(self, log):
    os.remove(files.path_of(str(log), files.EPISODE_END_INDICES, 2))
    index = _reader(log).index()
    assert len(index.spans) == 3
    assert not index.ends_marked
    assert 'only terminal ends are known' in index.warnings[0]
