"""Of all tests: their order, no limits of time, and a disk that is soon full."""

import pathlib
import subprocess
from typing import Iterator

import hypothesis
import pytest

# Before any test imports TensorFlow: the kernels tested shall be those used.
import rrl_pipeline  # pylint: disable=unused-import

_LONG = pathlib.Path(__file__).parent / 'integration'


# How long an example takes is the machine's affair.
hypothesis.settings.register_profile(
    'untimed',
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile('untimed')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """Begins with the long ones, so that no process is left alone with them.

  pytest-xdist keeps this order if it is told --no-loadscope-reorder.
  """
  items.sort(key=lambda item: _LONG not in item.path.parents)


@pytest.fixture(name='small_disk')
def fixture_small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
  """A disk of a megabyte."""
  disk = tmp_path / 'disk'
  disk.mkdir()
  mounted = subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk],
      capture_output=True,
      text=True,
      check=False,
  )
  if mounted.returncode:
    pytest.skip(f'no small disk can be mounted here: {mounted.stderr.strip()}')
  yield disk
  subprocess.run(['umount', '--lazy', disk], check=True)
