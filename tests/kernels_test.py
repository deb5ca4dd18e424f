"""TensorFlow gets oneDNN's kernels, which are faster without AVX-512."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

_WARNING = 'TensorFlow was imported before rrl_pipeline'
_USED = (
    'from tensorflow.python.util import _pywrap_util_port as port\n'
    'print(port.IsMklEnabled())'
)
_IMPORT_TENSORFLOW = ('keras', 'reverb', 'rlds', 'tensorflow', 'tf_agents')
_BENCHMARKS = sorted(
    (pathlib.Path(__file__).parents[1] / 'benchmarks').glob('*.py')
)


def _run(program: str) -> subprocess.CompletedProcess:
  environment = dict(os.environ)
  environment.pop('TF_ENABLE_ONEDNN_OPTS', None)
  return subprocess.run(
      [sys.executable, '-c', program],
      env=environment,
      capture_output=True,
      text=True,
      check=True,
  )


def _imports_tensorflow_first(source: str) -> bool:
  """Of those that import this package at all."""
  names = []
  for node in ast.parse(source).body:
    if isinstance(node, ast.Import):
      names += [alias.name.partition('.')[0] for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names.append(node.module.partition('.')[0])
  if 'rrl_pipeline' not in names:
    return False
  before = names[:names.index('rrl_pipeline')]
  return not set(before).isdisjoint(_IMPORT_TENSORFLOW)


def test_this_package_first():
  run = _run(f'import rrl_pipeline\n{_USED}')
  assert run.stdout.split() == ['True']
  assert _WARNING not in run.stderr


def test_tensorflow_first_gives_a_warning():
  assert _WARNING in _run('import tensorflow, rrl_pipeline').stderr


@pytest.mark.parametrize('path', _BENCHMARKS, ids=lambda path: path.name)
def test_benchmarks_time_these_kernels(path):
  assert not _imports_tensorflow_first(path.read_text())


def test_a_benchmark_that_would_not_is_noticed():
  assert _imports_tensorflow_first(
      'import reverb\nfrom rrl_pipeline.replay import tables'
  )
