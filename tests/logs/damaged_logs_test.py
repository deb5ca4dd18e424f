"""Damages logs in every way that was thought of: each has its message.

What makes a log unreadable is an error of its reader. What makes an episode
wrong is found by a rule of the validation, through which each log goes here as
in a conversion.
"""

import gzip
import io
import pathlib

import msgpack
import numpy as np
import pytest

from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import validation
from rrl_pipeline.testing import lap_logger
from rrl_pipeline.testing import msgpack_log
from rrl_pipeline.testing import replay_logs

FRAME = (8, 8)
LIMITS = validation.Limits(num_actions=6, stack_size=4, ends_marked=True)
COPY_AGAIN = 'copy it again from where it was written, or leave its checkpoint'


def _episodes(directory):
  """Reads a log as a conversion does."""
  log_reader = formats.open_reader(formats.LogConfig(str(directory)))
  encoder = png.PngEncoder(FRAME, 'zlib')
  for stream in log_reader.read(log_reader.index().spans):
    yield encoding.encode(stream, encoder)


def _read_through(directory):
  """What rules find in a log that can be read."""
  found = {}
  for episode in _episodes(directory):
    found.update(validation.violations(episode, LIMITS))
  return found


def _array(array):
  contents = io.BytesIO()
  np.save(contents, array)
  return gzip.compress(contents.getvalue(), mtime=0)


def _changed(element, change):
  """Damage that changes the array of a file."""
  def damage(path):
    array = npy_gzip.read_array(str(path)).copy()
    path.write_bytes(_array(change(array)))
  return element, damage


def _rewritten(element, change):
  """Damage that changes the bytes of a file."""
  return element, lambda path: path.write_bytes(change(path.read_bytes()))


def _set(index, value):
  def change(array):
    array[index] = value
    return array
  return change


# By name: the file, what is done to it, and the error.
UNREADABLE = {
    'truncated': (
        _rewritten(files.OBSERVATION, lambda data: data[: len(data) // 2]),
        f'observation_ckpt.0.gz (is not a complete gzip|was cut).*{COPY_AGAIN}',
    ),
    'truncated small array': (
        _rewritten(files.ADD_COUNT, lambda data: data[:-9]),
        f'add_count_ckpt.0.gz is not a complete gzip file .*{COPY_AGAIN}',
    ),
    'wrong checksum': (
        _rewritten(
            files.REWARD,
            lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:],
        ),
        f'reward_ckpt.0.gz is not a complete gzip file .*{COPY_AGAIN}',
    ),
    'wrong checksum of the frames': (
        _rewritten(
            files.OBSERVATION,
            lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:],
        ),
        f'observation_ckpt.0.gz is not a complete gzip file .*{COPY_AGAIN}',
    ),
    'wrong dtype': (
        _changed(files.REWARD, lambda array: array.astype(np.float64)),
        'reward_ckpt.0.gz holds float64; expected float32',
    ),
    'pickled objects': (
        _changed(files.REWARD, lambda array: array.astype(object)),
        'reward_ckpt.0.gz holds a object array .*; expected numbers in C order',
    ),
    'wrong shape': (
        _changed(files.ACTION, lambda array: np.stack([array, array], axis=1)),
        r'action_ckpt.0.gz has shape \(40, 2\); expected one number for each',
    ),
    'lengths differ': (
        _changed(files.TERMINAL, lambda array: array[:-1]),
        'arrays of checkpoint 0 of .* differ in length: .*terminal 39',
    ),
    'missing array': (
        (files.ACTION, lambda path: path.unlink()),
        r'checkpoint 0 of .* is incomplete: \$store\$_action_ckpt.0.gz missing',
    ),
    'empty': (
        _rewritten(files.OBSERVATION, lambda _: b''),
        f'observation_ckpt.0.gz is not a complete gzip file .*it has only 0 by',
    ),
    'not gzip': (
        _rewritten(files.TERMINAL, gzip.decompress),
        'terminal_ckpt.0.gz is not a complete gzip file .*Not a gzipped file',
    ),
    'not an array': (
        _rewritten(files.ACTION, lambda _: gzip.compress(b'a' * 100)),
        'action_ckpt.0.gz does not hold a NumPy array',
    ),
}
# By name: the file, what is done to it, the rule that sees it and its message.
WRONG = {
    'NaN reward': (
        _changed(files.REWARD, _set(5, np.nan)),
        'rewards_are_finite',
        '1 of its rewards are not finite: the first, of step 2, is nan',
    ),
    'infinite reward': (
        _changed(files.REWARD, _set(6, -np.inf)),
        'rewards_are_finite',
        'the first, of step 3, is -inf',
    ),
    'action out of range': (
        _changed(files.ACTION, _set(7, 6)),
        'actions_are_in_range',
        '1 of its actions are out of range: the first, of step 4, is 6; '
        'expected 0 to 5',
    ),
    'negative action': (
        _changed(files.ACTION, _set(7, -1)),
        'actions_are_in_range',
        'the first, of step 4, is -1; expected 0 to 5',
    ),
}


def _ring(directory):
  episode = replay_logs.random_episode(np.random.default_rng(0), 20, FRAME)
  replay_logs.write_log(str(directory), [episode], capacity=40)


def _laps(directory):
  """One lap of 37 steps; its name tells the format, whatever is damaged."""
  logger = lap_logger.LapLogger(str(directory), FRAME, 40)
  for t in range(36):
    logger.add(np.full(FRAME, t + 1), t % 6, 1.0, t == 35)


@pytest.fixture(name='log', params=[_ring, _laps])
def fixture_log(request, tmp_path):
  directory = tmp_path / 'replay_logs'
  request.param(directory)
  return directory


def _path(directory, element):
  return pathlib.Path(files.path_of(str(directory), element, 0))


def test_undamaged_logs_pass(log):
  assert not _read_through(log)


@pytest.mark.parametrize('name', UNREADABLE)
def test_unreadable_log(log, name):
  (element, damage), message = UNREADABLE[name]
  damage(_path(log, element))
  with pytest.raises(reader.LogError, match=message) as error:
    _read_through(log)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', WRONG)
def test_wrong_episode(log, name):
  (element, damage), rule, message = WRONG[name]
  damage(_path(log, element))
  found = _read_through(log)
  assert list(found) == [rule]
  assert message in found[rule]


def _msgpack_state():
  log = msgpack_log.MsgpackLog(capacity=100)
  episode = replay_logs.random_episode(np.random.default_rng(0), 20, FRAME)
  log.add_episode(episode)
  return log.state()


def _in_element(place, value):
  """Damage that changes a part of element 3."""
  def change(state):
    state['memory']['values'][3][place] = value
  return change


def _in_state(**parts):
  """Damage that changes parts of the encoded state of element 3."""
  def change(state):
    state['memory']['values'][3][0] |= parts
  return change


def _in_compressed(position, value):
  def change(state):
    encoded = state['memory']['values'][3][0]
    data = bytearray(encoded['data'])
    data[position] = value
    encoded['data'] = bytes(data)
  return change


def _renamed(name, to, *where):
  def change(state):
    for key in where:
      state = state[key]
    items = [(to if key == name else key, v) for key, v in state.items()]
    state.clear()
    state.update(items)
  return change


# By name: what is done to the file's contents, and the error.
DAMAGED_MSGPACK = {
    'wrong key': (
        _renamed('add_count', 'count'),
        "has 'count' where 'add_count' was expected: it is not a replay chec",
    ),
    'wrong inner key': (
        _renamed('values', 'elements', 'memory'),
        "has 'elements' where 'values' was expected: it is not a replay chec",
    ),
    'wrong count': (
        lambda state: state.update(add_count=99),
        'holds 22 elements of the 99 that were added, but their keys are not',
    ),
    'count that is none': (
        lambda state: state.update(add_count='many'),
        "has 'many' as add_count; expected a count of elements",
    ),
    'missing value': (
        lambda state: state['memory']['values'].pop(),
        'holds 21 elements of the 22 that were added, but their keys are not',
    ),
    'short element': (
        lambda state: state['memory']['values'][3].pop(),
        'element 3 is damaged: expected state, action, reward, next state',
    ),
    'action that is none': (
        _in_element(1, 0.5), 'element 3 is damaged: its action is 0.5'
    ),
    'action without end': (
        _in_element(1, 2**40), 'element 3 is damaged: its action is 10995116277'
    ),
    'keys that are none': (
        lambda state: state['memory'].update(keys=7), 'their keys are not the'
    ),
    'reward that is none': (
        _in_element(2, 'one'), 'element 3 is damaged: it is not an array'
    ),
    'state that is none': (
        _in_element(0, 7), 'element 3 is damaged: it is not an array'
    ),
    'objects': (
        _in_state(dtype="'|O'"), r"element 3 is damaged: its dtype is .'\|O'"
    ),
    'program for a dtype': (
        _in_state(dtype="__import__('os').system('false')"),
        'element 3 is damaged: its dtype is .__import__',
    ),
    'wrong dtype': (
        _in_state(dtype="'<f4'", data=bytes(FRAME[0] * 4), shape=[8]),
        r'element 3 is damaged: it holds float32 \(8,\); expected a stack of',
    ),
    'wrong length': (
        _in_state(dtype="'|u1'", shape=[8, 8, 4]),
        r'element 3 is damaged: it has \d+ bytes; expected 256 for uint8',
    ),
    'short record': (
        _in_state(data=b''), r'element 3 is damaged: it has 0 bytes; expected'
    ),
    'wrong length of the frames': (
        _in_compressed(0, 255),
        'element 3 is damaged: it is not compressed with Snappy',
    ),
    'wrong shape': (
        _in_compressed(-15, 9), 'element 3 is damaged: .* decompressed; expecte'
    ),
    'shape without end': (
        _in_compressed(-12, 127),
        r'element 3 is damaged: its frames have shape \(2130706440, 8, 4\)',
    ),
}


@pytest.mark.parametrize('name', DAMAGED_MSGPACK)
def test_damaged_msgpack(tmp_path, name):
  change, message = DAMAGED_MSGPACK[name]
  state = _msgpack_state()
  change(state)
  msgpack_log.write(str(tmp_path), 0, msgpack.packb(state))
  with pytest.raises(reader.LogError, match=message) as error:
    _read_through(tmp_path)
  assert '0/replay/checkpoint.msgpack' in str(error.value)
  assert '\n' not in str(error.value)


def test_msgpack_may_be_cut_anywhere(tmp_path):
  whole = msgpack.packb(_msgpack_state())
  for length in {*range(0, len(whole), 97), len(whole) - 1}:
    msgpack_log.write(str(tmp_path), 0, whole[:length])
    with pytest.raises(reader.LogError, match=f'ends within .*{COPY_AGAIN}'):
      _read_through(tmp_path)


def test_msgpack_may_be_something_else(tmp_path):
  for contents in (b'not msgpack', b'\xc1', b'\x90', bytes(100)):
    msgpack_log.write(str(tmp_path), 0, contents)
    with pytest.raises(
        reader.LogError, match='is not the MessagePack of a replay checkpoint'
    ):
      _read_through(tmp_path)


def test_msgpack_may_not_go_on(tmp_path):
  whole = msgpack.packb(_msgpack_state())
  msgpack_log.write(str(tmp_path), 0, whole + b'\x00')
  with pytest.raises(reader.LogError, match='goes on behind its end'):
    _read_through(tmp_path)


@pytest.mark.parametrize(
    'place,value,rule',
    [
        (2, float('nan'), validation.rewards_are_finite),
        (1, 6, validation.actions_are_in_range),
    ],
)
def test_wrong_episode_in_msgpack(tmp_path, place, value, rule):
  state = _msgpack_state()
  state['memory']['values'][3][place] = value
  msgpack_log.write(str(tmp_path), 0, msgpack.packb(state))
  (episode,) = _episodes(tmp_path)
  assert 'the first, of step 3, is' in rule(episode, LIMITS)
