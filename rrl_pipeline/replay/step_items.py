"""Rows of a frame store as items of a Reverb table.

Reverb chunks, compresses, sends and decodes each column of an item on its own,
and for a few bytes that costs as much as for a frame. So the numbers of a row
travel together, in one column of bytes laid out as a NumPy record.
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
  """One row; the names are those of `frame_store.Rows`.

  Attributes:
    observation: a single frame.
    teacher_values: float32 [A].
    record: uint8 [S], the bytes of a record of all other columns.
  """

  observation: np.ndarray
  teacher_values: np.ndarray
  record: np.ndarray


def signature(
    observation_spec: dm_env.specs.Array,
    num_actions: int,
    layout: np.dtype = ROW,
) -> StepItem:
  """Shapes and dtypes of an item.

  Args:
    observation_spec: of a single frame.
    num_actions: A.
    layout: of the record.
  """
  return StepItem(
      observation=tf.TensorSpec(
          observation_spec.shape, observation_spec.dtype, 'observation'
      ),
      teacher_values=tf.TensorSpec(
          (num_actions,), np.float32, 'teacher_values'
      ),
      record=tf.TensorSpec((layout.itemsize,), np.uint8, 'record'),
  )


def pack(values: tuple, layout: np.dtype = ROW) -> np.ndarray:
  """The bytes of a record of these values, uint8 [S]."""
  return np.frombuffer(np.array(values, layout).tobytes(), np.uint8)


def unpack(record: np.ndarray, layout: np.dtype = ROW) -> np.void:
  """The record with these bytes."""
  return record.view(layout)[0]


def rows(items: Sequence[StepItem]) -> frame_store.Rows:
  """The rows [N] of items whose layout is `ROW`."""
  observations, teacher_values, records = map(
      np.stack, zip(*items, strict=True)
  )
  columns = records.view(ROW)[:, 0]
  return frame_store.Rows(
      observation=observations,
      teacher_values=teacher_values,
      **{name: columns[name] for name in ROW.names},
  )
