"""Tests of publishing: real files, a local folder, and one like a bucket.

TensorFlow's file system ram:// has, like gs://, no rename of a folder in one
step; it stands for a bucket here.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import compute_statistics
from rrl_pipeline.datasets import publish
from rrl_pipeline.datasets import storage
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.testing import small_datasets

ROOT = pathlib.Path(__file__).parents[2]
NAME = 'atari_replay/Pong_run_1/1.1.0'


@pytest.fixture(name='original', scope='module')
def fixture_original(tmp_path_factory):
  """A dataset with all that publication needs."""
  dataset = small_datasets.convert(
      tmp_path_factory.mktemp('dataset'), small_datasets.episodes()
  )
  _complete(dataset.path)
  return pathlib.Path(dataset.path)


def _complete(path):
  compute_statistics.compute(
      compute_statistics.ComputeStatisticsConfig(str(path), license='CC-BY-4.0')
  )


@pytest.fixture(name='source')
def fixture_source(original, tmp_path):
  source = tmp_path / 'source' / NAME
  shutil.copytree(original, source)
  return source


@pytest.fixture(name='root', params=('local', 'bucket'))
def fixture_root(request, tmp_path):
  if request.param == 'local':
    return str(tmp_path / 'published')
  return f'ram://{uuid.uuid4().hex}/published'


def _shard(path):
  return next(path.glob('*.tfrecord-00001-of-00002'))


def _index(root):
  return json.loads(storage.read(f'{root}/index.json'))


def test_published_copy_is_complete_and_verified(source, root):
  assert publish.publish(str(source), root) == f'{root}/{NAME}'
  for path in source.rglob('*'):
    if path.is_file():
      copy = f'{root}/{NAME}/{path.relative_to(source)}'
      assert storage.read(copy) == path.read_bytes()
  assert publish.verify(root) == []
  (entry,) = _index(root)['datasets']
  assert (entry['path'], entry['license']) == (NAME, 'CC-BY-4.0')
  assert (entry['episodes'], entry['steps']) == (5, 33)
  page = storage.read(f'{root}/index.html').decode()
  assert f'href="{NAME}/card/index.html"' in page
  assert f'src="{NAME}/card/frames.png"' in page
  assert storage.exists(f'{root}/{entry["card"]}')
  assert storage.exists(f'{root}/{entry["picture"]}')


def test_loads_by_name_from_where_it_is_published(source, tmp_path):
  root = tmp_path / 'published'
  publish.publish(str(source), str(root))
  program = (
      'import tensorflow_datasets as tfds\n'
      "dataset = tfds.load('atari_replay/Pong_run_1', split='train')\n"
      f"print([e['{schema.UID}'].numpy().decode()[-1] for e in dataset])"
  )
  result = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True,
      check=True, cwd=tmp_path, env={**os.environ, 'TFDS_DATA_DIR': str(root)},
  )
  assert result.stdout.strip() == "['0', '1', '2', '3', '4']"


def test_loads_from_a_bucket(source):
  root = f'ram://{uuid.uuid4().hex}/published'
  publish.publish(str(source), root)
  # epath, which TFDS finds data_dir with, does not know ram://.
  records = tf.data.TFRecordDataset(
      tf.io.gfile.glob(f'{root}/{NAME}/*.tfrecord-*')
  )
  assert len(list(records)) == 5


def test_same_again_changes_nothing(source, root):
  publish.publish(str(source), root)
  before = storage.checksums(root)
  publish.publish(str(source), root)
  assert storage.checksums(root) == before


def test_published_version_is_not_overwritten(source, root):
  publish.publish(str(source), root)
  before = storage.checksums(root)
  (source / 'NOTES').write_text('new')
  with pytest.raises(
      publish.PublicationError,
      match='is published already, and differs: NOTES was not published. A pub',
  ):
    publish.publish(str(source), root)
  assert storage.checksums(root) == before


def test_dataset_that_was_put_there_otherwise_is_not_overwritten(
    source, tmp_path
):
  root = tmp_path / 'published'
  shutil.copytree(source, root / NAME)
  with pytest.raises(publish.PublicationError, match='by other means'):
    publish.publish(str(source), str(root))


@pytest.mark.parametrize('files_copied', (0, 1, 4, 15, 17))
def test_interrupted_copy_is_unseen_and_goes_on(
    source, root, files_copied, monkeypatch
):
  copied = []
  copy = storage.copy

  def interrupt(file, target):
    if len(copied) == files_copied:
      # As a kill in the middle of a file leaves it.
      tf.io.gfile.makedirs(os.path.dirname(target))
      with tf.io.gfile.GFile(target, 'wb') as half:
        half.write(pathlib.Path(file).read_bytes()[:-1])
      raise KeyboardInterrupt
    copied.append(os.path.basename(file))
    copy(file, target)

  monkeypatch.setattr(storage, 'copy', interrupt)
  with pytest.raises(KeyboardInterrupt):
    publish.publish(str(source), root)
  monkeypatch.setattr(storage, 'copy', copy)
  # Whatever is there is none of TFDS's, nor of the catalogue's.
  assert not storage.exists(f'{root}/{NAME}/dataset_info.json')
  assert publish.catalogue.published(root) == []
  again = []
  monkeypatch.setattr(
      storage, 'copy',
      lambda file, target: (again.append(os.path.basename(file)),
                            copy(file, target)),
  )
  publish.publish(str(source), root)
  assert publish.verify(root) == []
  names = [path.name for path in source.rglob('*') if path.is_file()]
  # The last file is written, not copied, for it must appear whole.
  assert sorted([*copied, *again, 'dataset_info.json']) == sorted(names)


def test_local_copy_that_was_interrupted_is_invisible_to_tfds(
    source, tmp_path, monkeypatch
):
  root = tmp_path / 'published'

  def interrupt(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(storage, 'rename', interrupt)
  with pytest.raises(KeyboardInterrupt):
    publish.publish(str(source), str(root))
  with pytest.raises(tfds.core.DatasetNotFoundError):
    tfds.core.load.read_only_builder.builder_from_files(
        'atari_replay', config='Pong_run_1', data_dir=root
    )
  monkeypatch.undo()
  publish.publish(str(source), str(root))
  assert os.listdir(root / 'atari_replay' / 'Pong_run_1') == ['1.1.0']


def test_files_of_an_older_attempt_do_not_stay(source, root, monkeypatch):
  def interrupt(*_):
    raise KeyboardInterrupt

  (source / 'card' / 'old.png').write_bytes(b'old')
  monkeypatch.setattr(publish.catalogue, 'update', interrupt)
  monkeypatch.setattr(storage, 'rename', interrupt)
  monkeypatch.setattr(
      storage, 'write',
      lambda path, data: interrupt() if 'features' in path else None,
  )
  copy = storage.copy
  monkeypatch.setattr(
      storage, 'copy',
      lambda file, path: interrupt() if 'features' in file else copy(
          file, path),
  )
  with pytest.raises(KeyboardInterrupt):
    publish.publish(str(source), root)
  monkeypatch.undo()
  (source / 'card' / 'old.png').unlink()
  publish.publish(str(source), root)
  assert not storage.exists(f'{root}/{NAME}/card/old.png')
  assert publish.verify(root) == []


def test_two_datasets_in_one_catalogue(source, root, tmp_path):
  """Another version of the same dataset, and another configuration."""
  newer = tmp_path / 'source' / 'atari_replay' / 'Pong_run_1' / '1.10.0'
  shutil.copytree(source, newer)
  info = json.loads((newer / 'dataset_info.json').read_text())
  info['version'] = '1.10.0'
  (newer / 'dataset_info.json').write_text(json.dumps(info))
  other = small_datasets.convert(
      tmp_path / 'other', small_datasets.episodes(1), run=2
  )
  _complete(other.path)
  for path in (newer, other.path, source):
    publish.publish(str(path), root)
  assert [entry['path'] for entry in _index(root)['datasets']] == [
      NAME,
      'atari_replay/Pong_run_1/1.10.0',
      'atari_replay/Pong_run_2/1.1.0',
  ]
  assert publish.verify(root) == []
  if storage.is_local(root):
    builder = tfds.builder('atari_replay/Pong_run_1', data_dir=root)
    assert builder.info.splits['train'].num_examples == 5


@pytest.mark.parametrize(
    'harm, message',
    (
        (lambda s: _shard(s).write_bytes(
            _shard(s).read_bytes()[:-3]), 'was cut'),
        (lambda s: _flip(_shard(s)), 'the checksum of a record is wrong'),
        (lambda s: _shard(s).unlink(), '00001-of-00002 is missing'),
        (lambda s: shutil.copy(_shard(s), s / 'atari_replay-train.tfrecord-0'),
         'is no file of the dataset: remove it'),
        (lambda s: shutil.copy(
            next(s.glob('*-00000-of-00002')), _shard(s)),
         'holds 3 records; dataset_info.json says 2'),
        (lambda s: (s / 'card' / 'README.md').unlink(),
         'there is no card/README.md'),
        (lambda s: (s / 'statistics.json').unlink(),
         'there is no statistics.json'),
    ),
)
def test_what_is_not_fit_is_not_published(source, tmp_path, harm, message):
  root = tmp_path / 'published'
  harm(source)
  with pytest.raises(ValueError, match=message):
    publish.publish(str(source), str(root))
  assert not root.exists()


def test_dataset_without_a_licence_is_not_published(source, tmp_path):
  path = source / 'dataset_info.json'
  info = json.loads(path.read_text())
  del info['redistributionInfo']
  path.write_text(json.dumps(info))
  with pytest.raises(
      publish.PublicationError, match='no licence is given: .* --license=NAME'
  ):
    publish.publish(str(source), str(tmp_path / 'published'))


def _flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def test_later_damage_is_found(source, root):
  publish.publish(str(source), root)
  shard = f'{NAME}/{_shard(source).name}'
  data = bytearray(storage.read(f'{root}/{shard}'))
  data[100] ^= 1
  storage.write(f'{root}/{shard}', bytes(data))
  storage.remove(f'{root}/{NAME}/card/README.md')
  storage.write(f'{root}/{NAME}/extra', b'')
  lines = publish.verify(root)
  assert len(lines) == 3
  assert lines[0].startswith(f'{NAME}: {_shard(source).name} has ')
  assert lines[1:] == [
      f'{NAME}: card/README.md is missing', f'{NAME}: extra was not published'
  ]


def test_dataset_that_went_is_found(source, root):
  publish.publish(str(source), root)
  storage.remove(f'{root}/{NAME}/dataset_info.json')
  assert publish.verify(root) == [
      f'{NAME}: the catalogue lists it, but it is not there'
  ]


def test_catalogue_that_lags_behind_is_found_and_mended(source, root):
  publish.publish(str(source), root)
  index = _index(root)
  storage.write(
      f'{root}/index.json', json.dumps({**index, 'datasets': []}).encode()
  )
  assert publish.verify(root) == [f'{NAME}: it is not in the catalogue']
  publish.publish(str(source), root)
  assert publish.verify(root) == []
  assert _index(root) == index


def test_program(source, tmp_path, capsys):
  root = tmp_path / 'published'
  flags = [f'--to={root}', '--verify']
  assert publish.main([f'--from={source}', *flags]) == 0
  assert capsys.readouterr().out == (
      f'published: {root}/{NAME}\nverified: {root}\n'
  )
  _flip(_shard(root / NAME))
  assert publish.main(flags) == 1
  assert '1 files or datasets are not as published' in capsys.readouterr().err


def test_program_needs_something_to_do(capsys):
  with pytest.raises(SystemExit):
    publish.main(['--to=there'])
  assert 'give --from, --verify or both' in capsys.readouterr().err


def test_program_starts_as_a_file():
  subprocess.run(
      [sys.executable, str(ROOT / 'datasets' / 'publish.py'), '--help'],
      check=True, capture_output=True,
      env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )


def test_storage_that_is_not_there(source, tmp_path):
  with pytest.raises(
      storage.StorageError, match='no file system for s3://bucket.*s3:// needs'
  ):
    publish.publish(str(source), 's3://bucket')
  with pytest.raises(publish.PublicationError, match='nothing has been publ'):
    publish.verify(str(tmp_path))


def test_folder_that_is_no_dataset(tmp_path):
  with pytest.raises(dataset_files.DatasetError, match='holds no dataset'):
    publish.publish(str(tmp_path), str(tmp_path / 'published'))
