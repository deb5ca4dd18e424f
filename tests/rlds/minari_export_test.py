"""RLDS datasets given to Minari, read by Minari, and taken back."""

import json
import os
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline import types
from rrl_pipeline.logs import minari_import
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recording
from rrl_pipeline.rlds import minari_export
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema

TERMINAL, TRUNCATED, LOG_END = types.EpisodeEnd
_ENCODER = png.PngEncoder(schema.ATARI_FRAME_SHAPE, png.ZLIB)


def _frames(seed: int, count: int) -> np.ndarray:
  return np.random.default_rng(seed).integers(
      0, 256, (count, *schema.ATARI_FRAME_SHAPE), np.uint8
  )


def _record(index, length, end):
  """An episode as the conversion writes it; action t is t % 6, reward t / 8."""
  t = np.arange(length)
  return schema.to_record(
      schema.EncodedEpisode(
          span=reader.EpisodeSpan(0, index, 10 * index, length, 3, end, True),
          frames=[_ENCODER.encode(frame) for frame in _frames(index, length)],
          actions=t % 6,
          rewards=(t / 8).astype(np.float32),
          checksums=np.zeros(length, np.uint32),
          is_blank=np.zeros(length, bool),
          content_sha256='',
      ),
      f'test/{index}',
      _ENCODER.blank,
  )


def _write(directory, records, features=None):
  return str(
      tfds.dataset_builders.store_as_tfds_dataset(
          name='test_replay',
          version='1.0.0',
          features=features or schema.atari_features(),
          split_datasets={'train': list(enumerate(records))},
          data_dir=directory,
          disable_shuffling=True,
      ).data_path
  )


@pytest.fixture(scope='module', name='dataset_dir')
def fixture_dataset_dir(tmp_path_factory):
  return _write(
      tmp_path_factory.mktemp('data'),
      [
          _record(0, 7, TERMINAL),
          _record(1, 4, TRUNCATED),
          _record(2, 2, LOG_END),
      ],
  )


@pytest.fixture(name='minari')
def fixture_minari(monkeypatch, tmp_path):
  monkeypatch.setenv('MINARI_DATASETS_PATH', str(tmp_path / 'minari'))
  return pytest.importorskip('minari', reason='the extra minari is missing')


def _export(dataset_dir, dataset='pong/teacher-v0', num_actions=6, **options):
  return minari_export.export_dataset(
      minari_export.ExportConfig(dataset_dir, dataset, num_actions, **options)
  )


@pytest.mark.parametrize('data_format', minari_export.DATA_FORMATS)
def test_minari_reads_what_the_dataset_holds(
    minari, tmp_path, dataset_dir, data_format
):
  exported = _export(dataset_dir, data_format=data_format)
  assert (exported.episodes, exported.steps) == (3, 7 + 3 + 1)
  assert exported.path == str(tmp_path / 'minari' / 'pong' / 'teacher-v0')
  assert list(minari.list_local_datasets()) == ['pong/teacher-v0']
  dataset = minari.load_dataset('pong/teacher-v0')
  assert dataset.total_steps == 11
  assert dataset.observation_space.shape == (1, 84, 84)
  assert dataset.action_space.n == 6
  # A terminal episode: all its 7 steps, and the made-up frame after the last.
  # The others: as many as have a frame after them.
  for episode, (seed, frames, steps) in zip(
      dataset, [(0, 7, 7), (1, 4, 3), (2, 2, 1)], strict=True
  ):
    wanted = _frames(seed, frames)[:, np.newaxis]
    if seed == 0:
      wanted = np.concatenate([wanted, np.zeros((1, 1, 84, 84), np.uint8)])
    assert episode.observations.dtype == np.uint8
    np.testing.assert_array_equal(episode.observations, wanted)
    assert all(map(dataset.observation_space.contains, episode.observations))
    np.testing.assert_array_equal(episode.actions, np.arange(steps) % 6)
    np.testing.assert_array_equal(episode.rewards, np.arange(steps) / 8)
    assert episode.rewards.dtype == np.float32
    ends = [False] * (steps - 1) + [True]
    assert episode.terminations.tolist() == (
        ends if seed == 0 else [False] * steps
    )
    assert episode.truncations.tolist() == (
        [False] * steps if seed == 0 else ends
    )
  metadata = list(dataset.storage.get_episode_metadata(range(3)))
  assert [m[schema.END_KIND] for m in metadata] == [
      'terminal', 'truncated', 'log_end',
  ]
  assert [m[schema.UID] for m in metadata] == ['test/0', 'test/1', 'test/2']
  assert json.loads(dataset.storage.metadata['rlds_metadata']) == {}


def test_what_is_exported_can_be_imported(minari, tmp_path, dataset_dir):
  del minari
  _export(dataset_dir)
  directory = str(tmp_path / 'recording')
  minari_import.import_dataset(
      minari_import.ImportConfig('pong/teacher-v0', directory)
  )
  log_reader = recording.RecordingReader(recording.RecordingConfig(directory))
  index = log_reader.index()
  assert index.frame_shape == schema.ATARI_FRAME_SHAPE
  assert [span.end for span in index.spans] == [TERMINAL, TRUNCATED, TRUNCATED]
  for stream, length in zip(log_reader.read(index.spans), (7, 3, 1)):
    np.testing.assert_array_equal(stream.actions, np.arange(length) % 6)
    np.testing.assert_array_equal(stream.rewards, np.arange(length) / 8)
    frames = np.concatenate(list(stream.frames))
    assert len(frames) == length + 1
    seed = stream.span.episode_id
    np.testing.assert_array_equal(
        frames[:length], _frames(seed, (7, 4, 2)[seed])[:length]
    )
  loss, = index.losses
  assert loss.startswith('the last observation of 1 episodes')


def test_vectors_stay_as_they_are(minari, tmp_path):
  features = tfds.features.FeaturesDict({
      schema.STEPS: tfds.features.Dataset({
          schema.OBSERVATION: tfds.features.Tensor(
              shape=(5,), dtype=np.float32
          ),
          schema.ACTION: tfds.features.Scalar(np.int64),
          schema.REWARD: tfds.features.Scalar(np.float32),
          schema.IS_LAST: tfds.features.Scalar(np.bool_),
          schema.IS_TERMINAL: tfds.features.Scalar(np.bool_),
      })
  })
  observations = np.random.default_rng(0).normal(size=(4, 5))
  record = {
      schema.STEPS: [
          {
              schema.OBSERVATION: observations[t].astype(np.float32),
              schema.ACTION: t % 3,
              schema.REWARD: float(t),
              schema.IS_LAST: t == 3,
              schema.IS_TERMINAL: False,
          }
          for t in range(4)
      ]
  }
  path = _write(tmp_path / 'data', [record], features)
  _export(path, 'a-v1', num_actions=3, data_format='hdf5')
  episode, = minari.load_dataset('a-v1')
  np.testing.assert_array_equal(
      episode.observations, observations.astype(np.float32)
  )
  assert episode.truncations.tolist() == [False, False, True]


def test_a_part_can_be_exported(minari, dataset_dir):
  assert _export(dataset_dir, split='train[1:2]').episodes == 1
  episode, = minari.load_dataset('pong/teacher-v0')
  np.testing.assert_array_equal(episode.observations[:, 0], _frames(1, 4))


def test_an_existing_dataset_is_not_replaced(minari, dataset_dir):
  del minari
  path = _export(dataset_dir).path
  before = sorted(os.listdir(os.path.join(path, 'data')))
  with pytest.raises(ValueError, match='there is a Minari dataset pong/teach'):
    _export(dataset_dir)
  assert sorted(os.listdir(os.path.join(path, 'data'))) == before


def test_nothing_is_published_before_it_is_checked(
    minari, tmp_path, dataset_dir, monkeypatch
):
  """As if Minari had changed a pixel."""
  read = minari.MinariDataset.iterate_episodes

  def read_other(self, *args):
    for episode in read(self, *args):
      if episode.id == 1:
        episode.observations[2, 0, 3, 3] ^= 1
      yield episode

  with monkeypatch.context() as patch:
    patch.setattr(minari.MinariDataset, 'iterate_episodes', read_other)
    with pytest.raises(
        minari_export.MismatchError, match='reads episode 1 of pong/teacher-v0'
    ):
      _export(dataset_dir)
  assert not minari.list_local_datasets()
  # What is left of it is no obstacle.
  assert _export(dataset_dir).episodes == 3
  assert os.listdir(tmp_path / 'minari' / 'pong') != []
  assert not list((tmp_path / 'minari' / 'pong').glob('.*'))


def test_errors_of_the_user_are_one_line(minari, tmp_path, dataset_dir):
  del minari
  with pytest.raises(ValueError, match='holds no RLDS dataset: expected a TF'):
    _export(str(tmp_path))
  with pytest.raises(ValueError, match="no split 'test'; it has train, and"):
    _export(dataset_dir, split='test')
  with pytest.raises(
      ValueError, match='episode 0 of .*: the actions go from 0 to 5, but num_a'
  ):
    _export(dataset_dir, num_actions=5)


def test_episodes_without_an_action_are_left_out(minari, tmp_path):
  path = _write(
      tmp_path / 'data', [_record(0, 1, LOG_END), _record(1, 4, TRUNCATED)]
  )
  exported = _export(path)
  assert (exported.episodes, exported.steps, exported.left_out) == (1, 3, 1)
  episode, = minari.load_dataset('pong/teacher-v0')
  np.testing.assert_array_equal(episode.observations[:, 0], _frames(1, 4))
  path = _write(tmp_path / 'other', [_record(0, 1, LOG_END)])
  with pytest.raises(ValueError, match='holds no episode with an action'):
    _export(path, 'pong/other-v0')


def test_a_damaged_dataset_is_named(minari, tmp_path):
  path = _write(tmp_path / 'data', [_record(0, 4, TRUNCATED)])
  shard, = tmp_path.glob('data/**/*.tfrecord*')
  data = bytearray(shard.read_bytes())
  data[len(data) // 2] ^= 1
  shard.write_bytes(data)
  with pytest.raises(ValueError, match='1.0.0 is damaged: corrupted record'):
    _export(path)
  assert not minari.list_local_datasets()


@pytest.mark.parametrize(
    'options,message',
    [
        ({'dataset': 'pong'}, "is 'pong'; expected a name with a version"),
        ({'dataset': '../a-v0'}, r"is '\.\./a-v0'"),
        ({'num_actions': 0}, 'num_actions is 0'),
        ({'data_format': 'zarr'}, "'zarr'; expected one of parquet, hdf5, arr"),
    ],
)
def test_impossible_options_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    minari_export.ExportConfig(
        **{'dataset_dir': 'd', 'dataset': 'a-v0', 'num_actions': 6, **options}
    )


def test_without_minari_one_line_says_what_to_install(monkeypatch, dataset_dir):
  monkeypatch.setitem(sys.modules, 'minari', None)
  with pytest.raises(ValueError, match='pip install'):
    _export(dataset_dir)
