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


@given(st.lists(_NUMBERS, min_size=1, max_size=5))
def test_rows_come_back_as_they_were_packed(rows):
  items = [
      step_items.StepItem(
          observation=np.full((2, 3), i, np.uint8),
          teacher_values=np.full(4, i, np.float32),
          record=step_items.pack(numbers),
      )
      for i, numbers in enumerate(rows)
  ]
  got = step_items.rows(items)
  assert got.observation[:, 1, 2].tolist() == list(range(len(rows)))
  assert got.teacher_values[:, 3].tolist() == list(range(len(rows)))
  columns = [getattr(got, name).tolist() for name in step_items.ROW.names]
  assert list(zip(*columns)) == rows
  for item, numbers in zip(items, rows):
    assert step_items.unpack(item.record).item() == numbers
