"""Reads the replay checkpoints of Dopamine up to 4.0 as episodes.

Dopamine keeps single steps (o_t, a_t, r_t, terminal_t) in a ring buffer
(`circular_replay_buffer.py`): entry `a` goes to slot `a % capacity`, and before
the first step of every episode come stack_size - 1 entries of zeros. The
observation after the last action of an episode is never stored. An episode ends
where `terminal` is 1 or where its slot is among the `episode_end_indices`; in
the latter case alone a time limit ended it.
"""

import dataclasses
import functools

from rrl_pipeline.logs import checkpoint_choice
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import ring_reader


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
  checkpoints: str = checkpoint_choice.LATEST
  stack_size: int = 4
  time_limit_steps: tuple[int, ...] = (27000, 25000)

  def __post_init__(self):
    if self.stack_size < 1:
      raise ValueError(f'stack_size is {self.stack_size}; expected at least 1')
    checkpoint_choice.check(self.checkpoints)


class DopamineReader(ring_reader.RingReader):
  """Reads checkpoints of Dopamine up to 4.0."""

  def __init__(self, config: DopamineLogConfig):
    super().__init__(
        functools.partial(_select, config),
        config.stack_size,
        config.time_limit_steps,
    )


def _select(config: DopamineLogConfig) -> ring_reader.Selection:
  """Opens the checkpoints to read."""
  listing = files.list_checkpoints(config.directory)
  numbers, warnings = checkpoint_choice.choose_complete(
      config.checkpoints,
      tuple(listing.elements),
      listing.sentinels,
      config.directory,
  )
  checkpoints = tuple(
      files.open_checkpoint(config.directory, n, listing.elements[n])
      for n in numbers
  )
  unmarked = [c.number for c in checkpoints if not c.has_end_indices]
  if unmarked:
    warnings += (
        f'checkpoints {unmarked} have no {files.EPISODE_END_INDICES} file: '
        'only terminal ends are known',
    )
  return ring_reader.Selection(
      checkpoints=checkpoints,
      ends_marked=not unmarked,
      warnings=warnings,
      losses=files.left_out_elements(listing, numbers),
  )
