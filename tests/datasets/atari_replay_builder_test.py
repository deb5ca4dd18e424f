"""TFDS's own test of the dataset, on the log in its folder dummy_data."""

import tensorflow_datasets as tfds

from rrl_pipeline.datasets import atari_replay


class AtariReplayTest(tfds.testing.DatasetBuilderTestCase):
  """Builds both configurations from dummy_data/Pong_run_1 and reads them."""

  DATASET_CLASS = atari_replay.Builder
  SPLITS = {'train': 3}
  BUILDER_CONFIG_NAMES_TO_TEST = ['Pong_run_1', 'Pong_run_1_raw']


if __name__ == '__main__':
  tfds.testing.test_main()
