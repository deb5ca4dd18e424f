"""Tests of verification: one kind of damage each, made to real files."""

import json
import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import verification
from rrl_pipeline.testing import small_datasets

FORMATS = (('tfrecord', 'png'), ('array_record', 'raw'))


@pytest.fixture(name='original', scope='module', params=FORMATS)
def fixture_original(request, tmp_path_factory):
  file_format, frame_encoding = request.param
  return small_datasets.convert(
      tmp_path_factory.mktemp('a'), small_datasets.episodes(),
      file_format=file_format, frame_encoding=frame_encoding,
  )


@pytest.fixture(name='path')
def fixture_path(original, tmp_path):
  path = tmp_path / 'copy'
  shutil.copytree(original.path, path)
  return path


def _damage(path, **options):
  return verification.damage(dataset_files.Dataset(path), **options)


def _shard(path):
  return next(path.glob('*-00001-of-00002'))


def _forget_checksums(path):
  (path / 'metadata.json').write_text('{}')


def _rewrite(path, change):
  """Writes the second shard again, its first record changed, checksums right."""
  dataset = dataset_files.Dataset(path)
  shard = dataset.shards[1]
  examples = [tf_example.parse(r) for r in dataset.records(shard)]
  change(examples[0].features.feature)
  with record_files.open_writer(
      dataset.shard_path(shard), dataset.file_format
  ) as writer:
    for example in examples:
      writer.write(example.SerializeToString(deterministic=True))


def test_intact(path):
  assert _damage(path) == []
  assert _damage(path, decode_frames=True) == []
  _forget_checksums(path)
  assert _damage(path) == []


def test_cut_file(path):
  shard = _shard(path)
  shard.write_bytes(shard.read_bytes()[:-5])
  found = _damage(path)
  assert str(shard) in found[0]
  assert 'copy or build the dataset anew' in found[0]


def test_flipped_bit(path):
  data = bytearray(_shard(path).read_bytes())
  data[len(data) // 3] ^= 8
  _shard(path).write_bytes(data)
  found = _damage(path)
  assert found and all(_shard(path).name in line for line in found)


def test_missing_file(path):
  name = _shard(path).name
  _shard(path).unlink()
  assert f'{name} is missing' in _damage(path)[0]


def test_lost_records(path):
  shutil.copy(next(path.glob('*-00000-of-00002')), _shard(path))
  _forget_checksums(path)
  assert 'holds 3 records; dataset_info.json says 2' in _damage(path)[0]


def test_other_records_that_have_valid_checksums_of_their_own(path):
  _rewrite(path, lambda feature: feature[
      f'{schema.STEPS}/{schema.REWARD}'].float_list.value.__setitem__(0, 9))
  (line,) = _damage(path)
  assert 'has the SHA-256' in line and 'the metadata of the conv' in line
  _forget_checksums(path)
  (line,) = _damage(path)
  assert 'record 0: its contents have the hash' in line


def test_other_frames(path):
  def change(feature):
    frames = feature[f'{schema.STEPS}/{schema.OBSERVATION}'].bytes_list.value
    frames[0], frames[1] = frames[1], frames[0]

  _rewrite(path, change)
  _forget_checksums(path)
  (line,) = _damage(path)
  assert 'record 0: its contents have the hash' in line


def test_frame_that_is_none(path):
  _rewrite(path, lambda feature: feature[
      f'{schema.STEPS}/{schema.OBSERVATION}'].bytes_list.value.__setitem__(
          1, b'none'))
  _forget_checksums(path)
  found = _damage(path)
  assert 'the observation of step 1 cannot be decoded' in found[0]


@pytest.mark.parametrize(
    'name, change, message',
    (
        (
            schema.IS_LAST,
            lambda column: column.__setitem__(-1, 0),
            'is_last is not true of exactly the last step',
        ),
        (
            schema.ACTION,
            lambda column: column.__delitem__(slice(1, None)),
            'is_last has 7 values, .*action 1,',
        ),
    ),
)
def test_record_that_is_no_episode(path, name, change, message):
  _rewrite(
      path,
      lambda feature: change(
          feature[f'{schema.STEPS}/{name}'].int64_list.value
      ),
  )
  _forget_checksums(path)
  assert re.search(message, _damage(path)[0])


def test_wrong_size(path):
  info = json.loads((path / 'dataset_info.json').read_text())
  info['splits'][0]['numBytes'] = '7'
  (path / 'dataset_info.json').write_text(json.dumps(info))
  (line,) = _damage(path)
  assert 'dataset_info.json says 7' in line


def test_stray_file(path):
  stray = _shard(path).with_name(_shard(path).name.replace('00002', '00009'))
  shutil.copy(_shard(path), stray)
  assert _damage(path) == [f'{stray.name} is no file of the dataset: remove it']


def test_statistics_of_another_dataset(path):
  (path / 'statistics.json').write_text(json.dumps({
      'format': 1, 'splits': {'train': {'episodes': 4, 'record_bytes': 0}},
  }))
  episodes, record_bytes = _damage(path)
  assert 'has 4 episodes; dataset_info.json says 5: make it anew' in episodes
  assert 'has 0 record_bytes' in record_bytes


def test_checksums_of_a_published_copy(path):
  files = verification.file_checksums(path)
  (path / 'checksums.json').write_text(json.dumps({'files': files}))
  assert _damage(path) == []
  (path / 'features.json').write_text(
      (path / 'features.json').read_text() + '\n'
  )
  (path / 'added').touch()
  assert [line.split(' ')[0] for line in _damage(path)] == [
      'added', 'features.json'
  ]


def test_checksums_leave_out_hidden_files(tmp_path):
  (tmp_path / 'card').mkdir()
  (tmp_path / 'card' / 'a').write_bytes(b'abc')
  (tmp_path / '.tmp-b').write_bytes(b'abc')
  assert verification.file_checksums(tmp_path) == {
      'card/a': {
          'size': 3,
          'sha256': (
              'ba7816bf8f01cfea414140de5dae2223'
              'b00361a396177a9cb410ff61f20015ad'
          ),
      }
  }


def test_tfds_agrees_on_the_frames(original):
  """The decoder of this module against TFDS's own."""
  dataset = dataset_files.Dataset(original.path)
  mine = [
      e.frames() for s in dataset.shards for e in dataset.episodes(s)
  ]
  builder = tfds.builder_from_directory(original.path)
  if dataset.file_format == 'tfrecord':
    theirs = [
        np.stack([step[schema.OBSERVATION] for step in e[schema.STEPS]])
        for e in tfds.as_numpy(builder.as_dataset(split='train'))
    ]
  else:
    theirs = [
        np.stack([step[schema.OBSERVATION] for step in e[schema.STEPS]])
        for e in builder.as_data_source(split='train')
    ]
  for a, b in zip(mine, theirs, strict=True):
    np.testing.assert_array_equal(a, b)
