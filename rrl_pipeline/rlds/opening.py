"""Opens the folder of an RLDS dataset, or says that it is none."""

import os

from google.protobuf import json_format
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import schema


def open_builder(path: str | os.PathLike) -> tfds.core.DatasetBuilder:
  """The builder of a dataset on disk that has steps.

  Args:
    path: its version folder.

  Raises:
    ValueError: if there is no such dataset.
  """
  try:
    builder = tfds.builder_from_directory(os.fspath(path))
    builder.info.features[schema.STEPS].feature.keys()
  except (
      tfds.core.DatasetNotFoundError,
      tfds.core.dataset_info.DatasetInfoFileError,
      AttributeError,  # The feature holds no others.
      FileNotFoundError,
      KeyError,
      json_format.ParseError,
  ) as error:
    raise ValueError(
        f'{path} holds no RLDS dataset: expected a TFDS version folder with'
        f' dataset_info.json and a feature {schema.STEPS!r}, such as'
        ' DATA_DIR/atari_replay/Pong_run_1/1.1.0'
    ) from error
  return builder
