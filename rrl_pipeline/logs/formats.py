"""The formats of replay logs: tells them apart and opens the right reader."""

import dataclasses

from rrl_pipeline.logs import checkpoint_choice
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_files
from rrl_pipeline.logs import reader

AUTO = 'auto'
DOPAMINE = 'dopamine'
FORMATS = (DOPAMINE,)


@dataclasses.dataclass(frozen=True)
class LogConfig:
  """A log and how to read it.

  Attributes:
    directory: where its files are.
    log_format: one of `FORMATS`, or 'auto' to look at the files.
    checkpoints: 'latest', 'all' or numbers, as in '0,2'.
    stack_size: frames that the agent stacked.
    time_limit_steps: lengths of episodes, in agent steps, at which a time limit
      ended them, for logs that store such an end as terminal.
  """

  directory: str
  log_format: str = AUTO
  checkpoints: str = checkpoint_choice.LATEST
  stack_size: int = 4
  time_limit_steps: tuple[int, ...] = (27000, 25000)

  def __post_init__(self):
    if self.log_format not in (AUTO, *FORMATS):
      raise ValueError(
          f'log_format is {self.log_format!r}; expected {AUTO!r} or one of '
          f'{", ".join(map(repr, FORMATS))}'
      )
    checkpoint_choice.check(self.checkpoints)
    if self.stack_size < 1:
      raise ValueError(f'stack_size is {self.stack_size}; expected at least 1')
    if any(steps < 1 for steps in self.time_limit_steps):
      raise ValueError(
          f'time_limit_steps is {self.time_limit_steps}; expected numbers of '
          'steps, each at least 1'
      )


@dataclasses.dataclass(frozen=True)
class Detection:
  """What a log turned out to be.

  Attributes:
    log_format: one of `FORMATS`.
    reason: what was found, and why that means this format: one sentence.
  """

  log_format: str
  reason: str


def detect(directory: str) -> Detection:
  """Tells the format of the log in a directory.

  Raises:
    reader.LogError: if there is no log, or none of a known format.
  """
  listing = dopamine_files.list_checkpoints(directory)
  return Detection(
      DOPAMINE,
      f'{directory} holds {len(listing.elements)} checkpoints of Dopamine up '
      f'to 4.0: files named <array>_ckpt.<number>.gz.',
  )


def open_reader(config: LogConfig) -> reader.LogReader:
  """The reader of a log, made for the format it is in.

  Raises:
    reader.LogError: if the format is to be detected and cannot be.
  """
  if config.log_format == AUTO:
    detect(config.directory)
  return dopamine.DopamineReader(
      dopamine.DopamineLogConfig(
          config.directory,
          config.checkpoints,
          config.stack_size,
          config.time_limit_steps,
      )
  )
