"""The entries of the checkpoints of one Dopamine run, merged by position.

Checkpoints of one run overlap. Each entry is taken from the first of the chosen
checkpoints that holds it, so that none comes twice.
"""

import bisect
import dataclasses
from typing import Iterator, Sequence

import numpy as np

from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader

_BLOCK_ROWS = 256  # 1.8 MB of Atari frames.


@dataclasses.dataclass(frozen=True)
class Piece:
  """Consecutive entries that are taken from one checkpoint."""

  checkpoint: files.Checkpoint
  first_add: int
  end_add: int


def merge(checkpoints: Sequence[files.Checkpoint]) -> tuple[Piece, ...]:
  """Decides which entries are taken from which checkpoint of a run.

  Args:
    checkpoints: in the order of their numbers.

  Returns:
    Pieces in the order of their entries, none of which comes twice.

  Raises:
    reader.LogError: if they cannot be of one run.
  """
  pieces = []
  end = 0
  for earlier, checkpoint in zip((None, *checkpoints), checkpoints):
    if earlier is not None:
      for what in ('frame_shape', 'capacity'):
        expected = getattr(earlier, what)
        if getattr(checkpoint, what) != expected:
          raise reader.LogError(
              f'checkpoint {checkpoint.number} of {checkpoint.directory} has '
              f'{what} {getattr(checkpoint, what)}, checkpoint '
              f'{earlier.number} has {expected}: they are not of one run'
          )
    if checkpoint.add_count < end:
      raise reader.LogError(
          f'checkpoint {checkpoint.number} of {checkpoint.directory} counts '
          f'{checkpoint.add_count} entries, fewer than the {end} of an earlier '
          'one: they are not of one run'
      )
    first = max(end, checkpoint.oldest_add)
    if first < checkpoint.add_count:
      pieces.append(Piece(checkpoint, first, checkpoint.add_count))
    end = checkpoint.add_count
  return tuple(pieces)


def check_same_run(earlier: Piece, later: Piece, entries: 'Entries') -> None:
  """Compares what two checkpoints both hold."""
  first = max(earlier.checkpoint.oldest_add, later.checkpoint.oldest_add)
  end = earlier.checkpoint.add_count
  if first >= end:
    return
  for element in (files.ACTION, files.REWARD):
    both = (
        entries.array(p.checkpoint, element)[p.checkpoint.slots(first, end)]
        for p in (earlier, later)
    )
    if not np.array_equal(*both, equal_nan=element == files.REWARD):
      raise reader.LogError(
          f'checkpoints {earlier.checkpoint.number} and '
          f'{later.checkpoint.number} of {later.checkpoint.directory} both '
          f'hold entries {first} to {end - 1}, but their {element} differ: '
          'they are not of one run; convert them one by one with --checkpoints'
      )


class Entries:
  """The entries of a merged log by position; small arrays are cached."""

  def __init__(self, pieces: Sequence[Piece]):
    self._pieces = pieces
    self._ends = [piece.end_add for piece in pieces]
    self._arrays = {}
    self._streams = {}
    self._verified = set()

  def _parts(self, first_add: int, end_add: int) -> Iterator[Piece]:
    """Cuts a range of entries where it changes from piece to piece."""
    for piece in self._pieces[bisect.bisect_right(self._ends, first_add) :]:
      if piece.first_add >= end_add:
        return
      yield Piece(
          piece.checkpoint,
          max(first_add, piece.first_add),
          min(end_add, piece.end_add),
      )

  def array(self, checkpoint: files.Checkpoint, element: str) -> np.ndarray:
    """A checkpoint's whole array of a small element, [capacity]."""
    arrays = self._arrays.pop(checkpoint.number, {})
    # Episodes come in order: two checkpoints are in use at a time, at most.
    while len(self._arrays) > 1:
      del self._arrays[next(iter(self._arrays))]
    self._arrays[checkpoint.number] = arrays
    if element not in arrays:
      arrays[element] = npy_gzip.read_array(checkpoint.path(element))
    return arrays[element]

  def column(self, element: str, first_add: int, end_add: int) -> np.ndarray:
    """A small element of consecutive entries, [N]."""
    return np.concatenate([
        self.array(part.checkpoint, element)[
            part.checkpoint.slots(part.first_add, part.end_add)
        ]
        for part in self._parts(first_add, end_add)
    ])

  def frames(self, first_add: int, end_add: int) -> Iterator[np.ndarray]:
    """Blocks of consecutive observations, read from the files as a stream."""
    for part in self._parts(first_add, end_add):
      add = part.first_add
      while add < part.end_add:
        slot = add % part.checkpoint.capacity
        count = min(
            _BLOCK_ROWS, part.end_add - add, part.checkpoint.capacity - slot
        )
        yield self._stream_at(part.checkpoint, slot).read(count)
        add += count

  def _stream_at(
      self, checkpoint: files.Checkpoint, slot: int
  ) -> npy_gzip.RowStream:
    """The stream of a checkpoint's frames, moved to `slot`."""
    stream = self._streams.get(checkpoint.number)
    # A ring's oldest entries lie behind its newest in the file, and a gzip file
    # is read forwards only: going back means starting again.
    if stream is not None and stream.position > slot:
      if stream.position == stream.shape[0]:
        # What was read once to its end need not be when it is opened again.
        stream.finish()
        self._verified.add(checkpoint.number)
      stream.close()
      stream = None
    if stream is None:
      stream = npy_gzip.RowStream(checkpoint.path(files.OBSERVATION))
      self._streams[checkpoint.number] = stream
    stream.skip(slot - stream.position)
    return stream

  def finish(self) -> None:
    """Reads each opened file to its end, once: that checks its checksum."""
    for number, stream in self._streams.items():
      if number not in self._verified:
        stream.finish()

  def close(self) -> None:
    for stream in self._streams.values():
      stream.close()
