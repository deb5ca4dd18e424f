"""Reads the replay checkpoints of Dopamine 4.1 and later as episodes.

What the buffer holds, and what it lost, is told in `dopamine_msgpack_spans`. An
episode read from it has one observation more than actions: its last observation
is real, is not terminal, and neither the action taken there nor what it brought
is in the log, whether or not that action ended the game.
"""

import array
import bisect
import contextlib
import dataclasses
import functools
import math
import os
from typing import Iterator, Sequence

import numpy as np

from rrl_pipeline.logs import checkpoint_choice
from rrl_pipeline.logs import dopamine_msgpack_files as files
from rrl_pipeline.logs import dopamine_msgpack_horizon as horizon
from rrl_pipeline.logs import dopamine_msgpack_spans as msgpack_spans
from rrl_pipeline.logs import reader

_BLOCK_FRAMES = 256  # 1.8 MB of Atari frames.


@dataclasses.dataclass(frozen=True)
class DopamineMsgpackLogConfig:
  """Which checkpoints of a log to read.

  Attributes:
    directory: where the folders of the checkpoints are.
    checkpoints: 'latest' (the newest complete one), 'all', or numbers: '0,2'.
    time_limit_steps: lengths of episodes at which a time limit ended them
      though they are stored as terminal.
  """

  directory: str
  checkpoints: str = checkpoint_choice.LATEST
  time_limit_steps: tuple[int, ...] = (27000, 25000)

  def __post_init__(self):
    checkpoint_choice.check(self.checkpoints)


@dataclasses.dataclass(frozen=True)
class _Piece:
  """Consecutive elements that are taken from one checkpoint.

  Attributes:
    number: of the checkpoint.
    first_add: the first that is taken.
    end_add: the one behind the last that is taken.
  """

  number: int
  first_add: int
  end_add: int


class DopamineMsgpackReader:
  """A `reader.LogReader`; see there."""

  def __init__(self, config: DopamineMsgpackLogConfig):
    self._config = config

  @functools.cached_property
  def _selection(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Numbers of the checkpoints to read, and warnings."""
    listing = files.list_checkpoints(self._config.directory)
    return checkpoint_choice.choose_complete(
        self._config.checkpoints,
        listing.numbers,
        listing.sentinels,
        self._config.directory,
    )

  @functools.cached_property
  def _pieces(self) -> tuple[_Piece, ...]:
    """Decides which elements are taken from which checkpoint.

    Each is taken from the first of the checkpoints that holds it.
    """
    directory = self._config.directory
    pieces = []
    end = 0
    for number in self._selection[0]:
      with contextlib.closing(files.ElementStream(directory, number)) as stream:
        horizon.check(stream)
        held, count = stream.first_add, stream.end_add
      if count < end:
        raise reader.LogError(
            f'checkpoint {number} of {directory} counts {count} elements, '
            f'fewer than the {end} of an earlier one: they are not of one run'
        )
      pieces.append(_Piece(number, min(max(end, held), count), count))
      end = count
    return tuple(pieces)

  def index(self) -> reader.LogIndex:
    """See base class."""
    config = self._config
    numbers, warnings = self._selection
    builder = msgpack_spans.SpanBuilder(config.time_limit_steps)
    sources = {}
    sampling = set()
    left_out = 0
    end = 0
    compare = _Overlap()
    for piece in self._pieces:
      stream = files.ElementStream(config.directory, piece.number)
      with contextlib.closing(stream):
        if piece.first_add > end:
          builder.interrupt()
          left_out += piece.first_add - end
        while stream.position < stream.end_add:
          slot = stream.position - stream.first_add
          element = stream.read()
          compare.check(element)
          if element.add >= piece.first_add:
            builder.add(element, piece.number, slot)
        sampling |= stream.finish()
      end = piece.end_add
      sources[piece.number] = (
          reader.SourceFile(
              files.name_of(piece.number),
              os.path.getsize(stream.path),
              stream.crc32,
          ),
      )
    builder.interrupt()
    accounting = reader.account(
        builder.spans,
        adds=end,
        padding=builder.repetitions,
        left_out=left_out,
        directory=config.directory,
        checkpoints=numbers,
    )
    return reader.LogIndex(
        spans=tuple(builder.spans),
        accounting=accounting,
        checkpoints=numbers,
        sources=sources,
        frame_shape=builder.stack_shape[:-1],
        ends_marked=True,
        metadata={'stack_size': builder.stack_shape[-1]},
        warnings=warnings,
        losses=_losses(builder, accounting, 'sum_tree' in sampling),
    )

  def read(
      self, spans: Sequence[reader.EpisodeSpan]
  ) -> Iterator[reader.EpisodeStream]:
    """See base class."""
    with contextlib.closing(
        _Elements(self._config.directory, self._pieces)
    ) as elements:
      for span in spans:
        # Still compressed: 2 KB for each step of an Atari game.
        episode = elements.take(span.first_add, span.first_add + span.length)
        yield reader.EpisodeStream(
            span=span,
            actions=np.array([e.action for e in episode], np.int64),
            rewards=np.array([e.reward for e in episode], np.float32),
            frames=_frames(episode),
        )


def _losses(
    builder: msgpack_spans.SpanBuilder,
    accounting: reader.Accounting,
    has_priorities: bool,
) -> tuple[str, ...]:
  losses = [
      'The last action of every episode, its reward and the observation after '
      'it were never stored: each episode ends, not terminal, with the '
      'observation before that action, and its return lacks the last reward.',
      'Raw rewards: Dopamine clips them to [-1, 1] before it stores them, '
      'unless told otherwise, so that returns are not scores.',
  ]
  if builder.terminal_ends:
    losses.append(
        f'The terminal end of {builder.terminal_ends} of the '
        f'{len(builder.spans)} episodes: it came with that last action.'
    )
  if has_priorities:
    losses.append(
        'The sum tree with the priorities of the replay buffer is not part of '
        'the dataset.'
    )
  if accounting.left_out:
    losses.append(
        f'{accounting.left_out} of the {accounting.adds} elements of the log '
        'are in none of the files read: the buffer had dropped them.'
    )
  return tuple(losses)


class _Overlap:
  """Compares what a checkpoint holds with what the one before it held."""

  def __init__(self):
    self._path = None
    self._columns = _Columns(0)
    self._earlier_path = None
    self._earlier = _Columns(0)

  def check(self, element: files.Element) -> None:
    """Raises LogError if an element was another one in the earlier file."""
    if element.path != self._path:
      self._earlier_path, self._earlier = self._path, self._columns
      self._path, self._columns = element.path, _Columns(element.add)
    self._columns.append(element)
    if not self._earlier.agrees(element):
      raise reader.LogError(
          f'{element.path} and {self._earlier_path} both hold element '
          f'{element.add}, but not the same one: they are not of one run; '
          'convert them one by one with --checkpoints'
      )


class _Columns:
  """The small parts of a checkpoint's elements, 17 bytes for each."""

  def __init__(self, first_add: int):
    self._first_add = first_add
    self._actions = array.array('q')
    self._rewards = array.array('d')
    self._terminals = bytearray()

  def append(self, element: files.Element) -> None:
    self._actions.append(element.action)
    self._rewards.append(element.reward)
    self._terminals.append(element.is_terminal)

  def agrees(self, element: files.Element) -> bool:
    """Whether an element is as it is here, or is not here."""
    i = element.add - self._first_add
    if not 0 <= i < len(self._actions):
      return True
    # A reward that is not a number is a matter of the validation.
    same_reward = (
        self._rewards[i] == element.reward or math.isnan(element.reward)
    )
    return (
        self._actions[i] == element.action
        and same_reward
        and self._terminals[i] == element.is_terminal
    )


class _Elements:
  """The elements of several checkpoints by their position."""

  def __init__(self, directory: str, pieces: Sequence[_Piece]):
    self._directory = directory
    self._pieces = pieces
    self._ends = [piece.end_add for piece in pieces]
    self._stream = None
    self._number = None

  def take(self, first_add: int, end_add: int) -> list[files.Element]:
    """Consecutive elements."""
    taken = []
    for piece in self._pieces[bisect.bisect_right(self._ends, first_add) :]:
      end = min(end_add, piece.end_add)
      for add in range(max(first_add, piece.first_add), end):
        taken.append(self._read(piece.number, add))
    return taken

  def _read(self, number: int, add: int) -> files.Element:
    if self._number != number or self._stream.position > add:
      self.close()
      self._stream = files.ElementStream(self._directory, number)
      self._number = number
    self._stream.skip_to(add)
    return self._stream.read()

  def close(self) -> None:
    if self._stream is not None:
      self._stream.close()


def _frames(episode: Sequence[files.Element]) -> Iterator[np.ndarray]:
  """The newest frame of each state, and at last that of the next state."""
  for first in range(0, len(episode), _BLOCK_FRAMES):
    block = [
        element.state_frames()[..., -1]
        for element in episode[first : first + _BLOCK_FRAMES]
    ]
    if first + _BLOCK_FRAMES >= len(episode):
      block.append(episode[-1].next_frames()[..., -1])
    yield np.stack(block)
