"""Makes datasets ready to be sampled, with the teacher's values beside them."""

import hashlib
import math
import os
import pathlib
import sys
from typing import Callable, Iterator, Optional, Sequence

import numpy as np

from rrl_pipeline import run_directory
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.replay import frame_file
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import mixture
from rrl_pipeline.replay import rolling_pool
from rrl_pipeline.replay import stacks
from rrl_pipeline.replay import transition_source
from rrl_pipeline.rlds import loading
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import progress as progress_lib
from rrl_pipeline.training import seeding

_BATCH = 256
# To be raised when the same dataset would give other files.
_FILE_FORMAT = 2


def open_source(
    datasets: Sequence[loading.RldsDataset],
    teacher: bundle.Bundle,
    environment_config: environment_config_lib.EnvironmentConfig,
    batch_size: int,
    config: config_lib.OfflineConfig,
    directory: str | os.PathLike,
    seed: int,
    asks_teacher: bool = True,
) -> transition_source.TransitionSource:
  """Makes the datasets ready to be sampled, the teacher's values beside them.

  Args:
    datasets: one, or several to mix.
    teacher: whose values the transitions carry; its actions are the
      environment's.
    environment_config: how frames are stacked and rewards clipped.
    batch_size: of the batches that will be sampled.
    config: where frames are kept, and the weights of the mixture.
    directory: of the stage, where the teacher's values are kept.
    seed: of the order in which a pool takes episodes.
    asks_teacher: whether the teacher's values are needed where the datasets
      do not have them.

  Raises:
    ValueError: if a dataset cannot be used, or does not fit.
  """
  directory = pathlib.Path(directory)
  num_steps = np.array([dataset.num_steps for dataset in datasets])
  weights = np.array(config.mixing_weights or num_steps, np.float64)
  weights /= weights.sum()
  sizes = [dataset.num_steps * frame_bytes(dataset) for dataset in datasets]
  placement = config.placement(sum(sizes))
  sources = []
  for i, (dataset, weight) in enumerate(zip(datasets, weights, strict=True)):
    if placement is config_lib.FramePlacement.POOL:
      sources.append(
          _open_pool(
              dataset,
              teacher,
              environment_config,
              weight * config.max_memory_gib * 2**30,
              weight * batch_size / config.draws_per_row,
              seeding.derive(seed, 'pool', str(i)),
              asks_teacher,
          )
      )
      continue
    if placement is config_lib.FramePlacement.FILE:
      cache = config.cache_dir or dataset.path.parent
      store = _map_store(
          dataset, teacher.num_actions, environment_config, cache
      )
    else:
      store = _fill_store(dataset, teacher.num_actions, environment_config)
    if asks_teacher:
      place = directory if len(datasets) == 1 else directory / f'dataset_{i}'
      annotate(store, teacher, dataset.teacher_sha256, place)
    sources.append(store)
  return mixture.Mixture(sources, weights) if len(sources) > 1 else sources[0]


def frame_bytes(dataset: loading.RldsDataset) -> int:
  """Size of one decoded frame, or another observation."""
  return math.prod(dataset.frame_shape) * dataset.frame_dtype.itemsize


def _decode(
    dataset: loading.RldsDataset, num_actions: int
) -> Iterator[frame_store.Rows]:
  """Every episode once, under a progress bar."""
  with progress_lib.progress(
      dataset.num_steps, 0, 'decoding frames', 'steps'
  ) as progress:
    for rows in dataset.episodes(num_actions):
      yield rows
      progress.update(len(rows.action))


def _fill_store(
    dataset: loading.RldsDataset,
    num_actions: int,
    environment_config: environment_config_lib.EnvironmentConfig,
) -> frame_store.FrameStore:
  store = frame_store.FrameStore(
      dataset.num_steps,
      dataset.frame_shape,
      num_actions,
      environment_config.stack_size,
      dataset.frame_dtype,
      environment_config.reward_limit,
  )
  for rows in _decode(dataset, num_actions):
    store.extend(rows)
  return store


def _map_store(
    dataset: loading.RldsDataset,
    num_actions: int,
    environment_config: environment_config_lib.EnvironmentConfig,
    directory: str | os.PathLike,
) -> frame_store.FrameStore:
  key = f'{dataset.fingerprint} {num_actions} {_FILE_FORMAT}'
  rows = frame_file.open_rows(
      directory,
      hashlib.sha256(key.encode()).hexdigest(),
      dataset.num_steps,
      dataset.frame_shape,
      dataset.frame_dtype,
      lambda: _decode(dataset, num_actions),
  )
  return frame_store.FrameStore.of(
      rows, environment_config.stack_size, environment_config.reward_limit
  )


def _open_pool(
    dataset: loading.RldsDataset,
    teacher: bundle.Bundle,
    environment_config: environment_config_lib.EnvironmentConfig,
    num_bytes: float,
    rows_per_batch: float,
    seed: int,
    asks_teacher: bool,
) -> rolling_pool.RollingPool:
  asks_teacher = asks_teacher and dataset.teacher_sha256 != teacher.sha256
  if asks_teacher:
    _warn_of_other_teacher(dataset.teacher_sha256, teacher)
  return rolling_pool.RollingPool(
      dataset.lengths,
      lambda index: dataset.episode(index, teacher.num_actions),
      min(int(num_bytes // frame_bytes(dataset)), dataset.num_steps),
      rows_per_batch,
      environment_config.stack_size,
      seed,
      _asking(teacher.load()) if asks_teacher else None,
      environment_config.reward_limit,
  )


def _asking(
    model: bundle.BundleTeacher,
) -> Callable[[np.ndarray], np.ndarray]:
  """The teacher's values [N, A] for observations [N, …], any N."""

  def values(stacked: np.ndarray) -> np.ndarray:
    return np.concatenate([
        model.values(stacks.contiguous(stacked[i : i + _BATCH])).numpy()
        for i in range(0, len(stacked), _BATCH)
    ])

  return values


def annotate(
    store: frame_store.FrameStore,
    teacher: bundle.Bundle,
    stored_sha256: Optional[str],
    directory: str | os.PathLike,
) -> None:
  """Sees to it that the store holds the teacher's values of every observation.

  Values that came with the dataset, or that `directory` holds since an earlier
  attempt, are used if they are this teacher's. Otherwise the teacher is loaded
  and asked once at every observation, and its values are kept in `directory`.
  Either way the learner never runs it.

  Args:
    store: the dataset.
    teacher: who shall teach.
    stored_sha256: the teacher whose values came with the dataset; None if there
      were none.
    directory: of the stage.
  """
  if stored_sha256 == teacher.sha256:
    return
  _warn_of_other_teacher(stored_sha256, teacher)
  directory = pathlib.Path(directory)
  path = directory / 'teacher_values.npy'
  note = directory / 'teacher_values.json'
  identity = {'teacher': teacher.sha256, 'rows': store.num_added}
  if note.exists() and run_directory.read_json(note) == identity:
    store.teacher_values[...] = np.load(path, allow_pickle=False)
    return
  values = _asking(teacher.load())
  with progress_lib.progress(
      store.num_added, 0, 'asking the teacher', 'steps'
  ) as progress:
    for start in range(0, store.num_added, _BATCH):
      numbers = np.arange(start, min(start + _BATCH, store.num_added))
      store.teacher_values[numbers] = values(store.stacks(numbers))
      progress.update(len(numbers))
  directory.mkdir(parents=True, exist_ok=True)
  note.unlink(missing_ok=True)
  np.save(path, store.teacher_values, allow_pickle=False)
  run_directory.write_json(note, identity)


def _warn_of_other_teacher(
    stored_sha256: Optional[str], teacher: bundle.Bundle
) -> None:
  if stored_sha256 is not None:
    print(
        'warning: the dataset holds the values of the teacher'
        f' {stored_sha256[:12]}…, but this run is taught by'
        f' {teacher.sha256[:12]}… ({teacher.directory}): they are left aside,'
        ' and this teacher is asked at every step. To have its values in the'
        ' dataset, run beam_jobs/annotate_teacher.py',
        file=sys.stderr,
    )
