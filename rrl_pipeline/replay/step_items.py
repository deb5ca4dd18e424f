"""Rows of a frame store as items of a Reverb table.

Reverb chunks, compresses, sends and decodes each column of an item on its own,
and for a few bytes that costs as much as for a frame. So the numbers of a row
travel together, in one column of bytes laid out as a NumPy record; and an item
may hold several consecutive rows.
"""

from typing import NamedTuple, Sequence

import dm_env
import numpy as np
import tensorflow as tf

from rrl_pipeline.replay import frame_store

ROW = np.dtype([
    ('action', '<i4'),
    ('reward', '<f4'),
    ('is_first', '?'),
    ('is_last', '?'),
    ('is_terminal', '?'),
    ('is_padded', '?'),
])


class StepItem(NamedTuple):
  """K consecutive rows; the names are those of `frame_store.Rows`.

  Written is one row at a time, without the axis of rows.

  Attributes:
    observation: [K, ...] single frames.
    teacher_values: float32 [K, A].
    record: uint8 [K, S], the bytes of a record of all other columns.
  """

  observation: np.ndarray
  teacher_values: np.ndarray
  record: np.ndarray


def signature(
    observation_spec: dm_env.specs.Array,
    num_actions: int,
    layout: np.dtype = ROW,
) -> StepItem:
  """Shapes and dtypes of an item of any number of rows.

  Args:
    observation_spec: of a single frame.
    num_actions: A.
    layout: of the record.
  """
  return StepItem(
      observation=tf.TensorSpec(
          (None, *observation_spec.shape),
          observation_spec.dtype,
          'observation',
      ),
      teacher_values=tf.TensorSpec(
          (None, num_actions), np.float32, 'teacher_values'
      ),
      record=tf.TensorSpec((None, layout.itemsize), np.uint8, 'record'),
  )


def pack(values: tuple, layout: np.dtype = ROW) -> np.ndarray:
  """The bytes of a record of these values, uint8 [S]."""
  return np.frombuffer(np.array(values, layout).tobytes(), np.uint8)


def unpack(records: np.ndarray, layout: np.dtype = ROW) -> np.ndarray:
  """The records [K] with these bytes [K, S]."""
  return records.view(layout)[:, 0]


def joined(items: Sequence[StepItem]) -> StepItem:
  """One item of the rows of several."""
  return StepItem(*map(np.concatenate, zip(*items, strict=True)))


def rows(item: StepItem) -> frame_store.Rows:
  """The rows [K] of an item whose layout is `ROW`."""
  columns = unpack(item.record)
  return frame_store.Rows(
      observation=item.observation,
      teacher_values=item.teacher_values,
      **{name: columns[name] for name in ROW.names},
  )
