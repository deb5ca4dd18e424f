"""Tests of taking over datasets of another dialect: nothing misread."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import rewrite_job
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.rlds import loading
from rrl_pipeline.rlds import schema
from rrl_pipeline.testing import datasets
from rrl_pipeline.testing import replay_logs
from rrl_pipeline.testing import rlu_atari

# What only the log knows.
_UNKNOWN = (
    schema.UID, schema.FIRST_ADD_INDEX, schema.SOURCE, schema.FIRST_SLOT
)


@pytest.fixture(name='episodes', scope='module')
def fixture_episodes():
  rng = np.random.default_rng(0)
  ends = [types.EpisodeEnd.TERMINAL, types.EpisodeEnd.TRUNCATED] * 3
  episodes = [
      replay_logs.random_episode(rng, length, end=end)
      for length, end in zip((9, 40, 2, 30, 25, 8), ends)
  ]
  episodes[0].rewards[-1] = -1  # As in Pong: the last point ends the game.
  return episodes


@pytest.fixture(name='rlu', scope='module')
def fixture_rlu(episodes, tmp_path_factory):
  return rlu_atari.write_dataset(tmp_path_factory.mktemp('rlu'), episodes)


def _rewrite(source, data_dir, **options):
  return rewrite_job.rewrite(
      rewrite_job.RewriteRldsConfig(str(source), str(data_dir), **options)
  )


@pytest.mark.parametrize('dialect', ['auto', 'rlu_atari'])
def test_rlu_atari_becomes_what_the_conversion_of_its_log_gives(
    episodes, rlu, tmp_path, dialect
):
  log = tmp_path / 'log'
  replay_logs.write_log(str(log), episodes)
  converted = build_rlds.convert(
      build_rlds.BuildRldsConfig(str(log), str(tmp_path / 'converted'))
  ).path
  path = pathlib.Path(
      _rewrite(rlu, tmp_path, dialect=dialect, num_shards=2).path
  )
  assert path.parts[-3:] == ('atari_replay', 'Pong_run_1', '2.0.0')
  expected, found = map(list, (datasets.load(converted), datasets.load(path)))
  assert len(expected) == len(found) == 6
  for (old, old_steps), (new, new_steps) in zip(expected, found):
    assert old.keys() == new.keys()
    for name in old.keys() - set(_UNKNOWN):
      assert old[name] == new[name], name
    assert new[schema.FIRST_ADD_INDEX] == new[schema.FIRST_SLOT] == -1
    for name in old_steps:
      np.testing.assert_array_equal(
          old_steps[name], new_steps[name], err_msg=name
      )
  assert found[2][0][schema.UID] == b'rlu_atari/Pong_run_1/00/000002'
  assert str(tfds.builder_from_directory(path).info.features) == str(
      tfds.builder_from_directory(converted).info.features
  )
  # The reward that a reader of rlu_atari would lose is there.
  rows = next(loading.RldsDataset(path).episodes(6))
  assert rows.reward[:-1].tolist() == episodes[0].rewards.tolist()


def test_what_is_lost_is_said(rlu, tmp_path, capsys):
  path = _rewrite(rlu, tmp_path).path
  said = capsys.readouterr().err
  conversion = finalize.published_metadata(path)
  assert conversion['dialect'] == 'rlu_atari'
  assert len(conversion['losses']) == 5
  for loss in conversion['losses']:
    assert f'warning: {loss}' in said
  assert 'the observation after the last action was never stored' in said


def test_frames_are_stored_as_asked(rlu, tmp_path):
  summary = _rewrite(
      rlu, tmp_path, frame_encoding='raw', file_format='array_record'
  )
  assert summary.path.endswith('Pong_run_1_raw/2.0.0')
  source = [steps['observation'] for _, steps in datasets.load(rlu)]
  for (episode, steps), frames in zip(
      datasets.load(summary.path), source, strict=True
  ):
    count = int(episode[schema.EPISODE_LENGTH])
    np.testing.assert_array_equal(steps['observation'][:count], frames)


def test_a_dialect_that_the_returns_contradict_is_refused(rlu, tmp_path):
  with pytest.raises(
      ValueError,
      match=f'{rlu}: the dataset is not of the dialect rlds: .* fit rlu_atari',
  ):
    _rewrite(rlu, tmp_path, dialect='rlds')
  with pytest.raises(ValueError, match='has not the schema of this package'):
    _rewrite(rlu, tmp_path, dialect='native')


@pytest.fixture(name='silent', scope='module')
def fixture_silent(episodes, tmp_path_factory):
  """A dataset whose returns do not tell what its last steps are."""
  silent = [
      dataclasses.replace(episode, rewards=np.append(episode.rewards[:-1], 0))
      for episode in episodes
  ]
  return rlu_atari.write_dataset(tmp_path_factory.mktemp('silent'), silent)


def test_what_cannot_be_told_is_asked_for(silent, tmp_path):
  with pytest.raises(
      ValueError, match='cannot be told what the last steps .* mean: no episode'
  ):
    _rewrite(silent, tmp_path)
  # Both answers are possible, and give other data.
  lengths = [
      [int(e[schema.EPISODE_LENGTH]) for e, _ in datasets.load(path)]
      for path in (
          _rewrite(silent, tmp_path / dialect, dialect=dialect).path
          for dialect in ('rlu_atari', 'rlds')
      )
  ]
  assert lengths == [[9, 40, 2, 30, 25, 8], [8, 39, 1, 29, 24, 7]]


def test_a_dataset_without_the_fields_is_refused(tmp_path):
  step = dict(schema.atari_features()[schema.STEPS].feature)
  del step[schema.DISCOUNT]
  path = datasets.build_one_step(tmp_path, step)
  with pytest.raises(
      ValueError,
      match='lacks the fields checkpoint_id, episode_id, episode_return, disc',
  ):
    _rewrite(path, tmp_path)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
  with pytest.raises(source_dataset.SourceError, match='holds no RLDS dataset'):
    _rewrite(tmp_path, tmp_path)
