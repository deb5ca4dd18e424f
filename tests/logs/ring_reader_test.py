"""Tests of what the index of a ring says beyond its episodes."""

import gzip
import os
import pathlib
import pickle

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import dopamine_writer
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.testing import replay_logs

SAMPLES = pathlib.Path(__file__).parents[1] / 'testdata' / 'dopamine'


def _reader(directory, **choices):
  return dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(directory), **choices)
  )


@pytest.fixture(name='log')
def fixture_log(tmp_path):
  """Two episodes of 4 and 6 steps in a ring that has room for them."""
  rng = np.random.default_rng(0)
  replay_logs.write_log(
      str(tmp_path),
      [replay_logs.random_episode(rng, n, (2, 3)) for n in (4, 6)],
  )
  return tmp_path


def test_losses_of_a_whole_log(log):
  assert _reader(log).index().losses == (
      'The observation after the last action of an episode was never stored.',
      'Raw rewards: Dopamine clips them to [-1, 1] before it stores them, '
      'unless told otherwise, so that returns are not scores.',
  )


def test_overwritten_entries_are_a_loss():
  index = _reader(SAMPLES / 'wrapped' / 'checkpoints').index()
  assert index.losses[-1] == (
      '9262 of the 19262 entries of the log are in none of the files read: '
      'overwritten in the ring, or never saved.'
  )


def test_episode_says_where_it_lies():
  directory = SAMPLES / 'wrapped' / 'checkpoints'
  spans = _reader(directory, checkpoints='all').index().spans
  # Checkpoints hold entries 0 to 6388, 6389 to 12450 and 12451 to 19261.
  assert {span.source for span in spans} == {
      f'$store$_observation_ckpt.{number}.gz' for number in range(3)
  }
  for span in spans:
    assert span.first_slot == span.first_add % 10000
    assert not span.has_final_observation


class _NeverLoaded:

  def __reduce__(self):
    return os.system, ('touch /tmp/this_must_not_happen',)


def test_priorities_and_extra_stores_are_left_out(log):
  for name in ('sum_tree', '$store$_logits', '$store$_mode'):
    (log / f'{name}_ckpt.0.gz').write_bytes(
        gzip.compress(pickle.dumps(_NeverLoaded()))
    )
  log_reader = _reader(log)
  index = log_reader.index()
  assert index.losses[2:] == (
      "The extra store 'logits' is not part of the dataset.",
      "The extra store 'mode' is not part of the dataset.",
      'The sum tree with the priorities of the replay buffer is not part of '
      'the dataset.',
  )
  assert [len(s.load().actions) for s in log_reader.read(index.spans)] == [4, 6]
  assert not os.path.exists('/tmp/this_must_not_happen')


@pytest.mark.parametrize('has_indices', [True, False])
def test_time_limits_stored_as_terminal(log, has_indices):
  if not has_indices:
    os.remove(files.path_of(str(log), files.EPISODE_END_INDICES, 0))
  index = _reader(log, time_limit_steps=(6,)).index()
  assert [span.end for span in index.spans] == [
      types.EpisodeEnd.TERMINAL, types.EpisodeEnd.TRUNCATED
  ]
  assert index.warnings[-1].startswith('1 of 2 episodes are stored as terminal')
  assert index.ends_marked == has_indices


def test_wrapped_file_is_read_to_its_end_once(tmp_path, monkeypatch):
  writer = dopamine_writer.DopamineLogWriter(str(tmp_path), (2, 3), 100)
  rng = np.random.default_rng(0)
  for _ in range(3):
    replay_logs.add_episode(writer, replay_logs.random_episode(rng, 50, (2, 3)))
  writer.save(0)  # 159 entries: the cursor is at slot 59.
  rows = []
  skip = npy_gzip.RowStream.skip
  monkeypatch.setattr(
      npy_gzip.RowStream,
      'skip',
      lambda self, count: (rows.append(count), skip(self, count)),
  )
  log_reader = _reader(tmp_path)
  spans = log_reader.index().spans
  rows.clear()
  for stream in log_reader.read(spans):
    stream.load()
  # From the start to the cursor; then, on again from the start, to nowhere.
  assert [count for count in rows if count] == [59]
