"""Reads recordings as replay logs.

What one writer recorded counts as one checkpoint of the log: its number is the
writer's. Nothing in a recording is padding, and every episode has the
observation after its last action.
"""

import collections
import dataclasses
import functools
import os
import re
from typing import Iterator, Sequence

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.logs import episode_archive as archive
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recording_files as files

_EVERYTHING = ('latest', 'all')
# Said of the rewards of every recording.
RAW_REWARDS = 'as the environment gave them, not clipped'


@dataclasses.dataclass(frozen=True)
class RecordingConfig:
  """Which episodes of a recording to read.

  Attributes:
    directory: of the recording.
    checkpoints: numbers of writers, as in '0,2'; 'all' or 'latest' for all.
  """

  directory: str
  checkpoints: str = 'all'

  def __post_init__(self):
    if not re.fullmatch(r'latest|all|\d+(,\d+)*', self.checkpoints):
      raise ValueError(
          f"checkpoints is {self.checkpoints!r}; expected 'latest', 'all' or "
          "numbers such as '0,2'"
      )


def looks_like_recording(directory: str) -> bool:
  """Whether a directory holds a recording, damaged or not."""
  return os.path.isfile(os.path.join(directory, files.DESCRIPTION_FILE))


class RecordingReader:
  """A `reader.LogReader`; see there."""

  def __init__(self, config: RecordingConfig):
    """Makes a reader.

    Args:
      config: or another object with a `directory` and `checkpoints`.
    """
    self._config = config

  @functools.cached_property
  def _description(self) -> files.Description:
    description = files.read_description(self._config.directory)
    for name in (archive.ACTIONS, archive.REWARDS):
      array = description.arrays()[name]
      kinds = 'iu' if name == archive.ACTIONS else 'iuf'
      if array.shape or np.dtype(array.dtype).kind not in kinds:
        raise reader.LogError(
            f'the {name} of {self._config.directory} are {array}; a replay log '
            'has single numbers, and whole ones as actions'
        )
    return description

  def index(self) -> reader.LogIndex:
    """See base class."""
    description = self._description
    episodes, warnings = self._select()
    spans = []
    sources = {}
    left_out = 0
    begin = 0  # Steps of the writers before.
    for writer, numbers in episodes.items():
      sources[writer] = []
      end = 0  # Steps of this writer so far.
      for number in numbers:
        name = files.episode_name(writer, number)
        with self._open(name) as episode:
          header = episode.header
          sources[writer].append(episode.source_file())
        if header.first_step < end:
          raise reader.LogError(
              f'{name} in {self._config.directory} begins with step '
              f'{header.first_step} of its writer, but the episodes before it '
              f'have {end} steps: files of several recordings are mixed; keep '
              'each in a directory of its own'
          )
        if header.first_step > end:
          warnings.append(
              f'writer {writer} recorded {header.first_step - end} steps '
              f'before its episode {number} that are not in '
              f'{self._config.directory} any more; they are left out'
          )
        left_out += header.first_step - end
        spans.append(_span(header, name, begin))
        end = header.first_step + header.length
      begin += end
    accounting = reader.Accounting(
        adds=begin,
        transitions=sum(span.length for span in spans),
        padding=0,
        left_out=left_out,
    )
    accounting.check()
    return reader.LogIndex(
        spans=tuple(spans),
        accounting=accounting,
        checkpoints=tuple(episodes),
        sources=sources,
        frame_shape=description.observation.shape,
        ends_marked=True,
        metadata={'rewards': RAW_REWARDS, **description.metadata},
        warnings=tuple(warnings),
        # Said by who made the recording of something else.
        losses=tuple(description.metadata.get('losses', ())),
        frame_dtype=np.dtype(description.observation.dtype).name,
        bounds=description.bounds,
    )

  def read(
      self, spans: Sequence[reader.EpisodeSpan]
  ) -> Iterator[reader.EpisodeStream]:
    """See base class."""
    arrays = self._description.arrays()
    for span in spans:
      with self._open(span.source) as episode:
        if _span(episode.header, span.source, 0) != dataclasses.replace(
            span, first_add=episode.header.first_step
        ):
          raise reader.LogError(
              f'{span.source} in {self._config.directory} has changed since '
              'the recording was looked through; begin anew'
          )
        self._check_discounts(episode, span)
        observation = arrays[archive.OBSERVATIONS]
        yield reader.EpisodeStream(
            span=span,
            actions=episode.array(
                archive.ACTIONS, (span.length,), arrays[archive.ACTIONS].dtype
            ),
            rewards=episode.array(
                archive.REWARDS, (span.length,), arrays[archive.REWARDS].dtype
            ),
            frames=episode.blocks(
                archive.OBSERVATIONS,
                (span.length + 1, *observation.shape),
                observation.dtype,
            ),
            metadata=episode.metadata,
        )

  def _select(self) -> tuple[dict[int, list[int]], list[str]]:
    """The episodes of each writer to read, in order, and warnings."""
    directory = self._config.directory
    found = collections.defaultdict(list)
    interrupted = 0
    for name in sorted(os.listdir(directory)):
      interrupted += files.is_temporary(name)
      numbers = files.parse_name(name)
      if numbers is not None:
        found[numbers[0]].append(numbers[1])
    if not found:
      raise reader.LogError(f'{directory} holds no complete episode')
    writers = sorted(found)
    if self._config.checkpoints not in _EVERYTHING:
      writers = sorted({int(n) for n in self._config.checkpoints.split(',')})
      for writer in writers:
        if writer not in found:
          raise reader.LogError(
              f'{directory} holds nothing of a writer {writer}; there are '
              f'{", ".join(map(str, sorted(found)))}: choose with --checkpoints'
          )
    warnings = []
    if interrupted:
      warnings.append(
          f'{directory} holds {interrupted} files of interrupted writes, which '
          'are left out; their writers remove them when they start again'
      )
    return {writer: sorted(found[writer]) for writer in writers}, warnings

  def _open(self, name: str) -> archive.EpisodeArchive:
    """Opens an episode file, which must be what its name says."""
    path = os.path.join(self._config.directory, name)
    episode = archive.EpisodeArchive(path)
    header = episode.header
    if files.parse_name(name) != (header.writer, header.episode):
      episode.close()
      raise reader.LogError(
          f'{path} holds episode {header.episode} of writer {header.writer}; '
          'a file of a recording must keep its name'
      )
    return episode

  def _check_discounts(
      self, episode: archive.EpisodeArchive, span: reader.EpisodeSpan
  ) -> None:
    """Replay logs say of each step only whether a terminal state follows."""
    found = episode.array(
        archive.DISCOUNTS, (span.length,), archive.DISCOUNT_DTYPE
    )
    expected = np.ones(span.length, found.dtype)
    if span.end is types.EpisodeEnd.TERMINAL:
      expected[-1] = 0
    wrong = np.flatnonzero(found != expected)
    if len(wrong):
      raise reader.LogError(
          f'{span.source} in {self._config.directory}: the discount of step '
          f'{wrong[0]} is {found[wrong[0]]}, but a replay log can hold only 1, '
          'and 0 where the episode ends in a terminal state; remove the '
          'episode, or record an environment without discounts of its own'
      )


def _span(
    header: archive.Header, name: str, begin: int
) -> reader.EpisodeSpan:
  """Where an episode lies, `begin` steps after the log's first one."""
  return reader.EpisodeSpan(
      checkpoint_id=header.writer,
      episode_id=header.episode,
      first_add=begin + header.first_step,
      length=header.length,
      padding=0,
      end=(
          types.EpisodeEnd.TERMINAL
          if header.terminal
          else types.EpisodeEnd.TRUNCATED
      ),
      complete_start=True,
      source=name,
      has_final_observation=True,
  )
