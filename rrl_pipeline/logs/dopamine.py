"""Reads the replay checkpoints of Dopamine up to 4.0 as episodes.

Dopamine keeps single steps (o_t, a_t, r_t, terminal_t) in a ring buffer
(`circular_replay_buffer.py`): entry `a` goes to slot `a % capacity`, and before
the first step of every episode come stack_size - 1 entries of zeros. The
observation after the last action of an episode is never stored. An episode ends
where `terminal` is 1 or where its slot is among the `episode_end_indices`; in
the latter case alone a time limit ended it.
"""

import contextlib
import dataclasses
import functools
from typing import Iterator, Sequence

import numpy as np

from rrl_pipeline.logs import checkpoint_choice
from rrl_pipeline.logs import dopamine_entries
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import dopamine_spans
from rrl_pipeline.logs import reader


@dataclasses.dataclass(frozen=True)
class DopamineLogConfig:
  """Which checkpoints of a log to read.

  Attributes:
    directory: where the files are.
    checkpoints: 'latest' (the newest complete one), 'all', or numbers: '0,2'.
    stack_size: frames that the agent stacked; the log has one entry of padding
      less than that before each episode.
    time_limit_steps: lengths of episodes at which a time limit ended them, for
      logs that store such an end as terminal.
  """

  directory: str
  checkpoints: str = 'latest'
  stack_size: int = 4
  time_limit_steps: tuple[int, ...] = (27000, 25000)

  def __post_init__(self):
    if self.stack_size < 1:
      raise ValueError(f'stack_size is {self.stack_size}; expected at least 1')
    checkpoint_choice.check(self.checkpoints)


class DopamineReader:
  """A `reader.LogReader`; see there."""

  def __init__(self, config: DopamineLogConfig):
    self._config = config

  @functools.cached_property
  def _selection(self) -> tuple[tuple[files.Checkpoint, ...], tuple[str, ...]]:
    """The checkpoints to read, and warnings."""
    listing = files.list_checkpoints(self._config.directory)
    numbers, warnings = _select(listing, self._config)
    return tuple(
        files.open_checkpoint(
            self._config.directory, number, listing.elements[number]
        )
        for number in numbers
    ), warnings

  @functools.cached_property
  def _pieces(self) -> tuple[dopamine_entries.Piece, ...]:
    return dopamine_entries.merge(self._selection[0])

  def index(self) -> reader.LogIndex:
    """See base class."""
    checkpoints, warnings = self._selection
    builder = dopamine_spans.SpanBuilder(self._config.stack_size)
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
    if not builder.spans:
      raise reader.LogError(
          f'{self._config.directory} holds no steps in checkpoints '
          f'{", ".join(str(c.number) for c in checkpoints)}'
      )
    accounting = reader.Accounting(
        adds=end,
        transitions=sum(span.length for span in builder.spans),
        padding=builder.padding,
        left_out=left_out,
    )
    accounting.check()
    unmarked = [c.number for c in checkpoints if not c.has_end_indices]
    if unmarked:
      warnings += (
          f'checkpoints {unmarked} have no {files.EPISODE_END_INDICES} file: '
          'only terminal ends are known',
      )
    return reader.LogIndex(
        spans=tuple(builder.spans),
        accounting=accounting,
        checkpoints=tuple(c.number for c in checkpoints),
        sources={c.number: c.sources() for c in checkpoints},
        frame_shape=checkpoints[0].frame_shape,
        ends_marked=not unmarked,
        metadata=files.read_metadata(self._config.directory),
        warnings=warnings,
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
            frames=_episode_frames(entries, span),
        )
      entries.finish()


def _episode_frames(
    entries: dopamine_entries.Entries, span: reader.EpisodeSpan
) -> Iterator[np.ndarray]:
  """The frames of an episode, after checking the padding before them."""
  for block in entries.frames(span.first_add - span.padding, span.first_add):
    if block.any():
      entries.finish()  # A damaged file is the likelier reason, and is named.
      raise dopamine_spans.padding_error(
          span.first_add, 'a frame that is not all zero'
      )
  yield from entries.frames(span.first_add, span.first_add + span.length)


def _select(
    listing: files.Listing, config: DopamineLogConfig
) -> tuple[tuple[int, ...], tuple[str, ...]]:
  """The numbers of the checkpoints to read, and warnings."""
  present = tuple(listing.elements)
  warnings = ()
  complete = tuple(n for n in present if n in listing.sentinels)
  if not listing.sentinels:
    warnings += (
        f'{config.directory} has no sentinel files: whether its checkpoints '
        'were written to their end is not known',
    )
    complete = present
  if config.checkpoints == 'latest':
    if not complete:
      raise reader.LogError(
          f'{config.directory} has no complete checkpoint: '
          f'{files.sentinel_path("", present[-1])} is missing'
      )
    skipped = [n for n in present if n > complete[-1]]
    if skipped:
      warnings += (
          f'checkpoints {skipped} have no sentinel, so they are incomplete; '
          f'reading {complete[-1]}',
      )
    return complete[-1:], warnings
  numbers = (
      present
      if config.checkpoints == 'all'
      else checkpoint_choice.parse_numbers(config.checkpoints)
  )
  for number in numbers:
    if number not in present:
      raise reader.LogError(
          f'{config.directory} has no checkpoint {number}; it has '
          f'{", ".join(map(str, present))}'
      )
    if number not in complete:
      raise reader.LogError(
          f'checkpoint {number} of {config.directory} was not written to its '
          f'end: {files.sentinel_path("", number)} is missing; choose others '
          f'with --checkpoints={",".join(map(str, complete)) or "N"}'
      )
  return numbers, warnings
