"""What a conversion of a replay log is asked to do."""

import dataclasses
from typing import Optional

from rrl_pipeline.logs import formats
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema

AUTO = 'auto'


@dataclasses.dataclass(frozen=True)
class BuildRldsConfig:
  """A conversion.

  Attributes:
    log_dir: folder of a replay log.
    data_dir: folder of TFDS datasets to convert into.
    game: of Atari, in CamelCase, as in 'SpaceInvaders'.
    run: number of the training run.
    log_format: one of `formats.FORMATS`, or 'auto' to look at the files.
    checkpoints: 'latest', 'all' or numbers, as in '0,2'.
    stack_size: frames that the agent stacked.
    time_limit_steps: lengths of episodes at which a time limit ended them, for
      logs that store such an end as terminal.
    num_shards: how many files to make; None for one per million steps
      of a checkpoint. Each is the work of one worker.
    split_by_checkpoint: whether each checkpoint becomes a split of its own,
      `checkpoint_00` and so on, instead of a part of the split `train`.
    file_format: 'tfrecord' or 'array_record'.
    frame_encoding: of frames 'png', or 'raw', which is meant for array_record;
      of other observations 'zlib' or 'raw'; None for the former of the two.
    num_actions: how many actions there are; None to go by what the log says or,
      for Atari, to ask the emulator.
    png_compressor: 'isal' (fast), 'zlib' (small) or 'auto': isal if installed.
    max_rejected_fraction: of the episodes, that may break a rule and be left
      out before that is an error.
    dataset: name of the dataset, such as 'balloon_replay', or 'auto' to go by
      what the log says of its environment.
    name: what the configuration is named after, where that is not `game`: a
      game of another kind, or an agent; '' for what the log says.
  """

  log_dir: str
  data_dir: str
  game: str = 'Pong'
  run: int = 1
  log_format: str = formats.AUTO
  checkpoints: str = 'latest'
  stack_size: int = 4
  time_limit_steps: tuple[int, ...] = (27000, 25000)
  num_shards: Optional[int] = None
  split_by_checkpoint: bool = False
  file_format: str = record_files.TFRECORD
  frame_encoding: Optional[str] = None
  num_actions: Optional[int] = None
  png_compressor: str = AUTO
  max_rejected_fraction: float = 0.0
  dataset: str = AUTO
  name: str = ''

  def __post_init__(self):
    # Each of these checks its arguments.
    schema.config_name(self.game, self.run)
    if self.frame_encoding is not None:
      schema.check_encoding(
          self.frame_encoding, (*schema.ENCODINGS, schema.ZLIB)
      )
    if self.dataset != AUTO:
      replay_datasets.check_name(self.dataset)
    record_files.check_format(self.file_format)
    self.log()
    if self.num_actions is not None and self.num_actions < 1:
      raise ValueError(
          f'num_actions is {self.num_actions}; expected at least 1'
      )
    if not 0 <= self.max_rejected_fraction <= 1:
      raise ValueError(
          f'max_rejected_fraction is {self.max_rejected_fraction}; expected 0 '
          'to 1'
      )

  def log(self) -> formats.LogConfig:
    """The log to read."""
    return formats.LogConfig(
        self.log_dir,
        self.log_format,
        self.checkpoints,
        self.stack_size,
        self.time_limit_steps,
    )
