"""Fills a frame store from a dataset, with the teacher's values beside it."""

import os
import pathlib
import sys
from typing import Optional

import numpy as np

from rrl_pipeline import run_directory
from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import loading
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import progress as progress_lib

_BATCH = 256


def open_store(
    dataset: loading.RldsDataset,
    num_actions: int,
    stack_size: int,
    directory: str | os.PathLike,
    max_memory_gib: float,
) -> frame_store.FrameStore:
  """Decodes every frame of the dataset once, into memory or a mapped file.

  Args:
    dataset: what to load.
    num_actions: A of the environment.
    stack_size: frames of a stacked observation.
    directory: where a mapped file goes.
    max_memory_gib: more frames than this are not held in memory but in a file
      that is mapped, which the operating system caches as it sees fit.
  """
  frames = None
  if frame_gib(dataset) > max_memory_gib:
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    frames = np.lib.format.open_memmap(
        directory / 'frames.npy',
        mode='w+',
        dtype=np.uint8,
        shape=(dataset.num_steps, *dataset.frame_shape),
    )
  store = frame_store.FrameStore(
      dataset.num_steps, dataset.frame_shape, num_actions, stack_size, frames
  )
  with progress_lib.progress(
      dataset.num_steps, 0, 'decoding frames', 'steps'
  ) as progress:
    for rows in dataset.episodes(num_actions):
      store.extend(rows)
      progress.update(len(rows.action))
  return store


def frame_gib(dataset: loading.RldsDataset) -> float:
  """Size of the decoded frames in GiB."""
  return dataset.num_steps * float(np.prod(dataset.frame_shape)) / 2**30


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
  if stored_sha256 is not None:
    print(
        'warning: the dataset holds the values of the teacher'
        f' {stored_sha256[:12]}…, but this run is taught by'
        f' {teacher.sha256[:12]}… ({teacher.directory}): they are left aside,'
        ' and this teacher is asked at every step. To have its values in the'
        ' dataset, run beam_jobs/annotate_teacher.py',
        file=sys.stderr,
    )
  directory = pathlib.Path(directory)
  path = directory / 'teacher_values.npy'
  note = directory / 'teacher_values.json'
  identity = {'teacher': teacher.sha256, 'rows': store.num_added}
  if note.exists() and run_directory.read_json(note) == identity:
    store.teacher_values[...] = np.load(path, allow_pickle=False)
    return
  model = teacher.load()
  with progress_lib.progress(
      store.num_added, 0, 'asking the teacher', 'steps'
  ) as progress:
    for start in range(0, store.num_added, _BATCH):
      numbers = np.arange(start, min(start + _BATCH, store.num_added))
      values = model.values(store.stacks(numbers))
      store.teacher_values[numbers] = values.numpy()
      progress.update(len(numbers))
  directory.mkdir(parents=True, exist_ok=True)
  note.unlink(missing_ok=True)
  np.save(path, store.teacher_values, allow_pickle=False)
  run_directory.write_json(note, identity)
