"""The TFDS dataset of Atari replay logs."""

import dataclasses

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.datasets import replay_builder
from rrl_pipeline.rlds import replay_datasets


@dataclasses.dataclass(eq=False, kw_only=True)
class AtariReplayRun(replay_builder.ReplayRun):
  """A configuration `<Game>_run_<number>` or `<Game>_run_<number>_raw`.

  Attributes:
    stack_size: frames that the agent stacked.
  """

  dataset_name = replay_datasets.ATARI
  naming = '<Game>_run_<number>, as in SpaceInvaders_run_1'

  stack_size: int = 4

  def describe(self) -> str:
    """See base class."""
    raw = ' Frames are stored raw, for files that compress episodes.'
    return (
        f'Run {self.parts.run} of an agent learning {self.parts.name}.'
        + (raw if self.parts.is_raw else '')
    )

  def conversion(self, log_dir: str) -> conversion_config.BuildRldsConfig:
    """See base class."""
    return dataclasses.replace(
        super().conversion(log_dir), stack_size=self.stack_size
    )


class Builder(replay_builder.ReplayBuilder):
  """Builds `atari_replay/<Game>_run_<number>` for any game and run."""

  RUN = AtariReplayRun
  HOMEPAGE = 'https://research.google/resources/datasets/dqn-replay/'
  VERSION = tfds.core.Version('1.1.0')
  RELEASE_NOTES = {
      '1.1.0': (
          'Episodes tell the file and the slot they come from; frames may be '
          'stored raw; the observation after the last action is kept where '
          'the log holds it.'
      ),
      '1.0.0': 'Initial release.',
  }
  # Others are made from their name: that of any game and run will do.
  BUILDER_CONFIGS = [
      replay_builder.make_config(AtariReplayRun, name)
      for name in ('Pong_run_1', 'Pong_run_1_raw')
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Give the folder of a replay log ($store$_observation_ckpt.0.gz, …) as
  --manual_dir, or a folder with one such folder for each configuration, named
  like it without _raw: Pong_run_1, Breakout_run_1 and so on.
  """
