"""Cuts the entries of a Dopamine log into padding and episodes."""

from typing import Optional

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine_entries
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import reader


def padding_error(first_add: int, found: str) -> reader.LogError:
  """The error for padding that is none.

  Args:
    first_add: the entry of the first step after the padding.
    found: what is there instead of zeros.
  """
  return reader.LogError(
      f'the padding before the episode whose first step is entry {first_add} '
      f'holds {found}; expected zeros only. Was the log written with another '
      'stack size? Give it with --stack_size'
  )


class PieceColumns:
  """What tells steps, padding and ends apart in one piece."""

  def __init__(
      self, piece: dopamine_entries.Piece, entries: dopamine_entries.Entries
  ):
    self.piece = piece
    self._entries = entries
    checkpoint = piece.checkpoint
    slots = checkpoint.slots(piece.first_add, piece.end_add)
    terminal = entries.array(checkpoint, files.TERMINAL)[slots]
    if terminal.max() > 1:
      raise reader.LogError(
          f'{checkpoint.path(files.TERMINAL)} holds {terminal.max()} for entry '
          f'{piece.first_add + int(terminal.argmax())}; expected 0 or 1'
      )
    self.terminal = terminal != 0
    is_end = self.terminal.copy()
    if checkpoint.has_end_indices:
      marked = files.read_end_indices(
          checkpoint.path(files.EPISODE_END_INDICES), checkpoint.capacity
      )
      is_end |= np.isin(slots, list(marked))
    self.ends = np.flatnonzero(is_end) + piece.first_add
    self._is_zero = (
        (entries.array(checkpoint, files.ACTION)[slots] == 0)
        & (entries.array(checkpoint, files.REWARD)[slots] == 0)
        & ~is_end
    )

  def end_from(self, add: int) -> Optional[int]:
    """The first end at or after `add`."""
    i = np.searchsorted(self.ends, add)
    return int(self.ends[i]) if i < len(self.ends) else None

  def is_terminal(self, add: int) -> bool:
    return bool(self.terminal[add - self.piece.first_add])

  def are_zero(self, add: int, end_add: int) -> bool:
    """Whether entries look like padding, apart from their frames."""
    first = self.piece.first_add
    return bool(self._is_zero[add - first : end_add - first].all())

  def leading_padding(self, at_most: int) -> int:
    """How many entries of padding the piece begins with."""
    first = self.piece.first_add
    count = 0
    while count < at_most and self.are_zero(first + count, first + count + 1):
      count += 1
    zero_frames = 0
    for block in self._entries.frames(first, first + count):
      for frame in block:
        if frame.any():
          return zero_frames
        zero_frames += 1
    return zero_frames


class SpanBuilder:
  """Cuts the entries of a log, piece by piece, into padding and episodes.

  Attributes:
    spans: the episodes that are closed.
    padding: entries of padding so far.
  """

  def __init__(self, stack_size: int):
    self.spans = []
    self.padding = 0
    self._full_padding = stack_size - 1
    self._episode_counts = {}
    self._expect_episode(self._full_padding, complete=True)

  def _expect_episode(self, padding: int, complete: bool) -> None:
    self._padding_left = padding
    self._padding_seen = 0
    self._complete = complete
    self._first_add = None
    self._checkpoint = None

  def add_piece(self, columns: PieceColumns, continues: bool) -> None:
    """Goes on with the next piece.

    Args:
      columns: of the piece.
      continues: whether it follows the entry that the last piece ended with.
    """
    piece = columns.piece
    add = piece.first_add
    if not continues:
      self.finish()
      # What came before is lost. A rest of padding proves that the next entry
      # starts an episode; otherwise its first steps may be lost as well.
      leading = columns.leading_padding(self._full_padding)
      self._expect_episode(leading, complete=leading > 0)
    while add < piece.end_add:
      if self._padding_left:
        count = min(self._padding_left, piece.end_add - add)
        if not columns.are_zero(add, add + count):
          raise padding_error(
              add + self._padding_left, 'an action, a reward or an end'
          )
        self._padding_left -= count
        self._padding_seen += count
        self.padding += count
        add += count
        continue
      if self._first_add is None:
        self._first_add = add
        self._checkpoint = piece.checkpoint
      end = columns.end_from(add)
      if end is None:
        self._end_add = piece.end_add
        return
      self._end_add = end + 1
      self._close(
          types.EpisodeEnd.TERMINAL
          if columns.is_terminal(end)
          else types.EpisodeEnd.TRUNCATED
      )
      add = end + 1

  def finish(self) -> None:
    """Closes the episode that the log ends in, if there is one."""
    if self._first_add is not None:
      self._close(types.EpisodeEnd.LOG_END)

  def _close(self, end: types.EpisodeEnd) -> None:
    number = self._checkpoint.number
    self._episode_counts.setdefault(number, 0)
    self.spans.append(
        reader.EpisodeSpan(
            checkpoint_id=number,
            episode_id=self._episode_counts[number],
            first_add=self._first_add,
            length=self._end_add - self._first_add,
            padding=self._padding_seen,
            end=end,
            complete_start=self._complete,
            source=self._checkpoint.name(files.OBSERVATION),
            first_slot=self._first_add % self._checkpoint.capacity,
        )
    )
    self._episode_counts[number] += 1
    self._expect_episode(self._full_padding, complete=True)
