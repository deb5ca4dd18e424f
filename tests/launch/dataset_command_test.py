"""Tests of rrl-dataset on real datasets, by what it prints."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from rrl_pipeline.launch import dataset_command
from rrl_pipeline.testing import small_datasets

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(name='original', scope='module')
def fixture_original(tmp_path_factory):
  return small_datasets.convert(
      tmp_path_factory.mktemp('a'), small_datasets.episodes()
  )


@pytest.fixture(name='copy')
def fixture_copy(original, tmp_path):
  path = tmp_path / 'copy'
  shutil.copytree(original.path, path)
  return path


def _run(capsys, *args):
  code = dataset_command.main([str(arg) for arg in args])
  captured = capsys.readouterr()
  return code, captured.out, captured.err


def test_describe(original, capsys):
  code, text, _ = _run(capsys, 'describe', original.path)
  assert code == 0
  assert text.startswith(
      'atari_replay/Pong_run_1/1.1.0, tfrecord, licence: not given\n'
  )
  for line in (
      '  train: 5 episodes in 2 files, ',
      '  log format: dopamine\n',
      '  transitions: 30\n',
      '  not in the log: The observation after the last action of an episode',
  ):
    assert line in text
  (field,) = [
      line for line in text.splitlines() if line.startswith('  steps/obs')
  ]
  assert field.split() == [
      'steps/observation', 'uint8', '84×84×1', 'png',
      'Frame', 'before', 'the', 'action.',
  ]


def test_describe_traces_a_derived_dataset_to_its_log(copy, capsys):
  metadata = json.loads((copy / 'metadata.json').read_text())
  derived = {
      'job': 'rewrite', 'sources': {'version': '1.1.0'}, 'options': {},
      'source': {'path': 'DATA/old', **metadata},
  }
  (copy / 'metadata.json').write_text(
      json.dumps({'conversion': derived, 'teacher': {'sha256': 'abc'}})
  )
  _, text, _ = _run(capsys, 'describe', copy)
  for line in (
      '  made by the job rewrite from DATA/old\n',
      '  log format: dopamine\n',
      '  log files: 6, ',
      "  teacher: {'sha256': 'abc'}\n",
  ):
    assert line in text


def test_head_shows_the_first_steps(original, capsys):
  code, text, _ = _run(capsys, 'head', original.path, '-n', 3, '--episode=2')
  assert code == 0
  header, *rows = [
      [cell.strip() for cell in line.strip().split('  ') if cell.strip()]
      for line in text.splitlines()
  ]
  logged = small_datasets.episodes()[2]
  assert len(rows) == 3
  for t, row in enumerate(rows):
    step = dict(zip(header, row, strict=True))
    frame = logged.observations[t]
    assert step == {
        'step': str(t),
        'observation': (
            f'84×84×1 {frame.min()}…{frame.max()}, mean {frame.mean():.1f}'
        ),
        'action': str(logged.actions[t]),
        'reward': str(logged.rewards[t]),
        'discount': '1.0',
        'is_first': str(t == 0),
        'is_last': 'False',
        'is_terminal': 'False',
    }


def test_head_is_no_longer_than_the_episode(original, capsys):
  _, text, _ = _run(capsys, 'head', original.path, '-n', 99)
  assert len(text.splitlines()) == 1 + 7


def test_episode_and_its_film(original, tmp_path, capsys):
  path = tmp_path / 'film.gif'
  code, text, _ = _run(capsys, 'episode', original.path, 1, '--gif', path)
  assert code == 0
  values = dict(line.split(maxsplit=1) for line in text.splitlines()[:-2])
  assert values['uid'] == 'atari_replay/Pong_run_1/00/000001'
  assert values['end_kind'] == 'truncated'
  assert values['complete_start'] == 'True'
  assert text.endswith(f'written: {path}\n')
  film = Image.open(path)
  assert film.n_frames == 5
  film.seek(4)
  np.testing.assert_array_equal(
      film.convert('L'), small_datasets.episodes()[1].observations[4]
  )


@pytest.mark.parametrize(
    'args, message',
    (
        (['episode', 5], 'there is no episode 5 in split .* expected 0 to 4'),
        (['episode', 0, '--split=test'], "no split 'test'; it has train"),
        (['head', '-n', 0], '--steps is 0; expected at least 1'),
    ),
)
def test_what_is_not_there(original, capsys, args, message):
  command, *rest = args
  code, _, error = _run(capsys, command, original.path, *rest)
  assert code == 2
  assert re.fullmatch(f'error: .*{message}.*\n', error)


def test_verify(copy, capsys):
  code, text, _ = _run(capsys, 'verify', copy, '--frames')
  assert code == 0
  assert text.endswith('intact: 5 episodes of atari_replay/Pong_run_1/1.1.0\n')
  assert 'to publish it: no licence is given' in text
  shard = next(copy.glob('*-00000-of-00002'))
  shard.write_bytes(shard.read_bytes()[:-1])
  code, text, _ = _run(capsys, 'verify', copy)
  assert code == 1
  assert f'damaged: {shard} was cut' in text


def test_same_datasets_have_no_difference(original, copy, capsys):
  assert _run(capsys, 'diff', original.path, copy)[:2] == (
      0, '5 episodes are the same, 0 changed, 0 only in A, 0 only in B\n'
  )


def test_same_episodes_in_other_files(original, tmp_path, capsys):
  """Other shards, another file format, and frames stored raw."""
  other = small_datasets.convert(
      tmp_path, small_datasets.episodes(), num_shards=3, run=4,
      file_format='array_record', frame_encoding='raw',
  )
  code, text, _ = _run(capsys, 'diff', original.path, other.path)
  assert code == 1
  assert text.splitlines() == [
      'steps/observation is uint8 [84, 84, 1] stored as png in A, '
      'uint8 [84, 84, 1] stored as bytes in B',
      '5 episodes are the same, 0 changed, 0 only in A, 0 only in B',
  ]


def test_differing_episodes_are_named(original, tmp_path, capsys):
  episodes = small_datasets.episodes()
  episodes[2].observations[3, 5, 0] ^= 1  # One pixel.
  other = small_datasets.convert(tmp_path, episodes[:4])
  code, text, _ = _run(capsys, 'diff', original.path, other.path)
  assert code == 1
  assert text.splitlines() == [
      'only in A: checkpoint 0, episode 4',
      'changed: checkpoint 0, episode 2',
      '3 episodes are the same, 1 changed, 1 only in A, 0 only in B',
  ]
  text = _run(capsys, 'diff', other.path, original.path)[1]
  assert 'only in B: checkpoint 0, episode 4' in text


def test_added_fields_are_named(original, copy, capsys):
  features = json.loads((copy / 'features.json').read_text())
  del features['featuresDict']['features']['uid']
  (copy / 'features.json').write_text(json.dumps(features))
  text = _run(capsys, 'diff', original.path, copy)[1]
  assert text.splitlines()[0] == 'only A has the field uid'


def test_folder_without_a_dataset(tmp_path, capsys):
  code, _, error = _run(capsys, 'describe', tmp_path / 'nothing')
  assert code == 2
  assert error.startswith(f'error: {tmp_path}/nothing holds no dataset: ')


def test_help_imports_nothing_slow():
  program = (
      'import sys\n'
      'from rrl_pipeline.launch import dataset_command\n'
      'try:\n'
      "  dataset_command.main(['--help'])\n"
      'except SystemExit:\n'
      "  slow = {'numpy', 'tensorflow', 'tensorflow_datasets'}\n"
      '  assert not slow & set(sys.modules)\n'
  )
  result = subprocess.run(
      [sys.executable, '-c', program], cwd=ROOT, capture_output=True,
      text=True, check=True,
  )
  for name in ('describe', 'head', 'episode', 'verify', 'diff'):
    assert f'    {name} ' in result.stdout


@pytest.mark.parametrize('command', ('describe', 'head', 'verify --frames'))
def test_tensorflow_is_not_needed(original, command):
  name, *flags = command.split()
  program = (
      'import sys\n'
      'from rrl_pipeline.launch import dataset_command\n'
      f'assert not dataset_command.main({[name, original.path, *flags]})\n'
      "assert 'tensorflow' not in sys.modules\n"
  )
  subprocess.run(
      [sys.executable, '-c', program], cwd=ROOT, capture_output=True, check=True
  )
