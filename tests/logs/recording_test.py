"""What the reader of recordings says about damaged and incomplete ones."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import tempfile
import zipfile

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import episode_archive
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording
from rrl_pipeline.logs import recording_files as files

_LENGTHS = (5, 3, 7)
_NAMES = tuple(files.episode_name(0, n) for n in range(len(_LENGTHS)))
_DESCRIPTION = files.Description(
    files.Array((2, 3), 'uint8'),
    files.Array((), 'int32'),
    files.Array((), 'float32'),
    {'environment': {'game': 'Pong', 'sticky_actions': 0.25}},
)


def _episode(number: int) -> recorder.RecordedEpisode:
  length = _LENGTHS[number]
  rng = np.random.default_rng(number)
  return recorder.RecordedEpisode(
      rng.integers(0, 256, (length + 1, 2, 3), np.uint8),
      rng.integers(0, 6, length).astype(np.int32),
      rng.normal(size=length).astype(np.float32),
      np.ones(length, np.float32),
  )


@pytest.fixture(scope='module', name='recorded')
def fixture_recorded(tmp_path_factory):
  directory = tmp_path_factory.mktemp('recorded')
  with recorder.RecordingWriter(str(directory), _DESCRIPTION) as writer:
    for number in range(len(_LENGTHS)):
      writer.write(_episode(number))
  return directory


@pytest.fixture(name='directory')
def fixture_directory(recorded, tmp_path):
  shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
  return tmp_path


def _reader(directory, checkpoints='all'):
  return recording.RecordingReader(
      recording.RecordingConfig(str(directory), checkpoints)
  )


def _read(directory, checkpoints='all'):
  """All columns of all episodes."""
  log_reader = _reader(directory, checkpoints)
  return [
      (np.concatenate(list(stream.frames)), stream.actions, stream.rewards)
      for stream in log_reader.read(log_reader.index().spans)
  ]


def _rewrite(path, change):
  """Writes an episode file anew, its members changed by a function."""
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  change(members)
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, data in members.items():
      archive.writestr(name, data)


def _npy(array) -> bytes:
  with tempfile.TemporaryFile() as file:
    np.save(file, array, allow_pickle=True)
    file.seek(0)
    return file.read()


def test_the_index_says_what_is_there(recorded):
  index = _reader(recorded).index()
  assert [span.source for span in index.spans] == list(_NAMES)
  assert [span.first_add for span in index.spans] == [0, 5, 8]
  for span in index.spans:
    assert span.has_final_observation and span.complete_start
    assert span.first_slot == span.padding == 0
  assert index.accounting == reader.Accounting(15, 15, 0, 0)
  assert index.metadata == {
      **_DESCRIPTION.metadata,
      'rewards': 'as the environment gave them, not clipped',
  }
  assert [source.name for source in index.sources[0]] == list(_NAMES)
  for source in index.sources[0]:
    assert source.size == os.path.getsize(recorded / source.name)
  assert len({source.crc32 for source in index.sources[0]}) == 3
  assert index.ends_marked and not index.losses and not index.warnings


def test_any_episodes_are_read_in_the_order_asked_for(recorded):
  log_reader = _reader(recorded)
  spans = log_reader.index().spans
  streams = log_reader.read([spans[2], spans[0]])
  for number in (2, 0):
    episode = next(streams).load()
    np.testing.assert_array_equal(
        episode.observations, _episode(number).observations
    )


def test_long_episodes_come_in_blocks(tmp_path):
  description = dataclasses.replace(
      _DESCRIPTION, observation=files.Array((84, 84), 'uint8')
  )
  frames = np.random.default_rng(0).integers(0, 256, (301, 84, 84), np.uint8)
  with recorder.RecordingWriter(str(tmp_path), description) as writer:
    writer.write(recorder.RecordedEpisode(
        frames, np.zeros(300, np.int32), np.zeros(300, np.float32),
        np.ones(300, np.float32),
    ))
  log_reader = _reader(tmp_path)
  streams = log_reader.read(log_reader.index().spans)
  blocks = list(next(streams).frames)
  assert [len(block) for block in blocks] == [148, 148, 5]
  np.testing.assert_array_equal(np.concatenate(blocks), frames)


def test_a_removed_episode_is_accounted_for(directory):
  (directory / _NAMES[1]).unlink()
  index = _reader(directory).index()
  assert index.accounting == reader.Accounting(15, 12, 0, 3)
  assert index.warnings == (
      'writer 0 recorded 3 steps before its episode 2 that are not in '
      f'{directory} any more; they are left out',
  )
  assert [span.first_add for span in index.spans] == [0, 8]


def test_files_of_interrupted_writes_are_left_out(directory):
  (directory / f'{atomic.TEMPORARY_PREFIX}a-{_NAMES[0]}').write_bytes(b'PK')
  (directory / 'notes.txt').write_text('kept by the user')
  warning, = _reader(directory).index().warnings
  assert '1 files of interrupted writes' in warning
  assert len(_read(directory)) == 3


def _other(name, array):
  return lambda members: members.update({f'{name}.npy': _npy(array)})


def _header(**fields):
  def change(members):
    members['episode.json'] = json.dumps(
        {**json.loads(members['episode.json']), **fields}
    ).encode()

  return change


@pytest.mark.parametrize(
    'change,message',
    [
        (_other('observations', np.zeros((8, 2, 2), np.uint8)),
         r'its observations are uint8 \(8, 2, 2\); expected uint8 \(8, 2, 3\)'),
        (_other('observations', np.zeros((8, 2, 3))),
         'its observations are float64'),
        (_other('observations', np.zeros((7, 2, 3), np.uint8)),
         r'its observations are uint8 \(7, 2, 3\)'),
        (_other('actions', np.zeros(6, np.int32)), 'its actions are int32'),
        (_other('rewards', np.zeros(7)), 'its rewards are float64'),
        (_other('actions', np.array([None] * 7)), 'its actions are object'),
        (_other('observations', np.asfortranarray(_episode(2).observations)),
         'its observations are uint8'),
        (_other('discounts', np.full(7, 0.99, np.float32)),
         'the discount of step 0 is 0.99'),
        (_header(terminal=True), 'the discount of step 6 is 1.0'),
        (_header(length=0), 'its length is 0'),
        (_header(first_step='8'), "its first_step is '8'"),
        (_header(colour='red'), 'unexpected keyword argument'),
        (_header(first_step=7), 'begins with step 7 .* have 8 steps: files of'),
        (_header(episode=1), 'holds episode 1 of writer 0; .* keep its name'),
        (lambda members: members.pop('rewards.npy'), 'rewards.npy'),
        (lambda members: members.pop('episode.json'), 'episode.json'),
        (lambda members: members.update({'rewards.npy': b'no array'}),
         'damaged'),
        (lambda members: members.update(
            {'rewards.npy': members['rewards.npy'] + b'.'}),
         'its rewards have 157 bytes'),
    ],
)
def test_a_wrong_episode_is_one_clear_error(directory, change, message):
  _rewrite(directory / _NAMES[2], change)
  with pytest.raises(reader.LogError, match=message) as info:
    _read(directory)
  assert _NAMES[2] in str(info.value) and str(directory) in str(info.value)


@pytest.mark.parametrize('size', [0, 1, 30, 500])
def test_a_cut_file_is_named(directory, size):
  os.truncate(directory / _NAMES[1], size)
  with pytest.raises(reader.LogError, match=f'{_NAMES[1]} is damaged .*; copy'):
    _reader(directory).index()


def _assert_noticed_or_harmless(directory, damaged: bytes):
  """An error that names the file, or the very episodes; never other ones."""
  (directory / _NAMES[0]).write_bytes(damaged)
  try:
    found = _read(directory)
  except reader.LogError as error:
    assert _NAMES[0] in str(error)
    return
  for number, columns in enumerate(found):
    expected = _episode(number)
    for column, wanted in zip(
        columns, (expected.observations, expected.actions, expected.rewards)
    ):
      np.testing.assert_array_equal(column, wanted)


@pytest.mark.parametrize('mask', [0x01, 0xFF])
def test_any_damaged_byte_is_noticed_or_harmless(directory, mask):
  original = (directory / _NAMES[0]).read_bytes()
  for place in range(len(original)):
    damaged = bytearray(original)
    damaged[place] ^= mask
    _assert_noticed_or_harmless(directory, bytes(damaged))


@hypothesis.settings(max_examples=200)
@hypothesis.given(st.data())
def test_any_damage_is_noticed_or_harmless(recorded, data):
  original = (recorded / _NAMES[0]).read_bytes()
  begin = data.draw(st.integers(0, len(original)))
  end = data.draw(st.integers(begin, min(len(original), begin + 40)))
  inserted = data.draw(st.binary(max_size=40))
  with tempfile.TemporaryDirectory() as directory:
    shutil.copytree(recorded, directory, dirs_exist_ok=True)
    _assert_noticed_or_harmless(
        pathlib.Path(directory), original[:begin] + inserted + original[end:]
    )


def test_damaged_data_is_noticed(directory):
  """As above, but where damage must not pass: within compressed data."""
  path = directory / _NAMES[0]
  original = path.read_bytes()
  with zipfile.ZipFile(path) as archive:
    infos = archive.infolist()
  for info in infos:
    start = info.header_offset + 30 + len(info.filename)
    # The first bits and the last ones of a stream hold no data.
    for place in range(start + 1, start + info.compress_size - 3, 7):
      damaged = bytearray(original)
      damaged[place] ^= 0x10
      path.write_bytes(damaged)
      with pytest.raises(reader.LogError, match=f'{_NAMES[0]} is damaged'):
        _read(directory)


def test_what_changes_while_it_is_read_is_noticed(directory):
  log_reader = _reader(directory)
  spans = log_reader.index().spans
  _rewrite(directory / _NAMES[1], _header(length=2))
  streams = log_reader.read(spans)
  next(streams)
  with pytest.raises(reader.LogError, match=f'{_NAMES[1]} .* has changed sin'):
    next(streams)
  (directory / _NAMES[2]).unlink()
  with pytest.raises(reader.LogError, match='does not exist'):
    next(log_reader.read(spans[2:]))


@pytest.mark.parametrize(
    'text,message',
    [
        ('', 'is damaged, or not that of a recording'),
        ('[]', 'is damaged, or not that of a recording'),
        ('{"format": "other"}', 'is damaged, or not that of a recording'),
        ('{"format": "rrl_pipeline recording", "version": 2}',
         'is of version 2 of the format; this program knows version 1'),
        ('{"format": "rrl_pipeline recording", "version": 1}', 'observation'),
    ],
)
def test_a_damaged_description_is_named(directory, text, message):
  (directory / 'recording.json').write_text(text)
  with pytest.raises(reader.LogError, match=message):
    _reader(directory).index()
  assert recording.looks_like_recording(str(directory))


def test_actions_and_rewards_must_be_single_numbers(tmp_path):
  for change, message in (
      ({'action': files.Array((2,), 'float32')},
       r'the actions of .* are float32 \(2,\); a replay log has single'),
      ({'action': files.Array((), 'float32')}, r'are float32 \(\)'),
      ({'reward': files.Array((2,), 'float32')}, 'the rewards of'),
  ):
    directory = tmp_path / str(len(list(tmp_path.iterdir())))
    description = dataclasses.replace(_DESCRIPTION, **change)
    with recorder.RecordingWriter(str(directory), description):
      pass
    with pytest.raises(reader.LogError, match=message):
      _reader(directory).index()


def test_nothing_to_read_is_an_error(tmp_path):
  assert not recording.looks_like_recording(str(tmp_path))
  with pytest.raises(
      reader.LogError, match=f'{re.escape(str(tmp_path))} holds no recording'
  ):
    _reader(tmp_path).index()
  with recorder.RecordingWriter(str(tmp_path), _DESCRIPTION):
    pass
  assert recording.looks_like_recording(str(tmp_path))
  with pytest.raises(reader.LogError, match='holds no complete episode'):
    _reader(tmp_path).index()


def test_writers_are_chosen_like_checkpoints(recorded):
  assert len(_read(recorded, 'latest')) == 3
  with pytest.raises(reader.LogError, match='of a writer 2; there are 0'):
    _reader(recorded, '2').index()
  with pytest.raises(ValueError, match="checkpoints is 'newest'"):
    _reader(recorded, 'newest')


def test_large_members_are_written_and_read(tmp_path, monkeypatch):
  """The longer fields of archives beyond 4 GB, forced upon a small one."""
  monkeypatch.setattr(episode_archive, '_ZIP64_BYTES', 0)
  with recorder.RecordingWriter(str(tmp_path), _DESCRIPTION) as writer:
    writer.write(_episode(0))
  np.testing.assert_array_equal(
      _read(tmp_path)[0][0], _episode(0).observations
  )
