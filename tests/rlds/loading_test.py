"""Tests of loading TFDS datasets into rows."""

import pathlib

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import loading
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tfrecord
import tensorflow_datasets as tfds

TERMINAL, TRUNCATED, LOG_END = types.EpisodeEnd
_ENCODER = png.PngEncoder(schema.ATARI_FRAME_SHAPE, png.ZLIB)


def _frames(seed: int, count: int) -> np.ndarray:
  return np.random.default_rng(seed).integers(
      1, 256, (count, *schema.ATARI_FRAME_SHAPE), np.uint8
  )


def _record(index, length, end, complete_start=True):
  """An episode as the conversion writes it; action t is t % 6, reward ±t/8."""
  span = reader.EpisodeSpan(
      0, index, 10 * index, length, 3, end, complete_start
  )
  t = np.arange(length)
  return schema.to_record(
      schema.EncodedEpisode(
          span=span,
          frames=[_ENCODER.encode(frame) for frame in _frames(index, length)],
          actions=t % 6,
          rewards=((-1.0) ** t * t / 8).astype(np.float32),
          checksums=np.zeros(length, np.uint32),
          is_blank=np.zeros(length, bool),
          content_sha256='',
      ),
      f'test/{index}',
      _ENCODER.blank,
  )


def _write(directory, records, split='train', features=None, num_shards=None):
  """Writes a dataset with TFDS's own writer and returns its folder."""
  download_config = tfds.download.DownloadConfig(num_shards=num_shards)
  builder = tfds.dataset_builders.store_as_tfds_dataset(
      name='test_replay',
      version='1.0.0',
      features=features or schema.atari_features(),
      split_datasets={split: list(enumerate(records))},
      data_dir=directory,
      disable_shuffling=True,
      download_config=download_config,
  )
  return builder.data_path


def test_episodes_load_as_rows(tmp_path):
  path = _write(
      tmp_path,
      [
          _record(0, 7, TERMINAL),
          _record(1, 4, TRUNCATED),
          _record(2, 5, LOG_END, complete_start=False),
      ],
  )
  dataset = loading.RldsDataset(path)
  assert (dataset.num_episodes, dataset.num_steps) == (3, 8 + 4 + 5)
  assert dataset.frame_shape == (84, 84)
  first, second, third = dataset.episodes(6)

  # A terminal episode of 7 actions: 8 rows, the last a made-up blank frame.
  np.testing.assert_array_equal(
      first.observation, np.concatenate([_frames(0, 7), np.zeros((1, 84, 84))])
  )
  assert first.action[:-1].tolist() == [0, 1, 2, 3, 4, 5, 0]
  np.testing.assert_allclose(
      first.reward[:-1], [0, -1 / 8, 2 / 8, -3 / 8, 4 / 8, -5 / 8, 6 / 8]
  )
  assert first.is_first.tolist() == [True] + [False] * 7
  assert first.is_last.tolist() == [False] * 7 + [True]
  assert first.is_terminal.tolist() == [False] * 7 + [True]
  assert first.is_padded.all()
  assert first.teacher_values.shape == (8, 6) and not first.teacher_values.any()

  # A truncated one of 4: its last frame is real, to bootstrap from.
  np.testing.assert_array_equal(second.observation, _frames(1, 4))
  assert second.action[:-1].tolist() == [0, 1, 2]
  assert second.is_last.tolist() == [False] * 3 + [True]
  assert not second.is_terminal.any()

  # One without its start: rows of it begin here, but with no zeros before.
  assert third.is_first.tolist() == [True] + [False] * 4
  assert not third.is_padded.any() and not third.is_terminal.any()


def test_rows_have_the_dtypes_of_the_store(tmp_path):
  dataset = loading.RldsDataset(_write(tmp_path, [_record(0, 5, TERMINAL)]))
  store = frame_store.FrameStore(6, (84, 84), 6, 4)
  (rows,) = dataset.episodes(6)
  store.extend(rows)
  for name, got, held in zip(rows._fields, rows, store.rows(0, 6), strict=True):
    assert (name, got.dtype, got.shape) == (name, held.dtype, held.shape)


def test_shards_are_read_one_after_the_other(tmp_path):
  path = _write(
      tmp_path, [_record(i, 2 + i % 3, TRUNCATED) for i in range(9)],
      num_shards=4,
  )
  assert len(list(path.glob('*.tfrecord*'))) == 4
  for _ in range(2):
    episodes = list(loading.RldsDataset(path).episodes(6))
    assert [len(rows.action) for rows in episodes] == [2, 3, 4] * 3
    for i, rows in enumerate(episodes):
      np.testing.assert_array_equal(rows.observation[0], _frames(i, 1)[0])


def _step_features(**changes):
  features = {
      'observation': tfds.features.Image(shape=(84, 84, 1), dtype=np.uint8),
      'action': np.int64,
      'reward': np.float32,
      'is_first': np.bool_,
      'is_last': np.bool_,
      'is_terminal': np.bool_,
  } | changes
  return {name: value for name, value in features.items() if value is not None}


def _features(**changes):
  return tfds.features.FeaturesDict(
      {'steps': tfds.features.Dataset(_step_features(**changes))}
  )


def _foreign(**changes):
  """An episode of 3 actions as someone else's program may have written it."""
  steps = {
      'observation': _frames(0, 4)[..., None],
      'action': [1, 0, 5, 0],
      'reward': [0.0, 1.0, -1.0, 0.0],
      'is_first': [True, False, False, False],
      'is_last': [False, False, False, True],
      'is_terminal': [False, False, False, True],
  } | changes
  return {
      'steps': {name: v for name, v in steps.items() if v is not None}
  }


def test_a_dataset_with_only_the_rlds_fields_is_whole(tmp_path):
  path = _write(tmp_path, [_foreign()], features=_features())
  (rows,) = loading.RldsDataset(path).episodes(6)
  assert rows.is_padded.all() and rows.is_terminal[-1]
  np.testing.assert_array_equal(rows.observation, _frames(0, 4))


@pytest.mark.parametrize(
    'changes, num_actions, message',
    [
        (
            {'action': [1, 0, 6, 0]},
            6,
            'the actions go from 0 to 6, but the environment has the actions 0'
            ' to 5. Is it a dataset of another game',
        ),
        ({}, 5, 'the actions go from 0 to 5, but .* 0 to 4'),
        ({'action': [-1, 0, 0, 0]}, 6, 'the actions go from -1 to 0'),
        ({'reward': [0.0, np.nan, 0.0, 0.0]}, 6, 'a reward is not finite'),
        ({'reward': [0.0, 0.0, -np.inf, 0.0]}, 6, 'a reward is not finite'),
        (
            {'is_last': [False] * 4},
            6,
            'is_last is not true of exactly the last step',
        ),
        (
            {'is_last': [False, True, False, True]},
            6,
            'is_last is not true of exactly the last step',
        ),
        (
            {'is_terminal': [False, True, False, True]},
            6,
            'is_terminal is true before the last step',
        ),
    ],
)
def test_a_bad_episode_is_named(tmp_path, changes, num_actions, message):
  path = _write(
      tmp_path, [_foreign(), _foreign(**changes)], features=_features()
  )
  dataset = loading.RldsDataset(path)
  with pytest.raises(ValueError, match=message) as error:
    list(dataset.episodes(num_actions))
  index = 0 if num_actions == 5 else 1
  assert str(error.value).startswith(f'{path}, episode {index}: ')


def test_what_a_last_step_holds_does_not_matter(tmp_path):
  # By RLDS its action and reward are void.
  episode = _foreign(action=[1, 0, 5, 99], reward=[0.0, 1.0, -1.0, np.nan])
  path = _write(tmp_path, [episode], features=_features())
  (rows,) = loading.RldsDataset(path).episodes(6)
  store = frame_store.FrameStore(4, (84, 84), 6, 4)
  store.extend(rows)
  batch = store.sample(32, 3, 0.9, 0, 0)
  assert np.isfinite(batch.reward).all() and set(batch.action) == {0, 1, 5}


@pytest.mark.parametrize('name', loading._STEP_FIELDS)
def test_a_missing_field_is_named(tmp_path, name):
  path = _write(
      tmp_path, [_foreign(**{name: None})], features=_features(**{name: None})
  )
  with pytest.raises(
      ValueError, match=rf"{path} lacks the step fields \['{name}'\]"
  ):
    loading.RldsDataset(path)


def test_another_split_is_not_enough(tmp_path):
  path = _write(tmp_path, [_foreign()], split='test', features=_features())
  with pytest.raises(ValueError, match="has no split 'train'"):
    loading.RldsDataset(path)


@pytest.mark.parametrize('shape', [(84, 84, 3), (84, 84, 4)])
def test_frames_must_be_single_and_grey(tmp_path, shape):
  image = tfds.features.Image(shape=shape, dtype=np.uint8)
  path = _write(
      tmp_path,
      [_foreign(observation=np.zeros((4, *shape), np.uint8))],
      features=_features(observation=image),
  )
  with pytest.raises(ValueError) as error:
    loading.RldsDataset(path)
  assert f'has observations of shape {shape}; expected' in str(error.value)


def _cut(path):
  path.write_bytes(path.read_bytes()[:-100])


def _cut_between_records(path):
  records = list(tfrecord.read(path))
  with open(path, 'wb') as file:
    for record in records[:-1]:
      tfrecord.write(file, record)


def _flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


@pytest.mark.parametrize(
    'damage', [pathlib.Path.unlink, _cut, _cut_between_records, _flip]
)
def test_a_damaged_shard_is_noticed_before_learning(tmp_path, damage):
  path = _write(
      tmp_path, [_record(i, 3, TERMINAL) for i in range(4)], num_shards=2
  )
  damage(sorted(pathlib.Path(path).glob('*.tfrecord*'))[1])
  with pytest.raises(
      ValueError, match=f'The dataset {path} is damaged: .* build it anew'
  ):
    loading.RldsDataset(path)


@pytest.mark.parametrize(
    'kind',
    ['no folder', 'empty folder', 'torn', 'no steps', 'steps without fields'],
)
def test_what_is_no_dataset_is_refused(tmp_path, kind):
  path = tmp_path / 'Pong_run_1' / '1.0.0'
  if kind == 'empty folder':
    path.mkdir(parents=True)
  elif kind == 'torn':
    path = _write(tmp_path, [_foreign()], features=_features())
    (path / 'dataset_info.json').write_text('{"name":')
  elif kind == 'no steps':
    path = _write(
        tmp_path, [{'label': 3}],
        features=tfds.features.FeaturesDict({'label': np.int64}),
    )
  elif kind == 'steps without fields':
    path = _write(
        tmp_path, [{'steps': 3}],
        features=tfds.features.FeaturesDict({'steps': np.int64}),
    )
  with pytest.raises(
      ValueError,
      match=f"{path} holds no RLDS dataset: expected .* feature 'steps'",
  ):
    loading.RldsDataset(path)
