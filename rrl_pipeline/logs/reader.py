"""What the conversion asks of a log, whatever its format.

A reader answers in two steps. `index` looks only at the small arrays and says
which episodes the log holds, where they lie and what was left out; it runs
once, in the main process. `read` then hands out the frames of any of those
episodes as a stream of blocks; it runs in the workers, each on its own share.
"""

import dataclasses
from typing import Any, Iterator, Mapping, Optional, Protocol, Sequence

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.logs import bounds as bounds_lib


class LogError(ValueError):
  """A log that cannot be read: says which file, what is wrong, what to do."""


@dataclasses.dataclass(frozen=True)
class EpisodeSpan:
  """Where one episode lies in its log.

  Positions count the entries written to the log since it began ("adds"),
  padding included; they are the same in every checkpoint of a run.

  Attributes:
    checkpoint_id: number of the checkpoint that holds the first step.
    episode_id: index of the episode among those of that checkpoint.
    first_add: position of the first step.
    length: T, the number of steps (actions).
    padding: entries of padding before the first step that the log still holds;
      they are checked and left out.
    end: how the episode ended.
    complete_start: False if the log has lost the episode's first steps.
    source: name of the file that holds the first observation, relative to the
      log's directory.
    first_slot: place of the first step in that file.
    has_final_observation: whether the log also holds the observation after the
      last action; the episode then has T + 1 frames instead of T.
  """

  checkpoint_id: int
  episode_id: int
  first_add: int
  length: int
  padding: int
  end: types.EpisodeEnd
  complete_start: bool
  source: str = ''
  first_slot: int = 0
  has_final_observation: bool = False

  def __str__(self) -> str:
    return (
        f'checkpoint {self.checkpoint_id}, episode {self.episode_id} '
        f'(adds {self.first_add} to {self.first_add + self.length - 1})'
    )


@dataclasses.dataclass(frozen=True)
class Accounting:
  """What became of every entry that was ever added to the log.

  Attributes:
    adds: entries written to the log since it began.
    transitions: those that are steps of the indexed episodes.
    padding: those that are padding, or repeat a step that was counted.
    left_out: those that no checkpoint holds any more.
  """

  adds: int
  transitions: int
  padding: int
  left_out: int

  def check(self) -> None:
    """Raises LogError unless every entry is accounted for exactly once."""
    accounted = self.transitions + self.padding + self.left_out
    if accounted != self.adds:
      raise LogError(
          f'the log does not add up: {self.transitions} transitions + '
          f'{self.padding} padding + {self.left_out} left out = {accounted}, '
          f'but its add count says {self.adds}'
      )


def account(
    spans: Sequence[EpisodeSpan],
    adds: int,
    padding: int,
    left_out: int,
    directory: str,
    checkpoints: Sequence[int],
) -> Accounting:
  """What became of the entries of a log, after checking that it adds up.

  Args:
    spans: the episodes found.
    adds: see `Accounting`, and the two that follow.
    padding: entries that are no step of their own.
    left_out: entries that are lost.
    directory: of the log.
    checkpoints: the numbers of those that were read.

  Raises:
    LogError: if it does not, or if there are no episodes.
  """
  if not spans:
    raise LogError(
        f'{directory} holds no steps in checkpoints '
        f'{", ".join(map(str, checkpoints))}'
    )
  accounting = Accounting(
      adds=adds,
      transitions=sum(span.length for span in spans),
      padding=padding,
      left_out=left_out,
  )
  accounting.check()
  return accounting


@dataclasses.dataclass(frozen=True)
class SourceFile:
  """What tells one version of a log file from another.

  Attributes:
    name: file name within the log directory.
    size: bytes of the file.
    crc32: CRC-32 of its contents; of a gzip file the decompressed ones, as its
      trailer says.
  """

  name: str
  size: int
  crc32: int


@dataclasses.dataclass(frozen=True)
class LogIndex:
  """What a log holds.

  Attributes:
    spans: the episodes, in the order in which they were played.
    accounting: what became of every entry.
    checkpoints: the numbers of the checkpoints that are read.
    sources: for each of them, its files.
    frame_shape: shape of one observation.
    frame_dtype: dtype of its numbers.
    bounds: the range that the environment declares for them, if the log says.
    ends_marked: False if the log does not mark ends other than terminal ones.
    metadata: what the writer of the log said about it.
    warnings: what the user should know, one line each.
    losses: what this format never held or no longer holds, one sentence each;
      they go into the dataset's metadata and card.
  """

  spans: Sequence[EpisodeSpan]
  accounting: Accounting
  checkpoints: Sequence[int]
  sources: Mapping[int, Sequence[SourceFile]]
  frame_shape: tuple[int, ...]
  ends_marked: bool
  metadata: Mapping[str, Any]
  warnings: Sequence[str]
  losses: Sequence[str] = ()
  frame_dtype: str = 'uint8'
  bounds: Optional[bounds_lib.Bounds] = None


@dataclasses.dataclass(frozen=True)
class EpisodeStream:
  """An episode whose frames are still in the file.

  Attributes:
    span: which episode it is.
    actions: [T], in the dtype of the log.
    rewards: [T], in the dtype of the log.
    frames: blocks [N, ...] of consecutive observations, T in all, or T + 1 if
      the span has its final observation. They can be taken once, in order, and
      before the next episode is asked for.
    metadata: what else the log says of this episode, as JSON.
  """

  span: EpisodeSpan
  actions: np.ndarray
  rewards: np.ndarray
  frames: Iterator[np.ndarray]
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def load(self) -> types.Episode:
    """Takes all frames into memory: 7 KB for each step of an Atari game.

    What the log says of the episode is kept beside its place there.
    """
    return types.Episode(
        observations=np.concatenate(list(self.frames)),
        actions=self.actions.astype(np.int64),
        rewards=self.rewards.astype(np.float32),
        end=self.span.end,
        complete_start=self.span.complete_start,
        metadata={
            **self.metadata,
            'checkpoint': self.span.checkpoint_id,
            'episode': self.span.episode_id,
            'first_add': self.span.first_add,
        },
    )


class LogReader(Protocol):
  """A log of one format."""

  def index(self) -> LogIndex:
    """Looks through the small arrays.

    Raises:
      LogError: if something is missing, damaged or does not fit.
    """

  def read(self, spans: Sequence[EpisodeSpan]) -> Iterator[EpisodeStream]:
    """Streams the given episodes of the index, in the order given.

    Raises:
      LogError: if a file is damaged; files are read to their end, so that a
        wrong checksum cannot pass.
    """
