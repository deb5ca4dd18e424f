"""Keeps the replay on disk, each row written once."""

import os
import pathlib

from rrl_pipeline.replay import frame_store
from rrl_pipeline.training import array_file


class RowLog:
  """The rows of a `FrameStore`, in segments.

  Every `save` writes the rows that came since the last one to a file of its
  own, which never changes afterwards. Who no longer needs a segment may remove
  it.
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

  def save(self, store: frame_store.FrameStore) -> list[pathlib.Path]:
    """Makes the rows durable; returns the files that hold those of now."""
    self._directory.mkdir(parents=True, exist_ok=True)
    start = max((stop for _, stop in self._segments()), default=self._first)
    start = max(start, store.oldest)
    if start < store.num_added:
      array_file.write(
          self._path(start, store.num_added),
          store.rows(start, store.num_added)._asdict(),
          compressed=True,
      )
    return [
        self._path(start, stop)
        for start, stop in self._segments()
        if stop > store.oldest
    ]

  def restore(self, store: frame_store.FrameStore, num_added: int) -> None:
    """Fills a store with what it held when `num_added` rows had come.

    Args:
      store: empty, or holding the rows before the first one of this log.
      num_added: rows of the store by then, those before the log included.

    Raises:
      ValueError: if some of them are missing.
    """
    first = 0
    for start, stop in self._segments():
      path = self._path(start, stop)
      if start >= num_added:
        # Written after the checkpoint that is being resumed from.
        path.unlink()
        continue
      rows = frame_store.Rows(**array_file.read(path))
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

  def _path(self, start: int, stop: int) -> pathlib.Path:
    return self._directory / f'{start}-{stop}.npz'

  def _segments(self) -> list[tuple[int, int]]:
    if not self._directory.exists():
      return []
    names = [path.stem for path in self._directory.glob('[0-9]*-[0-9]*.npz')]
    return sorted(tuple(map(int, name.split('-'))) for name in names)
