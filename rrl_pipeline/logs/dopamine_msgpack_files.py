"""Names and contents of the replay checkpoints of Dopamine 4.1 and later.

`ReplayBuffer.save` (`dopamine/jax/replay_memory/replay_buffer.py`) writes one
MessagePack file `<number>/replay/checkpoint.msgpack`: the count of elements
ever added, and those that the buffer still holds, oldest first. Both stacks of
each element are compressed but the file is not, and it has no checksum. It is
read here as a stream, since a buffer of a million elements takes gigabytes.
"""

import contextlib
import dataclasses
import os
from typing import Any, Iterator, Mapping, Union
import zlib

import msgpack
import numpy as np

from rrl_pipeline.logs import dopamine_msgpack_arrays as arrays
from rrl_pipeline.logs import reader

_FILE = os.path.join('replay', 'checkpoint.msgpack')
_SENTINEL_PREFIX = 'sentinel_checkpoint_complete.'
_READ_BYTES = 1 << 20
_MAX_VALUE_BYTES = 1 << 28


@dataclasses.dataclass(frozen=True)
class Listing:
  """Which checkpoints a directory holds.

  Attributes:
    numbers: of the checkpoints, ascending.
    sentinels: the numbers whose sentinel says that they are complete.
  """

  numbers: tuple[int, ...]
  sentinels: frozenset[int]


def name_of(number: Union[int, str]) -> str:
  """The file of a checkpoint, relative to the directory of the log."""
  return os.path.join(str(number), _FILE)


def list_checkpoints(directory: str) -> Listing:
  """Lists the checkpoints of a directory.

  Raises:
    reader.LogError: if there are none, or the directory does not exist.
  """
  if not os.path.isdir(directory):
    raise reader.LogError(f'the log directory {directory} does not exist')
  names = sorted(os.listdir(directory))
  numbers = tuple(sorted(
      int(name)
      for name in names
      if name.isdecimal()
      and os.path.isfile(os.path.join(directory, name_of(int(name))))
  ))
  if not numbers:
    raise reader.LogError(
        f'{directory} holds no replay checkpoint of Dopamine 4.1 or later: '
        f'expected files <number>/{_FILE}, found '
        f'{", ".join(names[:5]) or "nothing"}'
    )
  sentinels = (
      name.removeprefix(_SENTINEL_PREFIX)
      for name in names
      if name.startswith(_SENTINEL_PREFIX)
  )
  return Listing(
      numbers, frozenset(int(text) for text in sentinels if text.isdecimal())
  )


@dataclasses.dataclass(frozen=True)
class Element:
  """What the buffer holds of one transition, its stacks still encoded.

  Attributes:
    path: of the file that holds it.
    add: how many elements were added before it.
    state: the stack of frames before the action.
    action: index of the action.
    reward: a number.
    next_state: the stack of frames after it.
    is_terminal: see `dopamine_msgpack_spans`.
  """

  path: str
  add: int
  state: Mapping[str, Any]
  action: int
  reward: float
  next_state: Mapping[str, Any]
  is_terminal: bool

  def state_frames(self) -> np.ndarray:
    """The state as [..., stack size] uint8."""
    return self._frames(self.state)

  def next_frames(self) -> np.ndarray:
    """The next state as [..., stack size] uint8."""
    return self._frames(self.next_state)

  def _frames(self, value: Mapping[str, Any]) -> np.ndarray:
    try:
      return arrays.stack(value)
    except arrays.DecodingError as error:
      raise reader.LogError(
          f'{self.path}: element {self.add} is damaged: {error}'
      ) from error


class _CheckedFile:
  """A file to read from that keeps the CRC-32 of what was read."""

  def __init__(self, path: str):
    self._file = open(path, 'rb')
    self.crc32 = 0

  def read(self, count: int) -> bytes:
    data = self._file.read(count)
    self.crc32 = zlib.crc32(data, self.crc32)
    return data

  def close(self) -> None:
    self._file.close()


class ElementStream:
  """Reads a checkpoint's elements once, from the oldest to the newest.

  Attributes:
    path: of the file.
    first_add: how many elements were added before the oldest one it holds.
    end_add: how many elements were ever added.
    position: the element that comes next.
  """

  def __init__(self, directory: str, number: int):
    """Opens the file and reads what comes before the elements.

    Raises:
      reader.LogError: if the file is missing, cut or something else.
    """
    self.path = os.path.join(directory, name_of(number))
    try:
      self._file = _CheckedFile(self.path)
    except FileNotFoundError as error:
      raise reader.LogError(f'{self.path} does not exist') from error
    self._unpacker = msgpack.Unpacker(
        self._file,
        read_size=_READ_BYTES,
        max_buffer_size=_MAX_VALUE_BYTES,
        strict_map_key=False,
    )
    try:
      self._read_head()
    except BaseException:
      self.close()
      raise

  def _read_head(self) -> None:
    with self._named_errors('its head'):
      self._keys_to_come = self._unpacker.read_map_header()
      self._expect_key('add_count')
      self.end_add = self._unpacker.unpack()
      self._expect_key('memory')
      self._memory_keys_to_come = self._unpacker.read_map_header()
      self._expect_key('keys')
      keys = self._unpacker.unpack()
      self._expect_key('values')
      count = self._unpacker.read_array_header()
    if not isinstance(self.end_add, int) or self.end_add < 0:
      raise reader.LogError(
          f'{self.path} has {str(self.end_add)[:80]!r} as add_count; expected '
          'a count of elements'
      )
    self.first_add = self.end_add - count
    if (
        not isinstance(keys, list)
        or len(keys) != count
        or self.first_add < 0
        or keys != list(range(self.first_add, self.end_add))
    ):
      raise reader.LogError(
          f'{self.path} holds {count} elements of the {self.end_add} that were '
          'added, but their keys are not the last of those'
      )
    self.position = self.first_add

  def _expect_key(self, expected: str) -> None:
    key = self._unpacker.unpack()
    if key != expected:
      raise reader.LogError(
          f'{self.path} has {str(key)[:80]!r} where {expected!r} was expected: '
          'it is not a replay checkpoint of Dopamine 4.1 or later'
      )

  @contextlib.contextmanager
  def _named_errors(self, place: str) -> Iterator[None]:
    """Turns what a damaged file raises into an error that names the place."""
    try:
      yield
    except msgpack.OutOfData as error:
      raise reader.LogError(
          f'{self.path} ends within {place}: copy it again from where it was '
          'written, or leave its checkpoint out with --checkpoints'
      ) from error
    except reader.LogError:
      raise
    except arrays.DecodingError as error:
      raise reader.LogError(
          f'{self.path}: {place} is damaged: {error}'
      ) from error
    except (msgpack.UnpackException, ValueError, TypeError) as error:
      raise reader.LogError(
          f'{self.path} is not the MessagePack of a replay checkpoint: {place} '
          f'cannot be read ({error or type(error).__name__})'
      ) from error

  @property
  def crc32(self) -> int:
    """CRC-32 of what was read so far."""
    return self._file.crc32

  def close(self) -> None:
    self._file.close()

  def skip_to(self, add: int) -> None:
    """Passes over elements up to the given one."""
    while self.position < add:
      with self._named_errors(f'element {self.position}'):
        self._unpacker.skip()
      self.position += 1

  def read(self) -> Element:
    """The next element."""
    place = f'element {self.position}'
    with self._named_errors(place):
      value = self._unpacker.unpack()
      if not isinstance(value, list) or len(value) != 6:
        raise arrays.DecodingError(
            'expected state, action, reward, next state and two flags'
        )
      state, action, reward, next_state, is_terminal, _ = value
      action = arrays.number(action)
      if not isinstance(action, int) or not -(2**31) <= action < 2**31:
        raise arrays.DecodingError(f'its action is {action}')
      element = Element(
          path=self.path,
          add=self.position,
          state=state,
          action=action,
          reward=float(arrays.number(reward)),
          next_state=next_state,
          is_terminal=bool(arrays.number(is_terminal)),
      )
    self.position += 1
    return element

  def finish(self) -> frozenset[str]:
    """Reads to the end of the file, which shows that it is whole.

    Returns:
      The names of what the sampling distribution consists of.
    """
    self.skip_to(self.end_add)
    sampling = frozenset()
    with self._named_errors('what follows on the elements'):
      for _ in range(self._memory_keys_to_come - 2):
        self._unpacker.skip()
        self._unpacker.skip()
      for _ in range(self._keys_to_come - 2):
        if self._unpacker.unpack() == 'sampling_distribution':
          sampling = frozenset(self._read_keys())
        else:
          self._unpacker.skip()
    if self._unpacker.read_bytes(1):
      raise reader.LogError(f'{self.path} goes on behind its end')
    self.close()
    return sampling

  def _read_keys(self) -> Iterator[str]:
    """The keys of a map whose values are passed over."""
    for _ in range(self._unpacker.read_map_header()):
      yield str(self._unpacker.unpack())
      self._unpacker.skip()
