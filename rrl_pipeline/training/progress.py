"""Shows how far a long stage has come, how fast it is and what remains.

On a terminal this is one tqdm bar. Where the output goes to a file or a
continuous-integration log, the same text appears as a line every half minute
instead, and once more at the end.
"""

import contextlib
import sys
import time
from typing import Iterator, Optional, Protocol, TextIO

import tqdm

_LINE_INTERVAL_SECONDS = 30.0
_LINE_WIDTH = 79


class Progress(Protocol):
  """What a long loop reports to."""

  def update(self, n: int = 1) -> object:
    """Says that `n` more units are done."""


class _Lines:
  """Writes a line when the last one is old enough."""

  def __init__(
      self, total: int, initial: int, description: str, unit: str, file: TextIO
  ):
    self._total = total
    self._initial = initial
    self._done = initial
    self._description = description
    self._unit = unit
    self._file = file
    self._start = time.monotonic()
    self._last_line = self._start

  def update(self, n: int = 1) -> None:
    self._done += n
    if time.monotonic() - self._last_line >= _LINE_INTERVAL_SECONDS:
      self.write_line()

  def write_line(self) -> None:
    self._last_line = time.monotonic()
    line = tqdm.tqdm.format_meter(
        n=self._done,
        total=self._total,
        elapsed=self._last_line - self._start,
        initial=self._initial,
        prefix=self._description,
        unit=f' {self._unit}',
        ncols=_LINE_WIDTH,
        ascii=True,
    )
    print(line, file=self._file, flush=True)


@contextlib.contextmanager
def progress(
    total: int,
    initial: int,
    description: str,
    unit: str,
    file: Optional[TextIO] = None,
) -> Iterator[Progress]:
  """Shows the progress of the loop in its block.

  Args:
    total: units of work of the whole stage, those of earlier attempts included.
    initial: units that earlier attempts have done; the rate leaves them out.
    description: what is going on, in a word or two.
    unit: what is counted, in the plural.
    file: where to write; standard error if None.

  Yields:
    An object whose `update(n)` the loop calls.
  """
  file = sys.stderr if file is None else file
  if file.isatty():
    with tqdm.tqdm(
        total=total,
        initial=initial,
        desc=description,
        unit=f' {unit}',
        dynamic_ncols=True,
        file=file,
    ) as bar:
      yield bar
  else:
    lines = _Lines(total, initial, description, unit, file)
    try:
      yield lines
    finally:
      lines.write_line()
