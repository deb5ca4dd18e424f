"""Damages logs at random: they give the same episodes as before, or an error.

Only MessagePack files have no checksum, so that a changed action or reward in
them may pass unseen; they still never bring anything but an error.
"""

import pathlib
import shutil
import tempfile

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.testing import lap_logger
from rrl_pipeline.testing import msgpack_log
from rrl_pipeline.testing import replay_logs

FRAME = (3, 4)


def _episodes():
  rng = np.random.default_rng(0)
  return [replay_logs.random_episode(rng, n, FRAME) for n in (12, 1, 30, 9)]


def _ring(directory):
  replay_logs.write_log(str(directory), _episodes(), capacity=50)


def _laps(directory):
  logger = lap_logger.LapLogger(str(directory), FRAME, 20)
  for episode in _episodes():
    last = len(episode.actions) - 1
    for t, (frame, action, reward) in enumerate(
        zip(episode.observations, episode.actions, episode.rewards)
    ):
      logger.add(frame, action, reward, t == last)
  logger.save_final()


def _msgpack(directory):
  log = msgpack_log.MsgpackLog(capacity=45)
  for episode in _episodes():
    log.add_episode(episode)
  log.save(str(directory), 0)


def _read(directory):
  log_reader = formats.open_reader(
      formats.LogConfig(str(directory), checkpoints='all')
  )
  found = []
  for stream in log_reader.read(log_reader.index().spans):
    episode = stream.load()
    found.append((
        stream.span,
        episode.observations.tobytes(),
        episode.actions.tobytes(),
        episode.rewards.tobytes(),
    ))
  return found


_POSITIONS = st.floats(0, 1, exclude_max=True)
_EDITS = st.lists(
    st.one_of(
        st.tuples(st.just('set'), _POSITIONS, st.binary(max_size=3)),
        st.tuples(st.just('insert'), _POSITIONS, st.binary(max_size=9)),
        st.tuples(st.just('delete'), _POSITIONS, st.integers(1, 9)),
        st.tuples(st.just('cut'), _POSITIONS, st.none()),
    ),
    min_size=1,
    max_size=3,
)


def _edit(data, edits):
  data = bytearray(data)
  for kind, position, value in edits:
    at = int(position * len(data))
    if kind == 'set':
      data[at : at + len(value)] = value
    elif kind == 'insert':
      data[at:at] = value
    elif kind == 'delete':
      del data[at : at + value]
    else:
      del data[at:]
  return bytes(data)


@pytest.mark.parametrize('write', [_ring, _laps, _msgpack])
def test_damage_is_found_or_does_not_matter(write, tmp_path):
  # The name tells the format when the files do not.
  log = tmp_path / 'replay_logs'
  write(log)
  expected = _read(log)
  names = sorted(
      str(path.relative_to(log)) for path in log.rglob('*') if path.is_file()
  )

  @hypothesis.settings(max_examples=120)
  @hypothesis.given(st.sampled_from(names), _EDITS)
  def check(name, edits):
    with tempfile.TemporaryDirectory() as folder:
      damaged = pathlib.Path(folder) / 'replay_logs'
      shutil.copytree(log, damaged)
      path = damaged / name
      path.write_bytes(_edit(path.read_bytes(), edits))
      try:
        found = _read(damaged)
      except reader.LogError as error:
        assert '\n' not in str(error)
      else:
        assert found == expected or write is _msgpack

  check()
