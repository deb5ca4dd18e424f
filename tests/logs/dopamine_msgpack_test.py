"""Tests of reading logs of Dopamine 4.1, against the truth about a real one.

tests/testdata/dopamine/write_newformat.py tells how the sample was made.
"""

import gzip
import json
import pathlib
import zlib

import msgpack
import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine_msgpack
from rrl_pipeline.logs import dopamine_msgpack_files as files
from rrl_pipeline.logs import reader
from rrl_pipeline.testing import msgpack_log

SAMPLE = pathlib.Path(__file__).parents[1] / 'testdata/dopamine/newformat'


def _reader(directory, checkpoints='all', time_limit_steps=()):
  return dopamine_msgpack.DopamineMsgpackReader(
      dopamine_msgpack.DopamineMsgpackLogConfig(
          str(directory), checkpoints, time_limit_steps
      )
  )


def _unpack_sample(name, directory):
  for path in (SAMPLE / name).rglob('*.gz'):
    target = directory / path.relative_to(SAMPLE / name).with_suffix('')
    target.parent.mkdir(parents=True)
    target.write_bytes(gzip.decompress(path.read_bytes()))


def _truth():
  path = SAMPLE / 'ground_truth.json.gz'
  return json.loads(gzip.decompress(path.read_bytes()))


@pytest.mark.parametrize(
    'checkpoints,episodes,transitions,padding,left_out',
    [
        ('0', 3, 567, 0, 0),
        # Of the newest 600 elements, the first ones are the rest of an episode
        # whose first 16 are gone; its flagged element comes 4 times.
        ('latest', 4, 591, 9, 583),
        ('all', 7, 1158, 9, 16),
    ],
)
def test_sample_equals_the_truth(
    tmp_path, checkpoints, episodes, transitions, padding, left_out
):
  _unpack_sample('checkpoints', tmp_path)
  truth = _truth()
  log_reader = _reader(tmp_path, checkpoints)
  index = log_reader.index()
  assert index.accounting == reader.Accounting(
      transitions + padding + left_out, transitions, padding, left_out
  )
  assert index.accounting.adds in [c['add_count'] for c in truth['checkpoints']]
  played = truth['episodes'][: 3 if checkpoints == '0' else 7][-episodes:]
  assert len(index.spans) == episodes
  followers = [*index.spans[1:], None]
  for stream, true, follower in zip(
      log_reader.read(index.spans), played, followers
  ):
    episode = stream.load()
    # The last action is not stored; of the one cut at its start, more is lost.
    lost = true['length'] - 1 - stream.span.length
    assert stream.span.complete_start == (lost == 0)
    assert episode.actions.tolist() == true['actions'][lost:-1]
    assert episode.rewards.tolist() == true['rewards'][lost:-1]
    assert [
        zlib.crc32(frame.tobytes()) for frame in episode.observations
    ] == true['frame_crc32'][lost:-1]
    assert stream.span.has_final_observation
    # Only what comes next shows that an episode has ended without a flag.
    has_ended = follower is not None and follower.complete_start
    assert episode.end is (
        types.EpisodeEnd.TRUNCATED
        if has_ended and not true['terminal']
        else types.EpisodeEnd.LOG_END
    )
  terminal = sum(true['terminal'] for true in played)
  assert any(
      loss.startswith(f'The terminal end of {terminal} of the {episodes} episo')
      for loss in index.losses
  ) == (terminal > 0)
  assert index.frame_shape == (84, 84)
  assert index.metadata == {'stack_size': 4}


def test_sums_over_several_steps_are_refused(tmp_path):
  _unpack_sample('three_steps', tmp_path)
  with pytest.raises(
      reader.LogError, match=r'transitions over 3 steps \(update_horizon=3\)'
  ):
    _reader(tmp_path).index()


def _episode(length, end=types.EpisodeEnd.TERMINAL, first=1):
  frames = np.arange(first, first + length, dtype=np.uint8)
  return types.Episode(
      observations=np.broadcast_to(
          frames[:, None, None], (length, 2, 2)
      ).copy(),
      actions=np.arange(length) % 4,
      rewards=np.ones(length, np.float32),
      end=end,
  )


@pytest.fixture(name='log')
def fixture_log():
  """The elements of two episodes of 6 and 9 steps; the first is terminal."""
  log = msgpack_log.MsgpackLog(capacity=100)
  log.add_episode(_episode(6))
  log.add_episode(_episode(9, types.EpisodeEnd.TRUNCATED, first=50))
  return log


def _read_all(log_reader):
  return [s.load() for s in log_reader.read(log_reader.index().spans)]


def test_long_episodes_come_in_blocks(tmp_path):
  log = msgpack_log.MsgpackLog(capacity=1000)
  for length in (257, 258, 700):
    log.add_episode(_episode(200, types.EpisodeEnd.LOG_END))
    frames = np.random.default_rng(length).integers(
        1, 256, (length, 2, 2), dtype=np.uint8
    )
    episode = types.Episode(
        frames, np.zeros(length), np.zeros(length), types.EpisodeEnd.TERMINAL
    )
    log.add_episode(episode)
    log.save(str(tmp_path), 0)
    found = _read_all(_reader(tmp_path))[-1]
    np.testing.assert_array_equal(found.observations, frames[: length + 1])
    assert len(found.actions) == length - 1


def test_time_limit_of_the_emulator_is_told_by_the_length(tmp_path, log):
  log.save(str(tmp_path), 0)
  ends = [
      [s.end for s in _reader(tmp_path, 'all', limits).index().spans][0]
      for limits in ((), (5,), (6,))
  ]
  assert ends == [
      types.EpisodeEnd.LOG_END,
      types.EpisodeEnd.LOG_END,
      types.EpisodeEnd.TRUNCATED,
  ]


def test_priorities_are_left_out(tmp_path, log):
  state = log.state()
  state['sampling_distribution']['sum_tree'] = {'nodes': [0.5]}
  msgpack_log.write(str(tmp_path), 0, msgpack.packb(state))
  losses = _reader(tmp_path).index().losses
  assert any(loss.startswith('The sum tree with the prior') for loss in losses)


def test_treedefs_are_never_loaded(tmp_path, log):
  # They are no pickles at all in this log.
  log.save(str(tmp_path), 0)
  assert len(_read_all(_reader(tmp_path))) == 2


def test_incomplete_checkpoint_is_passed_over(tmp_path, log):
  for number in (0, 1, 10):
    log.save(str(tmp_path), number)
    if number < 10:
      (tmp_path / f'sentinel_checkpoint_complete.{number}').write_text('done')
  (tmp_path / '11.orbax-checkpoint-tmp-5' / 'replay').mkdir(parents=True)
  index = _reader(tmp_path, 'latest').index()
  assert index.checkpoints == (1,)
  assert 'checkpoints [10] have no sentinel' in index.warnings[0]
  with pytest.raises(reader.LogError, match='complete.10 is missing'):
    _reader(tmp_path, 'all').index()


def test_checkpoints_of_two_runs_are_not_merged(tmp_path, log):
  log.save(str(tmp_path), 0)
  log.elements[4][1] = np.int32(3)
  log.save(str(tmp_path), 1)
  with pytest.raises(
      reader.LogError, match='both hold element 4, but not the same one'
  ):
    _reader(tmp_path).index()


def test_count_may_not_go_back(tmp_path, log):
  log.save(str(tmp_path), 0)
  log.save(str(tmp_path), 1, add_count=9)
  with pytest.raises(
      reader.LogError, match='counts 9 elements, fewer than the 16 of an earl'
  ):
    _reader(tmp_path).index()


def test_buffer_may_be_empty(tmp_path):
  msgpack_log.MsgpackLog(capacity=5).save(str(tmp_path), 0)
  with pytest.raises(reader.LogError, match='holds no steps in checkpoints 0'):
    _reader(tmp_path).index()


def test_episode_that_does_not_join_is_found(tmp_path, log):
  log.elements[3][3][0, 0, 0] ^= 1  # A bit of a next state.
  log.save(str(tmp_path), 0)
  with pytest.raises(
      reader.LogError, match='element 4 neither goes on .* nor starts an epis'
  ):
    _reader(tmp_path).index()


def test_missing_repetition_is_found(tmp_path, log):
  del log.elements[6]
  log.save(str(tmp_path), 0)
  with pytest.raises(
      reader.LogError, match='element 4 comes 2 more times; expected 3'
  ):
    _reader(tmp_path).index()


def test_repetition_may_not_come_twice(tmp_path, log):
  log.elements[6] = log.elements[5]
  log.save(str(tmp_path), 0)
  with pytest.raises(
      reader.LogError, match='element 4 comes 1 more times; expected 3'
  ):
    _reader(tmp_path).index()


def test_equal_short_episodes_are_no_repetitions(tmp_path):
  log = msgpack_log.MsgpackLog(capacity=100)
  for _ in range(3):
    log.add_episode(_episode(2))
  log.save(str(tmp_path), 0)
  index = _reader(tmp_path).index()
  assert [(s.first_add, s.length) for s in index.spans] == [
      (0, 1), (1, 1), (2, 1)
  ]


def test_stacks_must_be_of_one_shape(tmp_path, log):
  other = msgpack_log.MsgpackLog(capacity=100, stack_size=3)
  other.add_episode(_episode(9))
  log.elements += other.elements
  log.save(str(tmp_path), 0)
  with pytest.raises(
      reader.LogError, match=r'stacks of \(2, 2, 3\); .* have \(2, 2, 4\)'
  ):
    _reader(tmp_path).index()


def test_directory_must_hold_a_log(tmp_path):
  (tmp_path / 'notes.txt').write_text('')
  with pytest.raises(
      reader.LogError,
      match='expected files <number>/replay/checkpoint.msgpack, found notes.tx',
  ):
    files.list_checkpoints(str(tmp_path))
  with pytest.raises(reader.LogError, match='nowhere does not exist'):
    files.list_checkpoints(str(tmp_path / 'nowhere'))
