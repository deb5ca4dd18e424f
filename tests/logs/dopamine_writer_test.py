"""Tests of writing Dopamine logs: byte for byte what Dopamine itself wrote."""

import filecmp
import json
import os
import pathlib
import pickle
import pickletools

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
_HEADER_BYTES = 128


def _compare_with_sample(sample, written, number, used_slots):
  for element in STORED:
    expected, found = (
        npy_gzip.read_bytes(files.path_of(str(directory), element, number))
        for directory in (sample, written)
    )
    array = npy_gzip.read_array(files.path_of(str(sample), element, number))
    used_bytes = _HEADER_BYTES + used_slots * array[0].nbytes
    assert len(found) == len(expected)
    assert found[:used_bytes] == expected[:used_bytes]
  for element in (files.ADD_COUNT, files.INVALID_RANGE):
    expected, found = (
        npy_gzip.read_bytes(files.path_of(str(directory), element, number))
        for directory in (sample, written)
    )
    assert found == expected
  # The order of a pickled set is that of its history: its parts are compared.
  expected, found = (
      npy_gzip.read_bytes(
          files.path_of(str(directory), files.EPISODE_END_INDICES, number)
      )
      for directory in (sample, written)
  )
  assert pickle.loads(found) == pickle.loads(expected)
  expected, found = (
      sorted((op.name, repr(arg)) for op, arg, _ in pickletools.genops(pickled))
      for pickled in (expected, found)
  )
  assert found == expected


@pytest.mark.parametrize(
    'sample,capacity,saved_after',
    [('unwrapped', 20000, (7, 13)), ('wrapped', 10000, (7, 14, 22))],
)
def test_files_equal_those_of_dopamine(tmp_path, sample, capacity, saved_after):
  """Logs the samples' episodes anew, saving where Dopamine saved."""
  directory = SAMPLES / sample / 'checkpoints'
  log_reader = dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(directory), 'all')
  )
  writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (84, 84), capacity)
  spans = log_reader.index().spans
  for count, stream in enumerate(log_reader.read(spans), start=1):
    replay_logs.add_episode(writer, stream.load())
    if count in saved_after:
      number = saved_after.index(count)
      writer.save(number)
      _compare_with_sample(
          directory, tmp_path, number, min(writer.add_count, capacity)
      )
  assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(directory))


@pytest.fixture(name='episodes')
def fixture_episodes():
  rng = np.random.default_rng(0)
  ends = (types.EpisodeEnd.TERMINAL, types.EpisodeEnd.TRUNCATED)
  return [
      replay_logs.random_episode(rng, length, (2, 3), ends[length % 2])
      for length in (5, 8, 3, 6, 9, 4)
  ]


def _new_writer(directory):
  return dopamine_writer.DopamineLogWriter(
      str(directory), (2, 3), capacity=20, update_horizon=3
  )


def _assert_same_files(directory, other):
  names = os.listdir(other)
  assert filecmp.cmpfiles(directory, other, names, shallow=False)[0] == names


@pytest.mark.parametrize('saved_after', [1, 3, 5])
def test_restored_writer_goes_on_as_if_it_had_not_stopped(
    tmp_path, episodes, saved_after
):
  undisturbed = _new_writer(tmp_path / 'a')
  for episode in episodes:
    replay_logs.add_episode(undisturbed, episode)
  undisturbed.save(1)
  stopped = _new_writer(tmp_path / 'b')
  for episode in episodes[:saved_after]:
    replay_logs.add_episode(stopped, episode)
  stopped.save(1)
  restored = dopamine_writer.DopamineLogWriter.restore(
      str(tmp_path / 'b'), 1, update_horizon=3
  )
  assert restored.add_count == stopped.add_count
  for episode in episodes[saved_after:]:
    replay_logs.add_episode(restored, episode)
  restored.save(1)
  _assert_same_files(tmp_path / 'b', tmp_path / 'a')


def test_open_episode_is_truncated_where_it_was_saved(tmp_path, episodes):
  writer = _new_writer(tmp_path)
  writer.add(episodes[0].observations[0], 1, 0.0, terminal=False)
  writer.save(0)
  restored = dopamine_writer.DopamineLogWriter.restore(str(tmp_path), 0)
  replay_logs.add_episode(restored, episodes[1])
  restored.save(1)
  spans = dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(tmp_path))
  ).index().spans
  assert [span.length for span in spans] == [1, 8]
  assert spans[0].end is types.EpisodeEnd.TRUNCATED


def test_empty_writer_is_restored(tmp_path, episodes):
  _new_writer(tmp_path).save(0)
  invalid_range = files.path_of(str(tmp_path), files.INVALID_RANGE, 0)
  np.testing.assert_array_equal(npy_gzip.read_array(invalid_range), np.zeros(4))
  restored = dopamine_writer.DopamineLogWriter.restore(str(tmp_path), 0)
  replay_logs.add_episode(restored, episodes[0])
  assert restored.add_count == 3 + 5


def test_restore_needs_a_complete_checkpoint(tmp_path, episodes):
  writer = _new_writer(tmp_path)
  replay_logs.add_episode(writer, episodes[0])
  writer.save(0)
  writer.save(1)
  os.remove(files.sentinel_path(str(tmp_path), 1))
  with pytest.raises(
      reader.LogError, match=r'checkpoint 1 of .* not complete; .*: \[0\]'
  ):
    dopamine_writer.DopamineLogWriter.restore(str(tmp_path), 1)


def test_sentinel_is_away_while_a_checkpoint_is_replaced(
    tmp_path, episodes, monkeypatch
):
  writer = _new_writer(tmp_path)
  replay_logs.add_episode(writer, episodes[0])
  writer.save(0)

  def fail(*_, **__):
    raise OSError('no space left')

  monkeypatch.setattr(np, 'save', fail)
  with pytest.raises(OSError, match='no space left'):
    writer.save(0)
  assert not files.list_checkpoints(str(tmp_path)).sentinels
  assert not [n for n in os.listdir(tmp_path) if n.startswith('.')]


def test_metadata_is_saved_with_the_log(tmp_path, episodes):
  writer = dopamine_writer.DopamineLogWriter(
      str(tmp_path), (2, 3), 20, metadata={'epsilon': [1.0, 0.01]}
  )
  replay_logs.add_episode(writer, episodes[0])
  writer.save(0)
  index = dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(tmp_path))
  ).index()
  assert index.metadata == {'epsilon': [1.0, 0.01]}
  assert json.loads((tmp_path / files.METADATA_FILE).read_text()) == {
      'epsilon': [1.0, 0.01]
  }


def test_frames_must_fit(tmp_path):
  writer = _new_writer(tmp_path)
  with pytest.raises(ValueError, match=r'uint8 \(3, 3\); the log holds uint8'):
    writer.add(np.zeros((3, 3), np.uint8), 0, 0.0, terminal=False)
  with pytest.raises(ValueError, match=r'the observation is float64'):
    writer.add(np.zeros((2, 3)), 0, 0.0, terminal=False)


@pytest.mark.parametrize(
    'arguments,message',
    [
        (dict(capacity=4), 'capacity is 4; expected at least .* = 5'),
        (dict(capacity=9, stack_size=0), 'stack_size is 0'),
        (dict(capacity=9, update_horizon=0), 'update_horizon 0'),
    ],
)
def test_sizes_must_make_sense(tmp_path, arguments, message):
  with pytest.raises(ValueError, match=message):
    dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), **arguments)
