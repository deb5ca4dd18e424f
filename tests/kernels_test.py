"""TensorFlow gets oneDNN's kernels, which are faster without AVX-512."""

import os
import subprocess
import sys

_WARNING = 'TensorFlow was imported before rrl_pipeline'
_USED = (
    'from tensorflow.python.util import _pywrap_util_port as port\n'
    'print(port.IsMklEnabled())'
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


def test_this_package_first():
  run = _run(f'import rrl_pipeline\n{_USED}')
  assert run.stdout.split() == ['True']
  assert _WARNING not in run.stderr


def test_tensorflow_first_gives_a_warning():
  assert _WARNING in _run('import tensorflow, rrl_pipeline').stderr
