"""Describes the machine and the software that a figure was measured with."""

from importlib import metadata
import os
import pathlib
import platform
from typing import Any

_PACKAGES = ('tensorflow', 'dm-reverb', 'apache-beam', 'ale-py', 'numpy')
_CPU_INFO = pathlib.Path('/proc/cpuinfo')


def describe() -> dict[str, Any]:
  """Returns host, processor, cores, memory and versions as JSON values.

  'cores' are those that this process may use, which can be fewer than the
  machine has; 'memory_bytes' is the physical memory.
  """
  return {
      'host': platform.node(),
      'system': f'{platform.system()} {platform.release()}',
      'processor': _processor(),
      'cores': len(os.sched_getaffinity(0)),
      'memory_bytes': os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'),
      'python': platform.python_version(),
      'packages': {
          name: version
          for name in _PACKAGES
          if (version := _version(name)) is not None
      },
  }


def _processor() -> str:
  for line in _CPU_INFO.read_text(encoding='utf-8').splitlines():
    name, _, value = line.partition(':')
    if name.strip() == 'model name':
      return value.strip()
  return platform.machine()  # ARM kernels give no model name.


def _version(package: str) -> str | None:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return None
