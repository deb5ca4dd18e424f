"""Records random episodes, breaks off at any place, and reads them back."""

import collections
import dataclasses
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import zipfile

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import bounds
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording
from rrl_pipeline.logs import recording_files as files

_DESCRIPTION = files.Description(
    files.Array((3, 4), 'uint8'),
    files.Array((), 'int32'),
    files.Array((), 'float32'),
    {'game': 'Pong'},
)


def episode(number: int, writer: int = 0) -> recorder.RecordedEpisode:
  """An episode that its number determines."""
  rng = np.random.default_rng([number, writer])
  length = int(rng.integers(1, 30))
  discounts = np.ones(length, np.float32)
  discounts[-1] = number % 2
  return recorder.RecordedEpisode(
      rng.integers(0, 256, (length + 1, 3, 4), np.uint8),
      rng.integers(0, 6, length).astype(np.int32),
      rng.normal(size=length).astype(np.float32),
      discounts,
  )


def read_all(directory, checkpoints='all'):
  """The index and the episodes as {(writer, number): its columns}."""
  log_reader = recording.RecordingReader(
      recording.RecordingConfig(str(directory), checkpoints)
  )
  index = log_reader.index()
  found = {}
  for stream in log_reader.read(index.spans):
    span = stream.span
    found[span.checkpoint_id, span.episode_id] = (
        np.concatenate(list(stream.frames)),
        stream.actions,
        stream.rewards,
        span.end is types.EpisodeEnd.TERMINAL,
    )
  return index, found


def assert_equal(found, expected: recorder.RecordedEpisode):
  observations, actions, rewards, terminal = found
  for column, wanted in (
      (observations, np.stack(expected.observations)),
      (actions, expected.actions),
      (rewards, expected.rewards),
  ):
    assert column.dtype == wanted.dtype
    np.testing.assert_array_equal(column, wanted)
  assert terminal == (expected.discounts[-1] == 0)


def _record(directory, numbers, writer=0):
  with recorder.RecordingWriter(
      str(directory), _DESCRIPTION, writer
  ) as log_writer:
    for number in numbers:
      log_writer.write(episode(number, writer))


def _contents(directory) -> dict[str, bytes]:
  return {
      path.name: path.read_bytes()
      for path in pathlib.Path(directory).iterdir()
      if not path.name.startswith('.')
  }


@pytest.fixture(name='no_fsync')
def fixture_no_fsync(monkeypatch):
  monkeypatch.setattr(os, 'fsync', lambda _: None)


_NUMBERS = st.sampled_from(['uint8', 'int16', 'float32', 'float64', 'bool'])


@st.composite
def recordings(draw):
  """A description and episodes that fit it."""
  observation = files.Array(
      draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=5)),
      draw(_NUMBERS),
  )
  action = files.Array((), draw(st.sampled_from(['int32', 'int64', 'uint8'])))
  reward = files.Array((), draw(st.sampled_from(['float32', 'float64'])))
  episodes = []
  for length in draw(st.lists(st.integers(1, 20), min_size=1, max_size=4)):
    discounts = np.ones(length, np.float32)
    discounts[-1] = draw(st.booleans())
    arrays = [
        draw(hnp.arrays(array.dtype, (n, *array.shape)))
        for array, n in ((observation, length + 1), (action, length),
                         (reward, length))
    ]
    metadata = draw(st.dictionaries(st.text(), st.integers() | st.text()))
    episodes.append(recorder.RecordedEpisode(*arrays, discounts, metadata))
  limits = draw(st.none() | st.just(bounds.Bounds((0.0,), (math.inf,))))
  return files.Description(observation, action, reward, {}, limits), episodes


@hypothesis.settings(
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture,
                           hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(recordings())
def test_what_was_recorded_is_read_back(no_fsync, made):
  description, episodes = made
  with tempfile.TemporaryDirectory() as directory:
    with recorder.RecordingWriter(directory, description) as writer:
      for recorded in episodes:
        writer.write(recorded)
    index, found = read_all(directory)
    assert list(found) == [(0, n) for n in range(len(episodes))]
    for columns, recorded in zip(found.values(), episodes):
      assert_equal(columns, recorded)
    lengths = [len(recorded.actions) for recorded in episodes]
    assert [span.length for span in index.spans] == lengths
    assert [span.first_add for span in index.spans] == [
        sum(lengths[:n]) for n in range(len(lengths))
    ]
    assert index.accounting.adds == index.accounting.transitions == sum(lengths)
    assert index.frame_shape == description.observation.shape
    assert index.frame_dtype == description.observation.dtype
    assert index.bounds == description.bounds
    assert not index.warnings
    streams = recording.RecordingReader(
        recording.RecordingConfig(directory)
    ).read(index.spans)
    assert [dict(s.metadata) for s in map(_taken, streams)] == [
        dict(recorded.metadata) for recorded in episodes
    ]


def _taken(stream):
  """The stream, its frames read: the next one may be asked for."""
  collections.deque(stream.frames, 0)
  return stream


@hypothesis.settings(
    max_examples=100,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture,
                           hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(st.integers(0, 4), st.floats(0, 1), st.booleans())
def test_a_write_that_breaks_off_loses_that_episode_only(
    no_fsync, number, part, renamed
):
  """A process can be killed after any byte, and before or after the rename."""
  with tempfile.TemporaryDirectory() as directory:
    _record(directory, range(number + 1))
    newest = pathlib.Path(directory, files.episode_name(0, number))
    data = newest.read_bytes()
    if not renamed:
      newest.unlink()
      leftover = f'{atomic.TEMPORARY_PREFIX}0123-{newest.name}'
      pathlib.Path(directory, leftover).write_bytes(
          data[: int(part * len(data))]
      )
    kept = number + renamed
    if kept:
      index, found = read_all(directory)
      assert list(found) == [(0, n) for n in range(kept)]
      for (_, n), columns in found.items():
        assert_equal(columns, episode(n))
      assert len(index.warnings) == (not renamed)
    _record(directory, range(kept, 6))
    with tempfile.TemporaryDirectory() as undisturbed:
      _record(undisturbed, range(6))
      assert _contents(directory) == _contents(undisturbed)
    assert not [n for n in os.listdir(directory) if files.is_temporary(n)]


def test_killed_writers_leave_complete_episodes(tmp_path):
  """Two processes record into one directory until SIGKILL ends them."""

  def counts():
    return [len(list(tmp_path.glob(f'episode-00{w}-*.npz'))) for w in (0, 1)]

  for _ in range(3):
    before = counts()
    processes = [
        subprocess.Popen([sys.executable, __file__, tmp_path, str(writer)])
        for writer in (0, 1)
    ]
    deadline = time.monotonic() + 60
    while min(np.subtract(counts(), before)) < 10:
      assert time.monotonic() < deadline
      time.sleep(0.01)
    for process in processes:
      process.kill()
    for process in processes:
      assert process.wait() == -signal.SIGKILL
  index, found = read_all(tmp_path)
  assert index.checkpoints == (0, 1)
  for (writer, number), columns in found.items():
    assert_equal(columns, episode(number, writer))
  for writer in (0, 1):
    numbers = [n for w, n in found if w == writer]
    assert numbers == list(range(len(numbers))) and numbers
    # Each goes on with the number after the last complete one.
    _record(tmp_path, [len(numbers)], writer)
  assert len(read_all(tmp_path)[1]) == len(found) + 2


def test_numpy_reads_an_episode(tmp_path):
  _record(tmp_path, [0])
  with np.load(tmp_path / 'episode-000-00000000.npz', allow_pickle=False) as f:
    expected = episode(0)
    np.testing.assert_array_equal(f['observations'], expected.observations)
    np.testing.assert_array_equal(f['actions'], expected.actions)
    np.testing.assert_array_equal(f['rewards'], expected.rewards)
    np.testing.assert_array_equal(f['discounts'], expected.discounts)
    assert json.loads(f['episode.json']) == {
        'writer': 0, 'episode': 0, 'first_step': 0,
        'length': len(expected.actions), 'terminal': True,
    }


def test_flat_frames_take_little_room(tmp_path):
  description = dataclasses.replace(
      _DESCRIPTION, observation=files.Array((84, 84), 'uint8')
  )
  frames = np.full((501, 84, 84), 87, np.uint8)
  frames[np.arange(501), np.arange(501) % 84] = 200
  with recorder.RecordingWriter(str(tmp_path), description) as writer:
    writer.write(recorder.RecordedEpisode(
        frames, np.zeros(500, np.int32), np.zeros(500, np.float32),
        np.ones(500, np.float32),
    ))
  path = tmp_path / 'episode-000-00000000.npz'
  assert path.stat().st_size < frames.nbytes / 50
  with zipfile.ZipFile(path) as archive:
    # Nothing of the time at which it was written.
    assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_writer_has_its_number_to_itself(tmp_path):
  with recorder.RecordingWriter(str(tmp_path), _DESCRIPTION, 3):
    with pytest.raises(
        recorder.BusyError, match='another process records into .* as writer 3'
    ):
      recorder.RecordingWriter(str(tmp_path), _DESCRIPTION, 3)
    _record(tmp_path, [0], writer=4)
  _record(tmp_path, [0], writer=3)
  index, found = read_all(tmp_path)
  assert index.checkpoints == (3, 4) and len(found) == 2
  assert list(read_all(tmp_path, '4')[1]) == [(4, 0)]


def test_truncated_episodes_can_be_recorded_again(tmp_path):
  _record(tmp_path / 'a', range(5))
  _record(tmp_path / 'a', [0], writer=1)
  with recorder.RecordingWriter(str(tmp_path / 'a'), _DESCRIPTION) as writer:
    writer.truncate(2)
    assert writer.num_episodes == 2
    assert writer.num_steps == sum(len(episode(n).actions) for n in range(2))
    for number in range(2, 5):
      writer.write(episode(number))
    with pytest.raises(ValueError, match='5 episodes of writer 0, but 6 were'):
      writer.truncate(6)
  _record(tmp_path / 'b', range(5))
  _record(tmp_path / 'b', [0], writer=1)
  assert _contents(tmp_path / 'a') == _contents(tmp_path / 'b')


def test_a_recording_is_of_one_environment(tmp_path):
  _record(tmp_path, [0])
  for change, message in (
      ({'observation': files.Array((4, 4), 'uint8')},
       r'its observations are uint8 \(3, 4\), not uint8 \(4, 4\)'),
      ({'metadata': {'game': 'Breakout'}},
       "its game is 'Pong', not 'Breakout'"),
      ({'metadata': {}}, "its game is 'Pong', not None"),
  ):
    description = dataclasses.replace(_DESCRIPTION, **change)
    with pytest.raises(ValueError, match=message):
      recorder.RecordingWriter(str(tmp_path), description)
  # Those attempts let go of the number.
  _record(tmp_path, [1])


@pytest.mark.parametrize(
    'change,message',
    [
        ({'observations': np.zeros((3, 3, 4), np.uint8)},
         "'observations': 3, 'actions': 3"),
        ({'rewards': np.zeros(2, np.float32)}, "'rewards': 2"),
        ({'observations': np.zeros((4, 3, 3), np.uint8)},
         r'observations\[0\] is uint8 \(3, 3\); the recording in .* holds uint8'
         r' \(3, 4\)'),
        ({'observations': np.zeros((4, 3, 4))},
         r'observations\[0\] is float64'),
        ({'actions': np.zeros(3)}, r'actions\[0\] is float64'),
        ({'actions': np.zeros((3, 1), np.int32)},
         r'actions\[0\] is int32 \(1,\)'),
        ({'rewards': np.zeros(3)}, r'rewards\[0\] is float64'),
        ({'discounts': np.ones(3)}, r'discounts\[0\] is float64 \(\)'),
        ({name: np.zeros(0) for name in ('actions', 'rewards', 'discounts')},
         "'actions': 0"),
    ],
)
def test_an_episode_must_fit(tmp_path, change, message):
  good = recorder.RecordedEpisode(
      np.zeros((4, 3, 4), np.uint8), np.zeros(3, np.int32),
      np.zeros(3, np.float32), np.ones(3, np.float32),
  )
  with recorder.RecordingWriter(str(tmp_path), _DESCRIPTION) as writer:
    with pytest.raises(ValueError, match=message):
      writer.write(dataclasses.replace(good, **change))
    assert not list(tmp_path.glob('episode-*'))
    writer.write(good)
  with pytest.raises(ValueError, match='writer 0 of .* is closed already'):
    writer.write(good)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
  with recorder.RecordingWriter(str(tmp_path), _DESCRIPTION) as writer:
    writer.write(episode(0))
    with monkeypatch.context() as patch:

      def fail(_):
        raise OSError(28, 'No space left on device')

      patch.setattr(os, 'fsync', fail)
      with pytest.raises(OSError, match='No space left'):
        writer.write(episode(1))
    assert writer.num_episodes == 1
    assert not [n for n in os.listdir(tmp_path) if files.is_temporary(n)]
    writer.write(episode(1))
  assert len(read_all(tmp_path)[1]) == 2


def test_an_array_must_be_one_of_numbers():
  with pytest.raises(ValueError, match="'float31'; expected one of NumPy"):
    files.Array((), 'float31')
  with pytest.raises(ValueError, match="'object'; a recording holds numbers"):
    files.Array((), 'object')
  with pytest.raises(ValueError, match='writer is -1'):
    recorder.RecordingWriter('nowhere', _DESCRIPTION, -1)


def _main(directory: str, writer: int) -> None:
  with recorder.RecordingWriter(directory, _DESCRIPTION, writer) as log_writer:
    while True:
      log_writer.write(episode(log_writer.num_episodes, writer))


if __name__ == '__main__':
  _main(sys.argv[1], int(sys.argv[2]))
