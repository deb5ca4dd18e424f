"""Tests of rows as items of a table."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from rrl_pipeline.replay import step_items

_NUMBERS = st.tuples(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(width=32, allow_nan=False),
    *[st.booleans()] * 4,
)


@given(st.lists(_NUMBERS, min_size=1, max_size=5), st.data())
def test_rows_come_back_as_they_were_packed(rows, data):
  whole = step_items.StepItem(
      observation=np.arange(len(rows), dtype=np.uint8)[:, None, None]
      * np.ones((2, 3), np.uint8),
      teacher_values=np.arange(len(rows), dtype=np.float32)[:, None]
      * np.ones(4, np.float32),
      record=np.stack([step_items.pack(numbers) for numbers in rows]),
  )
  cut = data.draw(st.integers(0, len(rows)))
  parts = [
      step_items.StepItem(*(column[part] for column in whole))
      for part in (slice(cut), slice(cut, None))
  ]
  got = step_items.rows(step_items.joined(parts))
  assert got.observation[:, 1, 2].tolist() == list(range(len(rows)))
  assert got.teacher_values[:, 3].tolist() == list(range(len(rows)))
  columns = [getattr(got, name).tolist() for name in step_items.ROW.names]
  assert list(zip(*columns)) == rows
  assert step_items.unpack(whole.record).tolist() == rows
