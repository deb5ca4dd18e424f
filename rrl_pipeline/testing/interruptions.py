"""Sudden ends of training, and the comparison of what comes after them."""

from typing import Any, Mapping, Sequence

import numpy as np
import pytest


class Killed(BaseException):
  """Stands for the sudden end of the process."""


def kill_at(
    patch: pytest.MonkeyPatch, owner: Any, name: str, count: int, when: str
) -> None:
  """Makes the `count`-th call of `owner.name` end in `Killed`.

  Args:
    patch: undoes it.
    owner: a class or module.
    name: of its function.
    count: which of the calls, from 1.
    when: 'before' the function does anything, or 'after'.
  """
  original, calls = getattr(owner, name), []

  def wrapper(*args, **kwargs):
    calls.append(None)
    if len(calls) == count and when == 'before':
      raise Killed
    result = original(*args, **kwargs)
    if len(calls) == count:
      raise Killed
    return result

  patch.setattr(owner, name, wrapper)


def kill_at_any(
    patch: pytest.MonkeyPatch, functions: Sequence[tuple[Any, str]], count: int
) -> None:
  """Makes the `count`-th call of all these functions together end in `Killed`.

  Args:
    patch: undoes it.
    functions: class or module and name, of each.
    count: which of the calls, from 1; it does nothing before it ends.
  """
  calls = []

  def wrap(original):
    def wrapper(*args, **kwargs):
      calls.append(None)
      if len(calls) == count:
        raise Killed
      return original(*args, **kwargs)

    return wrapper

  for owner, name in functions:
    patch.setattr(owner, name, wrap(getattr(owner, name)))


def assert_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
  """Two end states are equal, bit for bit; texts are compared by lines."""
  assert first.keys() == second.keys()
  for name, value in first.items():
    if isinstance(value, str):
      assert value.splitlines() == second[name].splitlines(), name
    else:
      np.testing.assert_equal(value, second[name], err_msg=name)
