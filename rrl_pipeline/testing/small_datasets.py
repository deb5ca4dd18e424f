"""Small TFDS datasets for tests, converted from replay logs by the real job."""

import os
from typing import Any, Sequence

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.testing import replay_logs


def episodes(seed: int = 0) -> list[types.Episode]:
  """Five episodes that end in each of the three ways."""
  rng = np.random.default_rng(seed)
  return [
      replay_logs.random_episode(rng, length, end=end)
      for length, end in (
          (6, types.EpisodeEnd.TERMINAL),
          (5, types.EpisodeEnd.TRUNCATED),
          (9, types.EpisodeEnd.TERMINAL),
          (6, types.EpisodeEnd.TERMINAL),
          (4, types.EpisodeEnd.LOG_END),
      )
  ]


def convert(
    directory: str | os.PathLike,
    logged: Sequence[types.Episode],
    num_shards: int = 2,
    run: int = 1,
    **options: Any,
) -> dataset_files.Dataset:
  """Logs episodes below a directory and converts the log.

  Args:
    directory: to work in; the log goes to `log`, the dataset to `data`.
    logged: the episodes, at most 100 steps in all.
    num_shards: files to write.
    run: number of the configuration.
    **options: others of `BuildRldsConfig`.
  """
  log = os.path.join(directory, f'log_{run}')
  replay_logs.write_log(log, logged, capacity=200)
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          log_dir=log,
          data_dir=os.path.join(directory, 'data'),
          run=run,
          num_shards=num_shards,
          **options,
      )
  )
  return dataset_files.Dataset(summary.path)
