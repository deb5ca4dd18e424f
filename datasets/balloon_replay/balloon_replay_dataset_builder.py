"""The TFDS dataset of replay logs of the Balloon Learning Environment."""

import dataclasses

import tensorflow_datasets as tfds

from rrl_pipeline.datasets import replay_builder
from rrl_pipeline.rlds import replay_datasets


@dataclasses.dataclass(eq=False, kw_only=True)
class BalloonReplayRun(replay_builder.ReplayRun):
  """A configuration `<Agent>_run_<number>` or `<Agent>_run_<number>_raw`."""

  dataset_name = replay_datasets.BALLOON
  naming = '<agent>_run_<number>, as in Perciatelli44_run_1'

  def describe(self) -> str:
    """See base class."""
    raw = ' Observations are stored raw.' if self.parts.is_raw else ''
    return f'Run {self.parts.run} of flights by {self.parts.name}.{raw}'


class Builder(replay_builder.ReplayBuilder):
  """Builds `balloon_replay/<agent>_run_<number>` for any agent and run."""

  RUN = BalloonReplayRun
  HOMEPAGE = 'https://github.com/google/balloon-learning-environment'
  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Initial release.'}
  # Others are made from their name: that of any agent and run will do.
  BUILDER_CONFIGS = [
      replay_builder.make_config(BalloonReplayRun, name)
      for name in ('Perciatelli44_run_1', 'Perciatelli44_run_1_raw')
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Give the folder of a recording (recording.json, …) as --manual_dir, or a folder
  with one such folder for each configuration, named like it without _raw:
  Perciatelli44_run_1, StationSeeker_run_1 and so on.
  """
