"""Counts what calls leave in Python's memory."""

import gc
import sys
from typing import Any, Callable


def per_call(call: Callable[[int], Any], num_calls: int) -> float:
  """Blocks of memory that a call leaves behind, on average.

  Args:
    call: takes the number of the call. Those below 0 come first, as many, and
      do not count: what they make is kept and used again.
    num_calls: that count. Other threads may allocate some blocks meanwhile.
  """
  for i in range(-num_calls, 0):
    call(i)
  before = _count()
  for i in range(num_calls):
    call(i)
  return (_count() - before) / num_calls


def _count() -> int:
  gc.collect()
  return sys.getallocatedblocks()
