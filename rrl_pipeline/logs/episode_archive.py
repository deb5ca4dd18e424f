"""One recorded episode in one file, which `numpy.load` reads too.

An episode of T steps is a zip archive of `observations.npy` [T + 1, ...],
`actions.npy` [T, ...], `rewards.npy` [T], `discounts.npy` [T] float32,
`episode.json`, its place in the recording, and, if anything else is known of the
episode, `metadata.json`, a JSON object. Everything is compressed and has a
CRC-32, which is checked when it is read to its end. Nothing depends on time or
machine: the same episode is the same bytes.
"""

import contextlib
import dataclasses
import errno
import json
import math
import os
import struct
from typing import Any, IO, BinaryIO, Iterator, Mapping, Sequence
import zipfile
import zlib

import numpy as np

from rrl_pipeline.logs import reader

HEADER = 'episode.json'
METADATA = 'metadata.json'
OBSERVATIONS = 'observations'
ACTIONS = 'actions'
REWARDS = 'rewards'
DISCOUNTS = 'discounts'
DISCOUNT_DTYPE = 'float32'
_ARRAYS = (OBSERVATIONS, ACTIONS, REWARDS, DISCOUNTS)

# Larger members need longer fields, which must be known before they are
# written; compressed they are never larger than this.
_ZIP64_BYTES = 1 << 30
_BLOCK_BYTES = 1 << 20
# What zipfile and NumPy raise when they read a damaged archive.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True)
class Header:
  """An episode's place in the recording.

  Attributes:
    writer: number of its writer.
    episode: its number among the episodes of that writer.
    first_step: steps that the writer recorded before it.
    length: T.
    terminal: False if a time limit or a caller cut it.
  """

  writer: int
  episode: int
  first_step: int
  length: int
  terminal: bool

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if type(value) is not field.type or value < (field.name == 'length'):
        raise ValueError(f'its {field.name} is {value!r}')


def write(
    file: BinaryIO,
    header: Header,
    arrays: Mapping[str, Sequence[np.ndarray]],
    metadata: Mapping[str, Any],
) -> None:
  """Writes an episode.

  Args:
    file: to write to.
    header: of the episode.
    arrays: the rows of each array, all of one shape and dtype.
    metadata: of the episode, as JSON; if it is empty, nothing is written of it.
  """
  with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, fields in (
        (HEADER, dataclasses.asdict(header)), (METADATA, dict(metadata))
    ):
      if fields:
        with archive.open(name, 'w') as member:
          member.write(json.dumps(fields, sort_keys=True).encode())
    for name in _ARRAYS:
      rows = arrays[name]
      size = len(rows) * rows[0].nbytes
      with archive.open(
          f'{name}.npy', 'w', force_zip64=size >= _ZIP64_BYTES
      ) as member:
        _write_rows(member, rows)


def _write_rows(file: IO[bytes], rows: Sequence[np.ndarray]) -> None:
  """Writes rows as one array, without stacking them in memory."""
  np.lib.format.write_array_header_1_0(
      file,
      {
          'descr': np.lib.format.dtype_to_descr(rows[0].dtype),
          'fortran_order': False,
          'shape': (len(rows), *rows[0].shape),
      },
  )
  for row in rows:
    file.write(row.tobytes())


class EpisodeArchive:
  """Reads an episode; a context manager.

  Attributes:
    header: of the episode.
    metadata: what else was recorded of it, as JSON.
  """

  def __init__(self, path: str):
    """Opens the file and reads its header.

    Raises:
      reader.LogError: if the file is missing or damaged.
    """
    self._path = path
    with self._named_errors():
      self._zip = zipfile.ZipFile(path)
    try:
      with self._named_errors():
        self.header = Header(**json.loads(self._zip.read(HEADER)))
        self.metadata = {}
        if METADATA in self._zip.namelist():
          self.metadata = dict(json.loads(self._zip.read(METADATA)))
    except reader.LogError:
      self._zip.close()
      raise

  def __enter__(self) -> 'EpisodeArchive':
    return self

  def __exit__(self, *_) -> None:
    self.close()

  def close(self) -> None:
    self._zip.close()

  def source_file(self) -> reader.SourceFile:
    """What identifies the contents; its CRC is that of the members' CRCs."""
    names = [HEADER, *(f'{name}.npy' for name in _ARRAYS)]
    if self.metadata:
      names.append(METADATA)
    with self._named_errors():
      checksums = [self._zip.getinfo(name).CRC for name in names]
    return reader.SourceFile(
        name=os.path.basename(self._path),
        size=os.path.getsize(self._path),
        crc32=zlib.crc32(np.array(checksums, '<u4').tobytes()),
    )

  def array(
      self, name: str, shape: tuple[int, ...], dtype: str
  ) -> np.ndarray:
    """Reads an array whole.

    Args:
      name: of the array.
      shape: that it must have.
      dtype: that it must have.

    Raises:
      reader.LogError: if it is damaged, or another array.
    """
    with self._member(name, shape, dtype) as member:
      data = _read(member, math.prod(shape) * np.dtype(dtype).itemsize)
    return np.frombuffer(data, dtype).reshape(shape)

  def blocks(
      self, name: str, shape: tuple[int, ...], dtype: str
  ) -> Iterator[np.ndarray]:
    """Reads an array as blocks of consecutive rows, about 1 MB each.

    Args:
      name: of the array.
      shape: that it must have.
      dtype: that it must have.

    Raises:
      reader.LogError: if it is damaged, or another array; a wrong checksum is
        noticed after the last block.
    """
    row_bytes = math.prod(shape[1:]) * np.dtype(dtype).itemsize
    rows = max(1, _BLOCK_BYTES // max(1, row_bytes))
    with self._member(name, shape, dtype) as member:
      for start in range(0, shape[0], rows):
        count = min(rows, shape[0] - start)
        data = _read(member, count * row_bytes)
        yield np.frombuffer(data, dtype).reshape(count, *shape[1:])

  @contextlib.contextmanager
  def _member(
      self, name: str, shape: tuple[int, ...], dtype: str
  ) -> Iterator[IO[bytes]]:
    """A member at the first byte of its array; it must be read to its end."""
    with self._named_errors():
      info = self._zip.getinfo(f'{name}.npy')
      with self._zip.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
          raise ValueError(f'{name} is not in version 1.0 of the npy format')
        found_shape, fortran_order, found_dtype = (
            np.lib.format.read_array_header_1_0(member)
        )
        if (found_shape, found_dtype) != (shape, dtype) or fortran_order:
          raise ValueError(
              f'its {name} are {found_dtype} {found_shape}; expected {dtype} '
              f'{shape}'
          )
        size = math.prod(shape) * found_dtype.itemsize
        if info.file_size != member.tell() + size:
          raise ValueError(f'its {name} have {info.file_size} bytes')
        yield member
        # The checksum is compared only when the end is reached.
        if member.read(1):
          raise ValueError(f'its {name} are longer than they say')

  @contextlib.contextmanager
  def _named_errors(self) -> Iterator[None]:
    """Turns what a damaged archive raises into an error that names it."""
    try:
      yield
    except reader.LogError:
      raise
    except FileNotFoundError as error:
      raise reader.LogError(f'{self._path} does not exist') from error
    except (*_DAMAGE, OSError) as error:
      # A place in the file that cannot be is an invalid argument.
      if isinstance(error, OSError) and error.errno != errno.EINVAL:
        raise
      raise reader.LogError(
          f'{self._path} is damaged ({error}); copy it again from where it was '
          'recorded, or remove it to leave its episode out'
      ) from error


def _read(file: IO[bytes], size: int) -> bytes:
  data = file.read(size)
  if len(data) < size:
    raise EOFError(f'it ends {size - len(data)} bytes too early')
  return data
