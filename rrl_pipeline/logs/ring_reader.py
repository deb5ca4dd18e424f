"""Reads the states of one ring buffer, saved at several times, as episodes."""

import contextlib
import dataclasses
import functools
from typing import Callable, Iterator, Sequence

import numpy as np

from rrl_pipeline.logs import dopamine_entries
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import dopamine_spans
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import time_limits

# What no log of this kind ever held.
_LOSSES = (
    'The observation after the last action of an episode was never stored.',
    'Raw rewards: Dopamine clips them to [-1, 1] before it stores them, unless '
    'told otherwise, so that returns are not scores.',
)


@dataclasses.dataclass(frozen=True)
class Selection:
  """The saved states to read.

  Attributes:
    checkpoints: in the order in which they were saved.
    ends_marked: whether every end of an episode is marked.
    warnings: what the user should know about the choice.
    losses: what the choice leaves out.
  """

  checkpoints: tuple[files.Checkpoint, ...]
  ends_marked: bool
  warnings: tuple[str, ...] = ()
  losses: tuple[str, ...] = ()


class RingReader:
  """A `reader.LogReader` of a ring buffer; see there."""

  def __init__(
      self,
      select: Callable[[], Selection],
      stack_size: int,
      time_limit_steps: Sequence[int],
  ):
    """Prepares to read; no file is opened yet.

    Args:
      select: finds the states to read.
      stack_size: frames that the agent stacked.
      time_limit_steps: see `time_limits.recognise`.
    """
    self._select = select
    self._stack_size = stack_size
    self._time_limit_steps = time_limit_steps

  @functools.cached_property
  def _selection(self) -> Selection:
    return self._select()

  @functools.cached_property
  def _pieces(self) -> tuple[dopamine_entries.Piece, ...]:
    return dopamine_entries.merge(self._selection.checkpoints)

  def index(self) -> reader.LogIndex:
    """See base class."""
    checkpoints = self._selection.checkpoints
    builder = dopamine_spans.SpanBuilder(self._stack_size)
    left_out = 0
    end = 0
    with contextlib.closing(dopamine_entries.Entries(self._pieces)) as entries:
      for earlier, piece in zip((None, *self._pieces), self._pieces):
        if earlier is not None:
          dopamine_entries.check_same_run(earlier, piece, entries)
        builder.add_piece(
            dopamine_spans.PieceColumns(piece, entries),
            continues=piece.first_add == end,
        )
        left_out += piece.first_add - end
        end = piece.end_add
    builder.finish()
    numbers = tuple(c.number for c in checkpoints)
    accounting = reader.account(
        builder.spans,
        adds=end,
        padding=builder.padding,
        left_out=left_out,
        directory=checkpoints[0].directory,
        checkpoints=numbers,
    )
    spans, limit_warnings = time_limits.recognise(
        builder.spans, self._time_limit_steps
    )
    return reader.LogIndex(
        spans=spans,
        accounting=accounting,
        checkpoints=numbers,
        sources={c.number: c.sources() for c in checkpoints},
        frame_shape=checkpoints[0].frame_shape,
        ends_marked=self._selection.ends_marked,
        metadata=files.read_metadata(checkpoints[0].directory),
        warnings=self._selection.warnings + limit_warnings,
        losses=_LOSSES + self._selection.losses + _overwritten(accounting),
    )

  def read(
      self, spans: Sequence[reader.EpisodeSpan]
  ) -> Iterator[reader.EpisodeStream]:
    """See base class."""
    with contextlib.closing(dopamine_entries.Entries(self._pieces)) as entries:
      for span in spans:
        end_add = span.first_add + span.length
        yield reader.EpisodeStream(
            span=span,
            actions=entries.column(files.ACTION, span.first_add, end_add),
            rewards=entries.column(files.REWARD, span.first_add, end_add),
            frames=self._frames(entries, span),
        )
      entries.finish()

  def _frames(
      self, entries: dopamine_entries.Entries, span: reader.EpisodeSpan
  ) -> Iterator[np.ndarray]:
    """The frames of an episode, after checking the padding before them."""
    for block in entries.frames(span.first_add - span.padding, span.first_add):
      if block.any():
        entries.finish()  # A damaged file is the likelier reason, and is named.
        (checkpoint,) = (
            c
            for c in self._selection.checkpoints
            if c.number == span.checkpoint_id
        )
        raise dopamine_spans.padding_error(
            checkpoint, span.first_add, 'a frame that is not all zero'
        )
    yield from entries.frames(span.first_add, span.first_add + span.length)


def _overwritten(accounting: reader.Accounting) -> tuple[str, ...]:
  if not accounting.left_out:
    return ()
  return (
      f'{accounting.left_out} of the {accounting.adds} entries of the log are '
      'in none of the files read: overwritten in the ring, or never saved.',
  )
