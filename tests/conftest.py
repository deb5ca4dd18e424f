"""Of all tests: the order in which they run."""

import pathlib

import pytest

_LONG = pathlib.Path(__file__).parent / 'integration'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """Begins with the long ones, so that no process is left alone with them.

  pytest-xdist keeps this order if it is told --no-loadscope-reorder.
  """
  items.sort(key=lambda item: _LONG not in item.path.parents)
