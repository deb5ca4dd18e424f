"""The metrics of a run: a CSV file that survives crashes, and TensorBoard.

`metrics.csv` is the truth: one row for each write, appended at once, so that a
killed process loses at most the line it was writing. The TensorBoard events
are a copy of it: TensorFlow buffers events for seconds and cannot take one
back, so when a log is opened again its events are rebuilt from the CSV, and a
resumed run shows neither gaps nor duplicates in either.

TensorFlow is imported at the first write.
"""

import io
import os
import pathlib
from typing import Any, Mapping, Union

import numpy as np

from rrl_pipeline import run_directory

_STEP = 'step'
_FILE_NAME = 'metrics.csv'
_EVENTS_FOLDER = 'tensorboard'
_FLUSH_MILLISECONDS = 10_000
# The file is split at these, and no field is ever quoted.
_FORBIDDEN_IN_NAMES = ',"\r\n'


def read_rows(path: Union[str, os.PathLike]) -> list[dict[str, float]]:
  """Returns the rows of a `metrics.csv`, oldest first.

  Args:
    path: the file. A last line without its newline is being written, or was
      torn by a crash, and is left out.

  Returns:
    For each row the values that it holds by name; 'step' is an int.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a line is no row of this table.
  """
  header, lines = _read_lines(pathlib.Path(path))
  return [
      _parse_row(path, number, header, line)
      for number, line in enumerate(lines, start=2)
  ]


class MetricLog:
  """Appends named values by step to `metrics.csv` and to TensorBoard.

  Opening the log of an interrupted run drops a torn last line. A resumed run
  calls `truncate_after` with the step it resumes from before its first write.
  """

  def __init__(self, directory: Union[str, os.PathLike]):
    """Opens or creates the log in `directory`, which is created if need be.

    Args:
      directory: gets `metrics.csv` and `tensorboard/`.

    Raises:
      ValueError: the `metrics.csv` in it is damaged.
    """
    self._directory = pathlib.Path(directory)
    self._path = self._directory / _FILE_NAME
    self._directory.mkdir(parents=True, exist_ok=True)
    self._writer: Any = None
    self._columns: list[str] = []
    self._last_step = -1
    if self._path.exists():
      header, lines = _read_lines(self._path)
      self._rewrite(
          header,
          [
              _parse_row(self._path, number, header, line)
              for number, line in enumerate(lines, start=2)
          ],
      )
    self._file = open(self._path, 'a', encoding='utf-8')

  @property
  def last_step(self) -> int:
    """The step of the last row; -1 if there is none."""
    return self._last_step

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Appends one row.

    Args:
      step: the counter of this log; never smaller than in the row before, but
        several rows may share a step.
      values: scalars by name. Columns that are new widen the table; rows that
        lack a column leave it empty.

    Raises:
      ValueError: a step that goes back, or a name that cannot head a column.
      OSError: the row could not be written, as when the disk is full.
    """
    step = int(step)
    if step < self._last_step:
      raise ValueError(
          f'{self._path} already holds step {self._last_step}, got step {step};'
          ' a resumed run must call truncate_after(step) first'
      )
    row = {_STEP: step} | {name: float(value) for name, value in values.items()}
    new_columns = [name for name in values if name not in self._columns]
    for name in new_columns:
      _check_name(name)
    if new_columns:
      self._file.close()
      rows = read_rows(self._path) if self._columns else []
      self._rewrite(self._columns + new_columns, rows + [row])
      self._file = open(self._path, 'a', encoding='utf-8')
    else:
      try:
        self._file.write(_format_row(self._columns, row))
        self._file.flush()
      except OSError as error:
        error.filename = os.fspath(self._path)  # It does not say it itself.
        raise
    self._last_step = step
    if self._writer is None:
      self._open_writer()  # Replays the whole file, this row included.
    else:
      _write_events(self._writer, row)

  def truncate_after(self, step: int) -> None:
    """Drops every row later than `step`, from which a run resumes."""
    self._close_writer()
    self._file.close()
    if self._columns:
      rows = [row for row in read_rows(self._path) if row[_STEP] <= step]
      self._rewrite(self._columns, rows)
    self._file = open(self._path, 'a', encoding='utf-8')

  def close(self) -> None:
    self._close_writer()
    self._file.close()

  def __enter__(self) -> 'MetricLog':
    return self

  def __exit__(self, *unused_exception) -> None:
    self.close()

  def _rewrite(self, columns: list[str], rows: list[dict[str, float]]) -> None:
    """Replaces the file as a whole, so that a crash leaves old or new."""
    text = io.StringIO()
    if columns:
      text.write(','.join([_STEP] + columns) + '\n')
    text.writelines(_format_row(columns, row) for row in rows)
    run_directory.write_bytes(self._path, text.getvalue().encode('utf-8'))
    self._columns = columns
    self._last_step = int(rows[-1][_STEP]) if rows else -1

  def _open_writer(self) -> None:
    # Imported here: programs that only read metrics start fast.
    import tensorflow as tf

    folder = self._directory / _EVENTS_FOLDER
    for old in folder.glob('events.out.tfevents.*'):
      old.unlink()
    self._writer = tf.summary.create_file_writer(
        str(folder), flush_millis=_FLUSH_MILLISECONDS
    )
    for row in read_rows(self._path):
      _write_events(self._writer, row)

  def _close_writer(self) -> None:
    if self._writer is not None:
      self._writer.close()
      self._writer = None


def _write_events(writer: Any, row: Mapping[str, float]) -> None:
  import tensorflow as tf

  try:
    # NumPy's numbers: TensorFlow keeps the tensor of each of Python's for ever.
    with writer.as_default(step=np.int64(row[_STEP])):
      for name, value in row.items():
        if name != _STEP:
          tf.summary.scalar(name, np.float32(value))
  except tf.errors.OpError as error:
    raise OSError(
        f'The events for TensorBoard could not be written: {error.message}'
    ) from error


def _check_name(name: str) -> None:
  if not name or name == _STEP or any(c in name for c in _FORBIDDEN_IN_NAMES):
    raise ValueError(
        f"bad metric name {name!r}: it must not be empty, '{_STEP}', or hold a"
        ' comma, a double quote or a line break'
    )


def _format_row(columns: list[str], row: Mapping[str, float]) -> str:
  # repr of a float is the shortest text that reads back to the same value.
  fields = [repr(row[name]) if name in row else '' for name in columns]
  return ','.join([str(int(row[_STEP]))] + fields) + '\n'


def _read_lines(path: pathlib.Path) -> tuple[list[str], list[str]]:
  """Returns the columns beside 'step' and the complete lines below them."""
  complete, _, _ = path.read_bytes().rpartition(b'\n')
  if not complete:
    return [], []
  header, *lines = complete.decode('utf-8', errors='replace').split('\n')
  step_name, *columns = header.split(',')
  if step_name != _STEP:
    raise ValueError(
        f"{path} is no metrics file: its first column must be '{_STEP}', got"
        f' {step_name!r}; move the file away'
    )
  return columns, lines


def _parse_row(
    path: Union[str, os.PathLike], number: int, columns: list[str], line: str
) -> dict[str, float]:
  """Reads one line; `number` counts from 1 and is for the error only."""
  fields = line.split(',')
  try:
    if len(fields) != len(columns) + 1:
      raise ValueError(f'{len(fields)} fields')
    values = {
        name: float(field)
        for name, field in zip(columns, fields[1:], strict=True)
        if field
    }
    return {_STEP: int(fields[0])} | values
  except ValueError as error:
    raise ValueError(
        f'{path}, line {number} is damaged: expected {len(columns) + 1} numbers'
        f' or empty fields, got {line[:60]!r} ({error}); remove that line'
    ) from error
