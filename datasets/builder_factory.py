"""The TFDS builder of any replay dataset, also of a user's own environment."""

import importlib
import os
from typing import Any

import tensorflow_datasets as tfds

from rrl_pipeline.datasets import replay_builder
from rrl_pipeline.rlds import replay_datasets

_OWN_VERSION = '1.0.0'


def make(
    dataset: replay_datasets.ReplayDataset,
    data_dir: str | os.PathLike,
    **kwargs: Any,
) -> tfds.core.DatasetBuilder:
  """The builder of a configuration.

  Args:
    dataset: one that TFDS knows by its name, or any other.
    data_dir: folder of TFDS datasets.
    **kwargs: of the builder.
  """
  if dataset.name in replay_datasets.OF_KIND.values():
    module = importlib.import_module(
        f'rrl_pipeline.datasets.{dataset.name}.{dataset.name}_dataset_builder'
    )
    return module.Builder(config=dataset.config, data_dir=data_dir, **kwargs)
  return _make_own(dataset, data_dir, **kwargs)


def _make_own(
    dataset: replay_datasets.ReplayDataset,
    data_dir: str | os.PathLike,
    **kwargs: Any,
) -> tfds.core.DatasetBuilder:
  """A builder that is not registered: TFDS finds the dataset by its files."""

  parts = replay_datasets.parse_config(dataset.name, dataset.config)
  config = tfds.core.BuilderConfig(
      name=dataset.config, description=f'Run {parts.run} of {parts.name}.'
  )

  class Builder(replay_builder.ReplayBuilder, skip_registration=True):
    """The dataset of an environment of one's own."""

    name = dataset.name
    VERSION = tfds.core.Version(_OWN_VERSION)
    RELEASE_NOTES = {_OWN_VERSION: 'Initial release.'}
    BUILDER_CONFIGS = [config]

    def _info(self) -> tfds.core.DatasetInfo:
      return tfds.core.DatasetInfo(
          builder=self,
          description=(
              'Recorded episodes in the RLDS format, made with rrl_pipeline.'
          ),
          features=dataset.features(),
          disable_shuffling=True,
          metadata=tfds.core.MetadataDict(),
      )

  return Builder(config=config, data_dir=data_dir, **kwargs)
