"""Tests of the TFDS dataset: found by name, and built by TFDS itself."""

import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.datasets import atari_replay
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import tfrecord
from rrl_pipeline.rlds import validation

ROOT = pathlib.Path(__file__).parents[2]
LOG = ROOT / 'tests' / 'testdata' / 'dopamine' / 'wrapped' / 'checkpoints'


@pytest.fixture(name='data_dir', scope='module')
def fixture_data_dir(tmp_path_factory):
  """A folder with Pong_run_7, converted by the Beam job."""
  data_dir = tmp_path_factory.mktemp('data')
  build_rlds.convert(
      build_rlds.BuildRldsConfig(
          str(LOG), str(data_dir), run=7, num_shards=3
      )
  )
  return data_dir


def _records(version_dir):
  return [
      tf_example.parse(record)
      for path in sorted(version_dir.glob('*.tfrecord-*'))
      for record in tfrecord.read(str(path))
  ]


def test_loads_by_name_with_the_package(data_dir):
  dataset, info = tfds.load(
      'atari_replay/Pong_run_7', data_dir=data_dir, split='train',
      with_info=True,
  )
  assert info.full_name == 'atari_replay/Pong_run_7/1.1.0'
  assert info.splits['train'].num_examples == 12
  assert [
      episode[schema.UID].numpy().decode() for episode in dataset
  ] == [f'atari_replay/Pong_run_7/02/{i:06d}' for i in range(12)]


def test_loads_by_name_without_the_package(data_dir):
  program = f'''
import sys
import tensorflow_datasets as tfds
dataset = tfds.load(
    'atari_replay/Pong_run_7', data_dir={str(data_dir)!r}, split='train')
steps = next(iter(dataset))['steps']
print(len(dataset), next(iter(steps))['observation'].shape)
assert not any(name.startswith('rrl_pipeline') for name in sys.modules)
'''
  result = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True,
      check=True, cwd=data_dir,
  )
  assert result.stdout.strip() == '12 (84, 84, 1)'


def test_slices_keep_the_order(data_dir):
  builder = tfds.builder('atari_replay/Pong_run_7', data_dir=data_dir)
  dataset = builder.as_dataset(split='train[4:7]')
  assert [int(episode[schema.EPISODE_ID]) for episode in dataset] == [4, 5, 6]


def test_tfds_builds_equal_records(data_dir, tmp_path):
  builder = atari_replay.Builder(config='Pong_run_7', data_dir=tmp_path)
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          manual_dir=LOG, try_download_gcs=False
      )
  )
  ours = data_dir / 'atari_replay' / 'Pong_run_7' / '1.1.0'
  theirs = tmp_path / 'atari_replay' / 'Pong_run_7' / '1.1.0'
  assert _records(theirs) == _records(ours)
  assert (theirs / 'features.json').read_bytes() == (
      ours / 'features.json'
  ).read_bytes()


def test_tfds_command_builds_the_folder(tmp_path):
  subprocess.run(
      [
          sys.executable, '-m', 'tensorflow_datasets.scripts.cli.main',
          'build', str(ROOT / 'datasets' / 'atari_replay'),
          '--config=SpaceInvaders_run_2', f'--manual_dir={LOG}',
          f'--data_dir={tmp_path}',
      ],
      check=True, capture_output=True, env={**os.environ, 'PYTHONPATH': ROOT},
  )
  version_dir = tmp_path / 'atari_replay' / 'SpaceInvaders_run_2' / '1.1.0'
  assert len(_records(version_dir)) == 12


def test_broken_episode_stops_tfds(tmp_path, monkeypatch):
  monkeypatch.setattr(validation, 'violations', lambda *_: {'rule': 'broken'})
  builder = atari_replay.Builder(config='Pong_run_7', data_dir=tmp_path)
  with pytest.raises(ValueError, match=r'checkpoint 2, episode 0 \(adds 9262'):
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=LOG, try_download_gcs=False
        )
    )


@pytest.mark.parametrize('name', ['Asterix_run_1', 'MsPacman_run_12'])
def test_any_game_and_run(name, tmp_path):
  builder = atari_replay.Builder(config=name, data_dir=tmp_path)
  assert builder.builder_config.name == name
  assert builder.info.full_name == f'atari_replay/{name}/1.1.0'


def test_name_of_another_kind(tmp_path):
  with pytest.raises(ValueError, match='BuilderConfig pong not found'):
    atari_replay.Builder(config='pong', data_dir=tmp_path)


def test_card(tmp_path):
  info = atari_replay.Builder(config='Pong_run_1', data_dir=tmp_path).info
  assert 'as episodes in the RLDS' in info.description
  assert 'Reincarnating Reinforcement Learning' in info.citation
  metadata = atari_replay.Builder.get_metadata()
  assert 'ml.task.reinforcement-learning' in metadata.tags
