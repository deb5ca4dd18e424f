"""The TFDS dataset of MinAtar replay logs."""

import dataclasses

import tensorflow_datasets as tfds

from rrl_pipeline.datasets import replay_builder
from rrl_pipeline.rlds import replay_datasets


@dataclasses.dataclass(eq=False, kw_only=True)
class MinAtarReplayRun(replay_builder.ReplayRun):
  """A configuration `<Game>_run_<number>` or `<Game>_run_<number>_raw`."""

  dataset_name = replay_datasets.MINATAR
  naming = (
      '<Game>_run_<number> with one of the games '
      f'{", ".join(replay_datasets.MINATAR_CHANNELS)}'
  )


class Builder(replay_builder.ReplayBuilder):
  """Builds `minatar_replay/<Game>_run_<number>` for any game and run."""

  RUN = MinAtarReplayRun
  HOMEPAGE = 'https://github.com/kenjyoung/MinAtar'
  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Initial release.'}
  # Other runs are made from their name.
  BUILDER_CONFIGS = [
      replay_builder.make_config(MinAtarReplayRun, f'{game}_run_1{raw}')
      for game in replay_datasets.MINATAR_CHANNELS
      for raw in ('', '_raw')
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Give the folder of a recording (recording.json, …) as --manual_dir, or a folder
  with one such folder for each configuration, named like it without _raw:
  Breakout_run_1, Asterix_run_1 and so on.
  """
