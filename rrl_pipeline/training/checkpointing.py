"""Checkpoints that are whole or not there, restored in full or not at all."""

import json
import os
import pathlib
import shutil
from typing import Any, Mapping, Optional

import numpy as np
import tensorflow as tf

from rrl_pipeline.replay import frame_store

_STATE = 'state.json'
_KEPT = 2


class Checkpointer:
  """Saves and restores TensorFlow variables with a JSON state beside them.

  A checkpoint is a folder named by its step. It is written under another name
  and renamed, so a folder that bears a number is complete; the previous one is
  kept until the next is there.
  """

  def __init__(
      self, directory: str | os.PathLike, trackables: Mapping[str, Any]
  ):
    self._directory = pathlib.Path(directory)
    self._checkpoint = tf.train.Checkpoint(**trackables)

  def save(self, step: int, state: Mapping[str, Any]) -> None:
    """Saves the variables and `state` (JSON values) as of `step`."""
    temporary = self._directory / 'incomplete'
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    self._checkpoint.write(os.fspath(temporary / 'variables'))
    (temporary / _STATE).write_text(json.dumps(state, sort_keys=True))
    target = self._directory / str(step)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    for old in self._steps()[:-_KEPT]:
      shutil.rmtree(self._directory / str(old))

  def restore(self) -> Optional[dict[str, Any]]:
    """Restores the newest checkpoint and returns its state, if there is one.

    Raises:
      ValueError: if the checkpoint does not hold exactly the variables asked
        for.
    """
    steps = self._steps()
    if not steps:
      return None
    folder = self._directory / str(steps[-1])
    try:
      status = self._checkpoint.read(os.fspath(folder / 'variables'))
      status.assert_consumed()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
      raise ValueError(
          f'The checkpoint {folder} does not fit this agent; was it written'
          ' with another network? Remove it to start afresh.'
          f' ({" ".join(str(error).split())})'
      ) from error
    return json.loads((folder / _STATE).read_text())

  def _steps(self) -> list[int]:
    if not self._directory.exists():
      return []
    return sorted(
        int(path.name)
        for path in self._directory.iterdir()
        if path.name.isdigit()
    )


class RowLog:
  """Keeps the rows of a `FrameStore` on disk, each written once.

  Every `save` writes the rows that came since the last one to a segment file;
  segments whose rows have all left the store are removed one save later, when
  no kept checkpoint needs them any more.
  """

  def __init__(self, directory: str | os.PathLike, first: int = 0):
    """Opens the log, which may be empty.

    Args:
      directory: of the segments.
      first: number of the first row to keep; those before it come from
        elsewhere.
    """
    self._directory = pathlib.Path(directory)
    self._first = first

  def save(self, store: frame_store.FrameStore, oldest_needed: int) -> None:
    """Makes the rows up to the newest one durable.

    Args:
      store: the store.
      oldest_needed: oldest row that a kept checkpoint may want back.
    """
    self._directory.mkdir(parents=True, exist_ok=True)
    segments = self._segments()
    start = max((stop for _, stop in segments), default=self._first)
    start = max(start, store.oldest)
    if start < store.num_added:
      name = f'{start}-{store.num_added}.npz'
      temporary = self._directory / f'incomplete-{name}'
      with open(temporary, 'wb') as file:
        np.savez_compressed(
            file, **store.rows(start, store.num_added)._asdict()
        )
      os.replace(temporary, self._directory / name)
    for first, stop in segments:
      if stop <= oldest_needed:
        (self._directory / f'{first}-{stop}.npz').unlink()

  def restore(self, store: frame_store.FrameStore, num_added: int) -> None:
    """Fills a store with what it held when `num_added` rows had come.

    Args:
      store: empty, or holding the rows before the first one of this log.
      num_added: rows of the store by then, those before the log included.
    """
    first = 0
    for start, stop in self._segments():
      path = self._directory / f'{start}-{stop}.npz'
      if start >= num_added:
        # Written after the checkpoint that is being resumed from.
        path.unlink()
        continue
      with np.load(path, allow_pickle=False) as columns:
        rows = frame_store.Rows(**columns)
      if start != store.num_added:
        # The rows between left the store before they could be saved.
        first = store.num_added = start
      store.extend(rows)
    if store.num_added != num_added or first > store.oldest:
      raise ValueError(
          f'{self._directory} holds the rows {first} to {store.num_added}, but'
          f' the checkpoint needs those up to {num_added}, as many as the'
          ' replay holds. Remove the stage to start it afresh.'
      )

  def _segments(self) -> list[tuple[int, int]]:
    if not self._directory.exists():
      return []
    names = [path.stem for path in self._directory.glob('[0-9]*-[0-9]*.npz')]
    return sorted(tuple(map(int, name.split('-'))) for name in names)
