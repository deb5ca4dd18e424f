"""Names and contents of the files of a Dopamine replay checkpoint.

A checkpoint of Dopamine up to 4.0 (`circular_replay_buffer.py`, `save`) is a
set of gzip'd files `<element>_ckpt.<number>.gz`: one array for each element of
the ring buffer, the count of entries ever added, and since 2021 a pickled set
of the slots in which an episode ended. `sentinel_checkpoint_complete.<number>`
is written last (`checkpointer.py`).
"""

import dataclasses
import io
import json
import os
import pickle
import re
from typing import Any, Mapping, Sequence

import numpy as np

from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader

OBSERVATION = '$store$_observation'
ACTION = '$store$_action'
REWARD = '$store$_reward'
TERMINAL = '$store$_terminal'
ADD_COUNT = 'add_count'
INVALID_RANGE = 'invalid_range'
EPISODE_END_INDICES = 'episode_end_indices'
METADATA_FILE = 'log_metadata.json'

# Priorities of Dopamine's prioritised replay: a pickled object, never loaded.
SUM_TREE = 'sum_tree'

# What a conversion needs; `invalid_range` serves only Dopamine's sampler.
_REQUIRED = (OBSERVATION, ACTION, REWARD, TERMINAL, ADD_COUNT)
_DTYPES = {
    OBSERVATION: np.dtype(np.uint8),
    ACTION: np.dtype(np.int32),
    REWARD: np.dtype(np.float32),
    TERMINAL: np.dtype(np.uint8),
}
_STORE_PREFIX = '$store$_'
_FILE_PATTERN = re.compile(r'^(?P<element>.+)_ckpt\.(?P<number>\d+)\.gz$')
_SENTINEL_PATTERN = re.compile(r'^sentinel_checkpoint_complete\.(\d+)$')
# Everything that a pickled set of integers needs, under the names of NumPy 1
# and 2. A pickle may otherwise run any program.
_ALLOWED_GLOBALS = frozenset({
    ('builtins', 'set'),
    ('__builtin__', 'set'),
    ('numpy', 'dtype'),
    ('numpy.core.multiarray', 'scalar'),
    ('numpy._core.multiarray', 'scalar'),
})


def path_of(directory: str, element: str, number: int) -> str:
  return os.path.join(directory, f'{element}_ckpt.{number}.gz')


def sentinel_path(directory: str, number: int) -> str:
  return os.path.join(directory, f'sentinel_checkpoint_complete.{number}')


@dataclasses.dataclass(frozen=True)
class Listing:
  """Which checkpoints a directory holds.

  Attributes:
    elements: for each checkpoint number, the elements it has a file of.
    sentinels: the numbers whose sentinel says that they are complete.
  """

  elements: Mapping[int, frozenset[str]]
  sentinels: frozenset[int]


def list_checkpoints(directory: str) -> Listing:
  """Lists the checkpoints of a directory.

  Raises:
    reader.LogError: if there are none, or the directory does not exist.
  """
  if not os.path.isdir(directory):
    raise reader.LogError(f'the log directory {directory} does not exist')
  names = sorted(os.listdir(directory))
  elements = {}
  for name in names:
    match = _FILE_PATTERN.match(name)
    if match:
      elements.setdefault(int(match['number']), set()).add(match['element'])
  if not elements:
    raise reader.LogError(
        f'{directory} holds no Dopamine replay checkpoint: expected files '
        f'named {OBSERVATION}_ckpt.<number>.gz, found '
        f'{", ".join(names[:5]) or "nothing"}{_guess(directory, names)}'
    )
  sentinels = (_SENTINEL_PATTERN.match(name) for name in names)
  return Listing(
      elements={n: frozenset(e) for n, e in sorted(elements.items())},
      sentinels=frozenset(int(match[1]) for match in sentinels if match),
  )


def _guess(directory: str, names: list[str]) -> str:
  """What a directory of another kind probably is."""
  for name in names:
    if os.path.isfile(
        os.path.join(directory, name, 'replay', 'checkpoint.msgpack')
    ):
      return (
          '; it looks like a log of Dopamine 4.1 or later: '
          '--log_format=dopamine_msgpack'
      )
    for inner in ('checkpoints', 'replay_logs'):
      if name == inner:
        return f'; did you mean its folder {name}?'
  return ''


def left_out_elements(
    listing: Listing, numbers: Sequence[int]
) -> tuple[str, ...]:
  """Says what the checkpoints hold beyond what a dataset takes from them."""
  present = frozenset().union(*(listing.elements[n] for n in numbers))
  known = {*_REQUIRED, INVALID_RANGE, EPISODE_END_INDICES}
  losses = []
  for element in sorted(present - known):
    if element == SUM_TREE:
      what = 'The sum tree with the priorities of the replay buffer'
    elif element.startswith(_STORE_PREFIX):
      what = f'The extra store {element.removeprefix(_STORE_PREFIX)!r}'
    else:
      what = f'The file {element}_ckpt.<number>.gz'
    losses.append(f'{what} is not part of the dataset.')
  return tuple(losses)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """The state of the ring buffer at one checkpoint.

  Attributes:
    directory: where its files are.
    number: of the checkpoint.
    capacity: slots of the ring.
    add_count: entries ever added, padding included; entry `a` went to slot
      `a % capacity`.
    frame_shape: shape of one observation.
    has_end_indices: whether ends that are not terminal are marked.
  """

  directory: str
  number: int
  capacity: int
  add_count: int
  frame_shape: tuple[int, ...]
  has_end_indices: bool

  @property
  def oldest_add(self) -> int:
    """The first entry that has not been overwritten."""
    return max(0, self.add_count - self.capacity)

  def path(self, element: str) -> str:
    return path_of(self.directory, element, self.number)

  def name(self, element: str) -> str:
    """The file of an element, relative to the directory."""
    return path_of('', element, self.number)

  def slots(self, first_add: int, end_add: int) -> np.ndarray:
    """Slots of the entries from `first_add` up to, not including, `end_add`."""
    return np.arange(first_add, end_add) % self.capacity

  def sources(self) -> tuple[reader.SourceFile, ...]:
    """Identifies the files that are read."""
    elements = list(_REQUIRED)
    if self.has_end_indices:
      elements.append(EPISODE_END_INDICES)
    return tuple(npy_gzip.source_file(self.path(e)) for e in elements)


def open_checkpoint(
    directory: str, number: int, elements: frozenset[str]
) -> Checkpoint:
  """Reads a checkpoint's count and the headers of its arrays.

  Raises:
    reader.LogError: if a file is missing or cut, or the arrays do not fit.
  """
  missing = [element for element in _REQUIRED if element not in elements]
  if missing:
    raise reader.LogError(
        f'checkpoint {number} of {directory} is incomplete: '
        f'{", ".join(f"{e}_ckpt.{number}.gz" for e in missing)} missing'
    )
  shapes = {}
  for element, dtype in _DTYPES.items():
    path = path_of(directory, element, number)
    stream = npy_gzip.RowStream(path)
    stream.close()
    if stream.dtype != dtype:
      raise reader.LogError(
          f'{path} holds {stream.dtype}; expected {dtype}'
      )
    shapes[element] = stream.shape
  lengths = {element: shape[0] for element, shape in shapes.items()}
  if len(set(lengths.values())) > 1:
    raise reader.LogError(
        f'the arrays of checkpoint {number} of {directory} differ in length: '
        + ', '.join(f'{e} {n}' for e, n in lengths.items())
    )
  for element in (ACTION, REWARD, TERMINAL):
    if len(shapes[element]) != 1:
      raise reader.LogError(
          f'{path_of(directory, element, number)} has shape '
          f'{shapes[element]}; expected one number for each slot'
      )
  path = path_of(directory, ADD_COUNT, number)
  add_count = npy_gzip.read_array(path)
  if add_count.shape != () or add_count.dtype.kind not in 'iu' or add_count < 0:
    raise reader.LogError(
        f'{path} holds {add_count.dtype} {add_count.tolist()}; expected a '
        'count of entries'
    )
  return Checkpoint(
      directory=directory,
      number=number,
      capacity=lengths[ACTION],
      add_count=int(add_count),
      frame_shape=shapes[OBSERVATION][1:],
      has_end_indices=EPISODE_END_INDICES in elements,
  )


class _IntegersUnpickler(pickle.Unpickler):
  """Loads sets of integers and refuses everything else."""

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) not in _ALLOWED_GLOBALS:
      raise pickle.UnpicklingError(f'it asks for {module}.{name}')
    return super().find_class(module, name)


def read_end_indices(path: str, capacity: int) -> frozenset[int]:
  """The slots in which an episode ended.

  Raises:
    reader.LogError: if the file holds anything but a set of slots.
  """
  contents = npy_gzip.read_bytes(path)
  try:
    indices = _IntegersUnpickler(io.BytesIO(contents)).load()
  # A damaged pickle may raise nearly anything.
  except Exception as error:  # pylint: disable=broad-except
    raise reader.LogError(
        f'{path} is not a pickled set of integers ({error})'
    ) from error
  if not isinstance(indices, set) or not all(
      isinstance(i, (int, np.integer)) and 0 <= i < capacity for i in indices
  ):
    raise reader.LogError(
        f'{path} does not hold a set of slots below {capacity}'
    )
  return frozenset(int(i) for i in indices)


def read_metadata(directory: str) -> dict[str, Any]:
  """What the writer said about the log; empty if it said nothing."""
  path = os.path.join(directory, METADATA_FILE)
  if not os.path.exists(path):
    return {}
  try:
    with open(path, encoding='utf-8') as file:
      metadata = json.load(file)
  except ValueError as error:
    raise reader.LogError(f'{path} is not JSON ({error})') from error
  if not isinstance(metadata, dict):
    raise reader.LogError(f'{path} does not hold a JSON object')
  return metadata
