"""From play to a dataset where observations are no frames, and to learning."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import compute_statistics
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import rewrite_job
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.datasets import minatar_replay
from rrl_pipeline.rlds import dataset_difference
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import verification
from rrl_pipeline.testing import small_environments

_FLOATS = small_environments.SmallConfig((7,), 'float32')
_PICTURES = small_environments.SmallConfig((10, 10, 4), 'uint8')
_GAME = {'environment': {'kind': 'minatar', 'game': 'Breakout'}}
# Of the log tests/testdata/dopamine/wrapped, converted before there were other
# datasets than Atari's.
_ATARI_SHA256 = {
    'atari_replay-train.tfrecord-00000-of-00002': (
        'adc2a65402840e368a885d4fa84f45ee13eb53ea3941f6888471a41dfaf850d8'
    ),
    'atari_replay-train.tfrecord-00001-of-00002': (
        '7ef49ed9519f308f41a57d62e2f2d93aa9eaf2d5416405fb0f1d4433a158d0c4'
    ),
    'features.json': (
        'cbce352b0342350cf8849d3ed26f8c4e0272aff32f4ca6d5c259c4b8cb503374'
    ),
}


@dataclasses.dataclass(frozen=True)
class _Played:
  observations: list
  actions: list
  rewards: list
  terminal: bool
  facts: dict


def _play(config, num_writers=2, num_episodes=3):
  """What `small_environments.record` records, played once more."""
  for writer in range(num_writers):
    environment = small_environments.SmallEnvironment(config, seed=writer)
    for number in range(num_episodes):
      rng = np.random.default_rng(number)
      timestep = environment.reset()
      played = _Played([timestep.observation], [], [], False, {})
      while not timestep.last():
        action = rng.integers(small_environments.NUM_ACTIONS)
        timestep = environment.step(action)
        played.observations.append(timestep.observation)
        played.actions.append(action)
        played.rewards.append(np.float32(timestep.reward))
      yield dataclasses.replace(
          played, terminal=timestep.discount == 0, facts=environment.episode_facts
      )


def _convert(log, data_dir, **options):
  return build_rlds.convert(
      build_rlds.BuildRldsConfig(str(log), str(data_dir), **options)
  )


@pytest.fixture(scope='module', name='floats')
def fixture_floats(tmp_path_factory):
  """A dataset of its own: small_replay/random_run_1."""
  directory = tmp_path_factory.mktemp('floats')
  small_environments.record(directory / 'log', _FLOATS)
  summary = _convert(
      directory / 'log', directory / 'data', dataset='small_replay'
  )
  return directory, summary


@pytest.fixture(scope='module', name='pictures')
def fixture_pictures(tmp_path_factory):
  """minatar_replay/Breakout_run_1."""
  directory = tmp_path_factory.mktemp('pictures')
  small_environments.record(directory / 'log', _PICTURES, **_GAME)
  return directory, _convert(directory / 'log', directory / 'data')


def _check(dataset, config):
  """Every number is the one that was played."""
  expected = list(_play(config))
  assert len({played.terminal for played in expected}) == 2
  assert len(dataset) == len(expected)
  for episode, played in zip(dataset, expected, strict=True):
    steps = next(iter(episode[schema.STEPS].batch(1_000)))
    observations = steps[schema.OBSERVATION].numpy()
    assert observations.dtype == config.dtype
    np.testing.assert_array_equal(observations, played.observations)
    np.testing.assert_array_equal(steps[schema.ACTION], [*played.actions, 0])
    np.testing.assert_array_equal(steps[schema.REWARD], [*played.rewards, 0])
    assert steps[schema.IS_TERMINAL][-1] == played.terminal
    assert steps[schema.DISCOUNT][-2] == (not played.terminal)
    metadata = json.loads(episode[schema.EPISODE_METADATA].numpy())
    assert metadata == played.facts
    assert not episode[schema.LAST_OBSERVATION_SYNTHETIC]


def test_a_dataset_of_ones_own_is_loaded_by_name(floats):
  directory, summary = floats
  assert summary.path.endswith('small_replay/random_run_1/1.0.0')
  assert (summary.episodes, summary.steps) == (6, summary.transitions + 6)
  dataset = tfds.load(
      'small_replay/random_run_1', data_dir=directory / 'data', split='train'
  )
  _check(dataset, _FLOATS)


def test_a_recording_says_which_dataset_it_becomes(pictures):
  directory, summary = pictures
  assert summary.path.endswith('minatar_replay/Breakout_run_1/1.0.0')
  dataset = tfds.load(
      'minatar_replay/Breakout_run_1', data_dir=directory / 'data',
      split='train',
  )
  _check(dataset, _PICTURES)


def _records(path):
  dataset = dataset_files.Dataset(path)
  return [
      record for shard in dataset.shards for record in dataset.records(shard)
  ]


@pytest.mark.parametrize('name', ['Breakout_run_1', 'Breakout_run_1_raw'])
def test_tfds_builds_the_same_records(pictures, tmp_path, name):
  directory, _ = pictures
  builder = minatar_replay.Builder(config=name, data_dir=tmp_path / 'tfds')
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          manual_dir=directory / 'log', try_download_gcs=False
      )
  )
  encoding = 'raw' if name.endswith('raw') else 'zlib'
  summary = _convert(
      directory / 'log', tmp_path / 'job', frame_encoding=encoding
  )
  assert summary.path.endswith(f'minatar_replay/{name}/1.0.0')
  built = dataset_files.Dataset(builder.data_dir)
  converted = dataset_files.Dataset(summary.path)
  assert built.fields == converted.fields
  assert not dataset_difference.compare(built, converted)
  # As messages: TFDS orders their fields in another way.
  assert list(map(tf_example.parse, _records(builder.data_dir))) == list(
      map(tf_example.parse, _records(summary.path))
  )
  _check(builder.as_dataset(split='train'), _PICTURES)


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
def test_a_killed_conversion_ends_like_an_undisturbed_one(
    floats, tmp_path, monkeypatch, file_format
):
  directory, _ = floats
  options = {
      'dataset': 'small_replay', 'num_shards': 3, 'file_format': file_format
  }
  undisturbed = _convert(directory / 'log', tmp_path / 'a', **options)
  calls = []

  def convert_episode(*args):
    calls.append(None)
    if len(calls) == 4:  # In the middle of the second shard.
      raise RuntimeError('killed')
    return original(*args)

  original = transforms._convert_episode
  with monkeypatch.context() as patch:
    patch.setattr(transforms, '_convert_episode', convert_episode)
    with pytest.raises(execution.BeamJobError, match='killed'):
      _convert(directory / 'log', tmp_path / 'b', **options)
  resumed = _convert(directory / 'log', tmp_path / 'b', **options)
  files = [
      {
          path.name: path.read_bytes()
          for path in pathlib.Path(summary.path).iterdir()
      }
      for summary in (undisturbed, resumed)
  ]
  assert files[0] == files[1]


def test_rewritten_and_back_the_records_are_the_same(floats, tmp_path):
  _, summary = floats
  raw = rewrite_job.rewrite(
      rewrite_job.RewriteRldsConfig(
          summary.path, str(tmp_path), frame_encoding='raw',
          file_format='array_record',
      )
  )
  assert 'random_run_1_raw' in raw.path
  back = rewrite_job.rewrite(
      rewrite_job.RewriteRldsConfig(
          raw.path, str(tmp_path), frame_encoding='zlib',
          file_format='tfrecord',
      )
  )
  assert _records(back.path) == _records(summary.path)
  difference = dataset_difference.compare(
      dataset_files.Dataset(summary.path), dataset_files.Dataset(raw.path)
  )
  assert difference.same == 6 and not difference.changed
  assert difference.fields == (
      'steps/observation is float32 [7] stored as zlib in A, '
      'float32 [7] stored as bytes in B',
  )


def test_statistics_and_card_need_no_pictures(floats, pictures):
  for (_, summary), config in ((floats, _FLOATS), (pictures, _PICTURES)):
    value = compute_statistics.compute(
        compute_statistics.ComputeStatisticsConfig(summary.path)
    )
    played = list(_play(config))
    assert value['episode_return']['mean'] == pytest.approx(
        np.mean([np.sum(p.rewards, dtype=np.float64) for p in played])
    )
    observations = np.concatenate([p.observations for p in played])
    assert value['value_ranges']['observation'] == [
        float(observations.min()), float(observations.max())
    ]
    card = pathlib.Path(summary.path) / 'card'
    assert {path.name for path in card.iterdir()} == {
        'README.md', 'index.html', 'actions.png', 'lengths.png',
        'progress.png', 'returns.png', 'rewards.png',
    }
    dataset = dataset_files.Dataset(summary.path)
    assert not verification.damage(dataset, decode_frames=True)


def test_atari_datasets_have_the_bytes_they_always_had(tmp_path):
  log = pathlib.Path(__file__).parents[1] / 'testdata/dopamine/wrapped'
  summary = _convert(
      log / 'checkpoints', tmp_path, num_shards=2, png_compressor='zlib'
  )
  found = {
      name: hashlib.sha256(
          (pathlib.Path(summary.path) / name).read_bytes()
      ).hexdigest()
      for name in _ATARI_SHA256
  }
  assert found == _ATARI_SHA256
