"""The formats of replay logs: tells them apart and opens the right reader.

What each holds and what it loses is told in docs/log_formats.md.
"""

import dataclasses
import os

from rrl_pipeline.logs import checkpoint_choice
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_files
from rrl_pipeline.logs import dopamine_msgpack
from rrl_pipeline.logs import dopamine_msgpack_files
from rrl_pipeline.logs import dqn_replay
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recording
from rrl_pipeline.logs import recording_files

AUTO = 'auto'
DOPAMINE = 'dopamine'
DQN_REPLAY = 'dqn_replay'
DOPAMINE_MSGPACK = 'dopamine_msgpack'
RECORDING = 'recording'
FORMATS = (DOPAMINE, DQN_REPLAY, DOPAMINE_MSGPACK, RECORDING)

# Folders in which agents keep their logs.
_REPLAY_LOGS = 'replay_logs'
_LOG_FOLDERS = ('checkpoints', _REPLAY_LOGS)


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
  if not os.path.isdir(directory):
    raise reader.LogError(f'the log directory {directory} does not exist')
  if recording.looks_like_recording(directory):
    return Detection(
        RECORDING,
        f'{directory} is a recording of this project: it has '
        f'{recording_files.DESCRIPTION_FILE}.',
    )
  names = sorted(os.listdir(directory))
  if any(_has_msgpack(directory, name) for name in names):
    numbers = dopamine_msgpack_files.list_checkpoints(directory).numbers
    return Detection(
        DOPAMINE_MSGPACK,
        f'{directory} is a log of Dopamine 4.1 or later: it has '
        f'{dopamine_msgpack_files.name_of(numbers[-1])}.',
    )
  if any(dopamine_files.is_log_file(name) for name in names):
    return _tell_rings_from_laps(directory)
  folders = [
      folder
      for folder in _LOG_FOLDERS
      if os.path.isdir(os.path.join(directory, folder))
  ]
  raise reader.LogError(
      f'{directory} holds no replay log that is known: expected files '
      f'{dopamine_files.name_of(dopamine_files.OBSERVATION, "<number>")} '
      f'(Dopamine up to 4.0, DQN Replay Dataset), '
      f'{dopamine_msgpack_files.name_of("<number>")} (Dopamine 4.1 and later) '
      f'or {recording_files.DESCRIPTION_FILE} (recordings), found '
      f'{", ".join(names[:5]) or "nothing"}'
      + (f'; did you mean its folder {folders[0]}?' if folders else '')
  )


def _has_msgpack(directory: str, name: str) -> bool:
  return name.isdecimal() and os.path.isfile(
      os.path.join(directory, dopamine_msgpack_files.name_of(int(name)))
  )


def _tell_rings_from_laps(directory: str) -> Detection:
  """Tells the two formats that have files of the same names apart."""
  listing = dopamine_files.list_checkpoints(directory)
  numbers = tuple(listing.elements)
  if listing.sentinels:
    return Detection(
        DOPAMINE,
        f'{directory} is a log of Dopamine up to 4.0: checkpoint '
        f'{max(listing.sentinels)} has a sentinel file, which only agents '
        'write.',
    )
  if os.path.basename(os.path.abspath(directory)) == _REPLAY_LOGS:
    return Detection(
        DQN_REPLAY,
        f'{directory} is a log in the layout of the DQN Replay Dataset: there '
        f'are no sentinel files, and the folder is named {_REPLAY_LOGS}.',
    )
  first = dopamine_files.open_checkpoint(
      directory, numbers[0], listing.elements[numbers[0]]
  )
  counts = (
      f'file {first.number} counts {first.add_count} entries in a ring of '
      f'{first.capacity}'
  )
  if dqn_replay.is_lap(first):
    return Detection(
        DQN_REPLAY,
        f'{directory} is a log in the layout of the DQN Replay Dataset: there '
        f'are no sentinel files, and {counts}, as is saved at the end of a '
        'lap.',
    )
  return Detection(
      DOPAMINE,
      f'{directory} is a log of Dopamine up to 4.0: {counts}, which is not the '
      'end of a lap as in the DQN Replay Dataset.',
  )


def open_reader(config: LogConfig) -> reader.LogReader:
  """The reader of a log, made for the format it is in.

  Raises:
    reader.LogError: if the format is to be detected and cannot be.
  """
  log_format = config.log_format
  if log_format == AUTO:
    log_format = detect(config.directory).log_format
  if log_format == RECORDING:
    return recording.RecordingReader(
        recording.RecordingConfig(config.directory, config.checkpoints)
    )
  if log_format == DOPAMINE_MSGPACK:
    return dopamine_msgpack.DopamineMsgpackReader(
        dopamine_msgpack.DopamineMsgpackLogConfig(
            config.directory, config.checkpoints, config.time_limit_steps
        )
    )
  ring = dopamine.DopamineLogConfig(
      config.directory,
      config.checkpoints,
      config.stack_size,
      config.time_limit_steps,
  )
  if log_format == DQN_REPLAY:
    return dqn_replay.DqnReplayReader(ring)
  return dopamine.DopamineReader(ring)
