"""Tests of telling the formats of logs apart."""

import gzip
import os
import pathlib
import shutil

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import dopamine_msgpack
from rrl_pipeline.logs import dqn_replay
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording
from rrl_pipeline.logs import recording_files
from rrl_pipeline.testing import lap_logger
from rrl_pipeline.testing import msgpack_log
from rrl_pipeline.testing import replay_logs

SAMPLES = pathlib.Path(__file__).parents[1] / 'testdata' / 'dopamine'


def _log_laps(directory, steps):
  logger = lap_logger.LapLogger(str(directory), (2, 3), 20)
  for t in range(steps):
    logger.add(np.full((2, 3), t + 1), 1, 0.0, t == steps - 1)
  logger.save_final()


def _log_ring(directory, length=30, checkpoint_is_complete=True):
  episode = replay_logs.random_episode(
      np.random.default_rng(0), length, (2, 3), types.EpisodeEnd.TRUNCATED
  )
  replay_logs.write_log(str(directory), [episode])
  if not checkpoint_is_complete:
    os.remove(files.sentinel_path(str(directory), 0))


def _record(directory):
  description = recording_files.Description(
      recording_files.Array((2, 3), 'uint8'),
      recording_files.Array((), 'int32'),
      recording_files.Array((), 'float32'),
      {},
  )
  with recorder.RecordingWriter(str(directory), description) as writer:
    writer.write(
        recorder.RecordedEpisode(
            observations=np.ones((5, 2, 3), np.uint8),
            actions=np.ones(4, np.int32),
            rewards=np.ones(4, np.float32),
            discounts=np.ones(4, np.float32),
        )
    )


def _log_msgpack(directory):
  log = msgpack_log.MsgpackLog(capacity=50)
  log.add_episode(
      replay_logs.random_episode(np.random.default_rng(0), 9, (2, 3))
  )
  log.save(str(directory), 7)


@pytest.mark.parametrize('sample', ['wrapped', 'unwrapped'])
def test_samples_are_rings(sample):
  directory = str(SAMPLES / sample / 'checkpoints')
  detection = formats.detect(directory)
  assert detection.log_format == formats.DOPAMINE
  assert detection.reason.startswith(
      f'{directory} is a log of Dopamine up to 4.0: checkpoint '
  )
  assert detection.reason.endswith(
      'has a sentinel file, which only agents write.'
  )


def test_ring_without_sentinel(tmp_path):
  _log_ring(tmp_path, checkpoint_is_complete=False)
  detection = formats.detect(str(tmp_path))
  assert detection.log_format == formats.DOPAMINE
  assert detection.reason.endswith(
      'file 0 counts 33 entries in a ring of 500, which is not the end of a '
      'lap as in the DQN Replay Dataset.'
  )


def test_laps_are_told_by_their_count(tmp_path):
  _log_laps(tmp_path, steps=30)
  detection = formats.detect(str(tmp_path))
  assert detection.log_format == formats.DQN_REPLAY
  assert detection.reason.endswith(
      'there are no sentinel files, and file 0 counts 19 entries in a ring of '
      '20, as is saved at the end of a lap.'
  )


def test_laps_are_told_by_their_folder(tmp_path):
  directory = tmp_path / 'replay_logs'
  _log_laps(directory, steps=10)  # Not even one lap.
  for name in (str(directory), f'{directory}/'):
    detection = formats.detect(name)
    assert detection.log_format == formats.DQN_REPLAY
    assert 'the folder is named replay_logs' in detection.reason


def test_later_laps_alone(tmp_path):
  _log_laps(tmp_path, steps=100)
  for path in tmp_path.glob('*_ckpt.[0125].gz'):
    path.unlink()
  assert formats.detect(str(tmp_path)).log_format == formats.DQN_REPLAY


def test_msgpack(tmp_path):
  _log_msgpack(tmp_path)
  assert formats.detect(str(tmp_path)) == formats.Detection(
      formats.DOPAMINE_MSGPACK,
      f'{tmp_path} is a log of Dopamine 4.1 or later: it has '
      '7/replay/checkpoint.msgpack.',
  )


def test_recording(tmp_path):
  _record(tmp_path)
  assert formats.detect(str(tmp_path)) == formats.Detection(
      formats.RECORDING,
      f'{tmp_path} is a recording of this project: it has recording.json.',
  )


@pytest.mark.parametrize(
    'write,log_format,expected',
    [
        (_log_ring, 'auto', dopamine.DopamineReader),
        (_log_ring, 'dopamine', dopamine.DopamineReader),
        (lambda d: _log_laps(d, 30), 'auto', dqn_replay.DqnReplayReader),
        (lambda d: _log_laps(d, 30), 'dqn_replay', dqn_replay.DqnReplayReader),
        (_record, 'auto', recording.RecordingReader),
        (_record, 'recording', recording.RecordingReader),
        (_log_msgpack, 'auto', dopamine_msgpack.DopamineMsgpackReader),
        (
            _log_msgpack,
            'dopamine_msgpack',
            dopamine_msgpack.DopamineMsgpackReader,
        ),
    ],
)
def test_reader_is_that_of_the_format(tmp_path, write, log_format, expected):
  write(tmp_path)
  log_reader = formats.open_reader(formats.LogConfig(str(tmp_path), log_format))
  assert isinstance(log_reader, expected)
  assert len(log_reader.index().spans) == 1


def test_choices_reach_the_reader(tmp_path):
  _log_laps(tmp_path, steps=30)
  config = formats.LogConfig(
      str(tmp_path), checkpoints='0,1', time_limit_steps=(30,)
  )
  index = formats.open_reader(config).index()
  assert index.checkpoints == (0, 1)
  assert index.spans[0].end is types.EpisodeEnd.TRUNCATED
  with pytest.raises(reader.LogError, match='Give it with --stack_size'):
    formats.open_reader(
        formats.LogConfig(str(tmp_path), checkpoints='all', stack_size=7)
    ).index()


def test_directory_without_a_log(tmp_path):
  with pytest.raises(
      reader.LogError,
      match=r'holds no replay log that is known: expected files '
      r'\$store\$_observation_ckpt.<number>.gz \(Dopamine up to 4.0, DQN '
      r'Replay Dataset\), <number>/replay/checkpoint.msgpack \(Dopamine 4.1 '
      r'and later\) or recording.json \(recordings\), found nothing$',
  ):
    formats.detect(str(tmp_path))
  (tmp_path / 'notes.txt').write_text('')
  with pytest.raises(reader.LogError, match='found notes.txt$'):
    formats.open_reader(formats.LogConfig(str(tmp_path)))
  with pytest.raises(reader.LogError, match='nowhere does not exist'):
    formats.detect(str(tmp_path / 'nowhere'))


@pytest.mark.parametrize('folder', ['checkpoints', 'replay_logs'])
def test_folder_of_the_log_is_pointed_to(tmp_path, folder):
  (tmp_path / folder).mkdir()
  with pytest.raises(
      reader.LogError, match=f'found {folder}; did you mean its folder {folder}'
  ):
    formats.detect(str(tmp_path))


def test_damage_is_found_when_the_format_is_told(tmp_path):
  _log_laps(tmp_path, steps=30)
  path = pathlib.Path(files.path_of(str(tmp_path), files.ADD_COUNT, 0))
  path.write_bytes(gzip.compress(b'nothing'))
  with pytest.raises(reader.LogError, match='does not hold a NumPy array'):
    formats.detect(str(tmp_path))


def test_wrong_format_says_how_to_go_on(tmp_path):
  shutil.copytree(SAMPLES / 'wrapped' / 'checkpoints', tmp_path / 'log')
  config = formats.LogConfig(str(tmp_path / 'log'), 'dqn_replay', 'all')
  with pytest.raises(reader.LogError, match='say --log_format=dopamine'):
    formats.open_reader(config).index()


@pytest.mark.parametrize(
    'change,message',
    [
        ({'log_format': 'hdf5'}, "log_format is 'hdf5'; expected 'auto' or "),
        ({'checkpoints': 'newest'}, "checkpoints is 'newest'"),
        ({'stack_size': 0}, 'stack_size is 0'),
        ({'time_limit_steps': (27000, 0)}, r'time_limit_steps is \(27000, 0\)'),
    ],
)
def test_bad_choice(change, message):
  with pytest.raises(ValueError, match=message):
    formats.LogConfig('/log', **change)
