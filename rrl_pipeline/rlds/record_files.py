"""Files of serialised records, in the formats of TFDS, without TensorFlow.

    with record_files.open_writer(path, record_files.ARRAY_RECORD) as writer:
      writer.write(record)

The same records give the same bytes.

* `tfrecord` is what `tf.data` reads; a record lies in it as it is.
* `array_record` gives any record by its number, and compresses each on its own.
  Frames that are stored raw compress across the frames of an episode.

TFDS's other formats are not offered: its Parquet writer drops records (4.9.10
keeps 400 of 1000), and Riegeli has no package to install.
"""

import contextlib
import errno
import os
from typing import BinaryIO, Iterator, Protocol

from array_record.python import array_record_module

from rrl_pipeline.logs import atomic
from rrl_pipeline.rlds import tfrecord

TFRECORD = 'tfrecord'
ARRAY_RECORD = 'array_record'
FILE_FORMATS = (TFRECORD, ARRAY_RECORD)

# One record in a group, as TFDS writes: a reader that wants one record, an
# episode, decompresses no other.
_WRITER_OPTIONS = 'group_size:1'
# By default a reader keeps 16 MB for each core in memory, and reads ahead.
_READER_OPTIONS = 'readahead_buffer_size:0,max_parallelism:0'
# What a full or failing disk answers.
_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class RecordFileError(ValueError):
  """A file of records that is damaged or is none."""


class RecordWriter(Protocol):
  """A file that records are appended to."""

  def write(self, record: bytes) -> None:
    """Appends a record.

    Raises:
      OSError: if the file cannot be written.
    """


def check_format(file_format: str) -> None:
  """Raises ValueError, with the reason, unless the format is offered."""
  if file_format in FILE_FORMATS:
    return
  reason = ''
  if file_format == 'parquet':
    reason = ': the Parquet writer of TFDS loses records'
  elif file_format == 'riegeli':
    reason = ': Riegeli has no package to install'
  raise ValueError(
      f'the file format is {file_format!r}; expected '
      f'{" or ".join(map(repr, FILE_FORMATS))}{reason}'
  )


@contextlib.contextmanager
def open_writer(path: str, file_format: str) -> Iterator[RecordWriter]:
  """A writer of a file that appears at `path`, whole, after the block.

  Args:
    path: of the file; one that is there is replaced.
    file_format: TFRECORD or ARRAY_RECORD.

  Raises:
    ValueError: if the format is another.
    OSError: if the file cannot be written.
  """
  check_format(file_format)
  with atomic.replacing_path(path) as temporary:
    if file_format == TFRECORD:
      with open(temporary, 'wb') as file:
        yield _TFRecordWriter(file)
    else:
      # The package reports a missing folder only after the first record.
      open(temporary, 'wb').close()
      writer = _ArrayRecordWriter(temporary)
      try:
        yield writer
      except BaseException:
        with contextlib.suppress(OSError):
          writer.close()
        raise
      writer.close()


class _TFRecordWriter:
  """Appends to an open file."""

  def __init__(self, file: BinaryIO):
    self._file = file

  def write(self, record: bytes) -> None:
    tfrecord.write(self._file, record)


class _ArrayRecordWriter:
  """Gives the errors of the package, all RuntimeError, their kind."""

  def __init__(self, path: str):
    self._path = path
    self._writer = array_record_module.ArrayRecordWriter(path, _WRITER_OPTIONS)

  def write(self, record: bytes) -> None:
    with self._os_errors():
      self._writer.write(record)

  def close(self) -> None:
    with self._os_errors():
      self._writer.close()

  @contextlib.contextmanager
  def _os_errors(self) -> Iterator[None]:
    try:
      yield
    except RuntimeError as error:
      # The message holds the text of the system's error, but not its number.
      for number in _WRITE_ERRORS:
        if os.strerror(number) in str(error):
          raise OSError(number, os.strerror(number), self._path) from error
      raise OSError(f'{self._path} cannot be written: {error}') from error


def read(path: str, file_format: str) -> Iterator[bytes]:
  """The records of a file, one in memory at a time.

  Raises:
    ValueError: if the format is not known.
    RecordFileError: if the file was cut or is damaged.
    FileNotFoundError: if there is no such file.
  """
  check_format(file_format)
  if file_format == TFRECORD:
    try:
      yield from tfrecord.read(path)
    except tfrecord.TFRecordError as error:
      raise RecordFileError(str(error)) from error
  else:
    yield from _read_array_record(path)


def _read_array_record(path: str) -> Iterator[bytes]:
  os.stat(path)  # The package would see an empty file instead of none.
  reader = array_record_module.ArrayRecordReader(path, _READER_OPTIONS)
  try:
    # A file that was cut has 0 records, and an error only for who asks.
    if not reader.ok():
      reader.read()
    for _ in range(reader.num_records()):
      yield reader.read()
  except (RuntimeError, IndexError) as error:
    raise RecordFileError(f'{path} is damaged: {error}') from error
  finally:
    with contextlib.suppress(RuntimeError):  # The same error once more.
      reader.close()
