"""TFDS's own tests of the datasets of arrays, on the recordings in dummy_data."""

import tensorflow_datasets as tfds

from rrl_pipeline.datasets import balloon_replay
from rrl_pipeline.datasets import minatar_replay


class BalloonReplayTest(tfds.testing.DatasetBuilderTestCase):
  """Builds both configurations from dummy_data/Perciatelli44_run_1."""

  DATASET_CLASS = balloon_replay.Builder
  SPLITS = {'train': 3}
  BUILDER_CONFIG_NAMES_TO_TEST = [
      'Perciatelli44_run_1', 'Perciatelli44_run_1_raw'
  ]


class MinAtarReplayTest(tfds.testing.DatasetBuilderTestCase):
  """Builds both configurations from dummy_data/Breakout_run_1."""

  DATASET_CLASS = minatar_replay.Builder
  SPLITS = {'train': 3}
  BUILDER_CONFIG_NAMES_TO_TEST = ['Breakout_run_1', 'Breakout_run_1_raw']


if __name__ == '__main__':
  tfds.testing.test_main()
