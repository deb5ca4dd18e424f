"""Tests of reading datasets in other formats and schemas, and parts of them.

What TFDS itself reads from the same files is the measure.
"""

import os
import re

import numpy as np
import pytest

from rrl_pipeline.rlds import loading
from rrl_pipeline.rlds import selection
from rrl_pipeline.rlds import shards
import tensorflow_datasets as tfds
from tensorflow_datasets.rl_unplugged import atari_utils

_RAW, _ZLIB = (
    tfds.features.Tensor(shape=(84, 84, 1), dtype=np.uint8, encoding=encoding)
    for encoding in ('bytes', 'zlib')
)
_PNG = tfds.features.Image(shape=(84, 84, 1), dtype=np.uint8)
_NUM_ACTIONS = 6


def _features(observation=_PNG, steps=(), **episode):
  return tfds.features.FeaturesDict({
      'steps': tfds.features.Dataset({
          'observation': observation,
          'action': np.int64,
          'reward': np.float32,
          'is_first': np.bool_,
          'is_last': np.bool_,
          'is_terminal': np.bool_,
          **dict(steps),
      }),
      **episode,
  })


def _episode(seed, num_steps=6, steps=(), **episode):
  generator = np.random.default_rng(seed)
  is_last = np.arange(num_steps) == num_steps - 1
  frames = generator.integers(0, 256, (num_steps, 84, 84, 1), np.uint8)
  frames[1] = 0
  # A gradient: libpng filters its lines.
  frames[2] = np.add.outer(np.arange(84), np.arange(84))[..., None]
  return {
      'steps': {
          'observation': frames,
          'action': generator.integers(0, _NUM_ACTIONS, num_steps),
          'reward': np.where(is_last, 0, generator.integers(-1, 2, num_steps))
          .astype(np.float32),
          'is_first': np.arange(num_steps) == 0,
          'is_last': is_last,
          'is_terminal': is_last & (seed % 2 == 0),
          **dict(steps),
      },
      **episode,
  }


def _write(directory, splits, features, file_format='tfrecord', num_shards=2):
  return tfds.dataset_builders.store_as_tfds_dataset(
      name='test_replay',
      version='1.0.0',
      features=features,
      split_datasets={k: list(enumerate(v)) for k, v in splits.items()},
      data_dir=directory,
      disable_shuffling=True,
      file_format=file_format,
      download_config=tfds.download.DownloadConfig(num_shards=num_shards),
  ).data_path


def _assert_as_written(dataset, episodes):
  assert dataset.lengths.tolist() == [
      len(episode['steps']['action']) for episode in episodes
  ]
  for rows, episode in zip(
      dataset.episodes(_NUM_ACTIONS), episodes, strict=True
  ):
    steps = episode['steps']
    np.testing.assert_array_equal(
        rows.observation, steps['observation'][..., 0]
    )
    for name in ('action', 'reward', 'is_last', 'is_terminal'):
      np.testing.assert_array_equal(getattr(rows, name), steps[name])


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
@pytest.mark.parametrize(
    'observation', [_PNG, _RAW, _ZLIB], ids=['png', 'raw', 'zlib']
)
def test_every_format_gives_the_same_rows(tmp_path, file_format, observation):
  episodes = [_episode(seed, 3 + seed) for seed in range(5)]
  path = _write(
      tmp_path, {'train': episodes}, _features(observation), file_format
  )
  dataset = loading.RldsDataset(path)
  _assert_as_written(dataset, episodes)
  assert not dataset.losses and dataset.teacher_sha256 is None
  # Any episode is read without those before it.
  np.testing.assert_array_equal(
      dataset.episode(3, _NUM_ACTIONS).observation,
      episodes[3]['steps']['observation'][..., 0],
  )


def test_rewards_are_as_they_were_logged(tmp_path):
  episode = _episode(0, 5)
  rewards = [10.0, -7.0, 0.5, 1.0, 0.0]
  episode['steps']['reward'] = np.array(rewards, np.float32)
  path = _write(tmp_path, {'train': [episode]}, _features(), num_shards=1)
  dataset = loading.RldsDataset(path)
  (rows,) = dataset.episodes(_NUM_ACTIONS)
  assert rows.reward.tolist() == rewards
  assert dataset.returns.tolist() == [4.5]


def test_frames_without_a_channel_axis_are_read(tmp_path):
  episode = _episode(0)
  flat = {'steps': {
      **episode['steps'],
      'observation': episode['steps']['observation'][..., 0],
  }}
  feature = tfds.features.Tensor(
      shape=(84, 84), dtype=np.uint8, encoding='bytes'
  )
  path = _write(
      tmp_path, {'train': [flat]}, _features(feature), num_shards=1
  )
  _assert_as_written(loading.RldsDataset(path), [episode])


@pytest.mark.parametrize('file_format', ['tfrecord', 'array_record'])
@pytest.mark.parametrize('damage', ['missing', 'cut', 'flipped', 'empty'])
def test_a_damaged_shard_is_noticed_before_learning(
    tmp_path, file_format, damage
):
  episodes = [_episode(seed) for seed in range(4)]
  path = _write(tmp_path, {'train': episodes}, _features(), file_format)
  shard = sorted(path.glob('*record-*'))[1]
  data = bytearray(shard.read_bytes())
  if damage == 'missing':
    shard.unlink()
  elif damage == 'cut':
    shard.write_bytes(data[: len(data) * 2 // 3])
  elif damage == 'empty':
    shard.write_bytes(b'')
  else:
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
  with pytest.raises(
      ValueError,
      match=f'The dataset {path} is damaged: .*{shard.name}.* build it anew',
  ):
    loading.RldsDataset(path)


def test_a_format_without_random_access_is_refused(tmp_path):
  with pytest.raises(ValueError, match="the format 'riegeli'; expected"):
    shards.open_shard(tmp_path / 'x', 'riegeli')


def _rlu_episode(seed, checkpoint):
  """As TFDS's `rlu_atari` stores an episode of six logged transitions."""
  episode = _episode(2 * seed)
  # The last logged transition is the last step, its reward included; the
  # discounts are shifted.
  reward = episode['steps']['reward'].copy()
  reward[-1] = 1.0 if seed == 0 else 0.0
  discount = np.ones(len(reward), np.float32)
  discount[-2:] = 0
  return {
      'steps': {**episode['steps'], 'reward': reward, 'discount': discount},
      'episode_id': seed,
      'checkpoint_id': checkpoint,
      'episode_return': reward.sum(),
  }


def test_rlu_atari_is_read_as_it_is_and_its_loss_is_said(tmp_path):
  episodes = [_rlu_episode(seed, 0) for seed in range(3)]
  path = _write(
      tmp_path, {'train': episodes}, atari_utils.features_dict()
  )
  dataset = loading.RldsDataset(path)
  _assert_as_written(dataset, episodes)
  assert dataset.returns[0] == episodes[0]['episode_return']
  assert len(dataset.losses) == 1
  assert dataset.losses[0].startswith(
      '1 of 3 episodes hold a reward in their last step, where RLDS allows none'
  )


def test_splits_of_checkpoints_are_read_in_order(tmp_path):
  episodes = [_rlu_episode(seed, seed) for seed in range(3)]
  path = _write(
      tmp_path,
      {f'checkpoint_{i:02d}': [episodes[i]] for i in (2, 0, 1)},
      atari_utils.features_dict(),
      num_shards=1,
  )
  _assert_as_written(loading.RldsDataset(path), episodes)
  chosen = loading.RldsDataset(path, selection.EpisodeFilter('1-2'))
  _assert_as_written(chosen, episodes[1:])


def test_stored_teacher_values_are_read(tmp_path):
  values = np.random.default_rng(0).normal(size=(6, _NUM_ACTIONS))
  for i, feature in enumerate((
      tfds.features.Tensor(shape=(_NUM_ACTIONS,), dtype=np.float32),
      tfds.features.Tensor(
          shape=(_NUM_ACTIONS,), dtype=np.float32, encoding='zlib'
      ),
  )):
    path = _write(
        tmp_path / str(i),
        {'train': [
            _episode(0, steps={'teacher_values': values.astype(np.float32)})
        ]},
        _features(steps={'teacher_values': feature}),
        num_shards=1,
    )
    dataset = loading.RldsDataset(path)
    (rows,) = dataset.episodes(_NUM_ACTIONS)
    np.testing.assert_array_equal(
        rows.teacher_values, values.astype(np.float32)
    )
    assert rows.teacher_values.dtype == np.float32


def _dataset_of_parts(tmp_path):
  """Six episodes of the returns 0 … 5, from the checkpoints 0 0 1 1 2 2."""
  episodes = [
      _episode(
          seed, checkpoint_id=seed // 2, episode_return=np.float32(seed)
      )
      for seed in range(6)
  ]
  path = _write(
      tmp_path, {'train': episodes},
      _features(checkpoint_id=np.int64, episode_return=np.float32),
  )
  return path, episodes


@pytest.mark.parametrize(
    'episode_filter, kept',
    [
        (selection.EpisodeFilter(checkpoints='1'), [2, 3]),
        (selection.EpisodeFilter(checkpoints='0,2'), [0, 1, 4, 5]),
        (selection.EpisodeFilter(min_return=4), [4, 5]),
        (selection.EpisodeFilter('0-1', 1, 2), [1, 2]),
    ],
)
def test_filters_keep_whole_episodes(tmp_path, episode_filter, kept):
  path, episodes = _dataset_of_parts(tmp_path)
  dataset = loading.RldsDataset(path, episode_filter)
  _assert_as_written(dataset, [episodes[i] for i in kept])
  assert dataset.returns.tolist() == kept
  assert dataset.fingerprint != loading.RldsDataset(path).fingerprint


def test_a_filter_that_keeps_nothing_says_what_there_is(tmp_path):
  path, _ = _dataset_of_parts(tmp_path)
  with pytest.raises(
      ValueError,
      match=re.escape(
          "has 6 episodes, of which EpisodeFilter(checkpoints='7',"
          ' min_return=None, max_return=None) keeps none; checkpoints go from'
          ' 0 to 2, returns from 0 to 5.'
      ),
  ):
    loading.RldsDataset(path, selection.EpisodeFilter('7'))


def test_checkpoints_that_are_not_known_cannot_be_chosen(tmp_path):
  path = _write(tmp_path, {'train': [_episode(0)]}, _features(), num_shards=1)
  with pytest.raises(ValueError, match='does not say which checkpoint'):
    loading.RldsDataset(path, selection.EpisodeFilter('0'))


def test_the_fingerprint_changes_with_the_files(tmp_path):
  path, _ = _dataset_of_parts(tmp_path)
  before = loading.RldsDataset(path).fingerprint
  assert loading.RldsDataset(path).fingerprint == before
  info = path / 'dataset_info.json'
  info.write_text(info.read_text().replace('"1.0.0"', '"1.0.0" '))
  changed = loading.RldsDataset(path).fingerprint
  assert changed != before
  shard = sorted(path.glob('*record-*'))[0]
  os.utime(shard)
  assert loading.RldsDataset(path).fingerprint not in (before, changed)
