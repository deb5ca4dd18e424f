"""Tests that environments need no OpenCV, whose import needs libGL.

It is installed, as packages that the balloon's simulator names name it, but on
a bare machine it cannot be imported. Gym, which tries to, must go without.
"""

import subprocess
import sys

import pytest

# A finder that refuses the two comes before all others.
_PROGRAM = """
import sys

class Refuse:

  def find_spec(self, name, path=None, target=None):
    if name.partition('.')[0] in ('cv2', 'dopamine'):
      raise ImportError('libGL.so.1: cannot open shared object file')

sys.meta_path.insert(0, Refuse())
from rrl_pipeline.environments import atari, balloon_config, factory
made = factory.make({config}, seed=0)
made.reset()
print([made.step(1).observation.shape for _ in range(50)][-1])
"""


def _play(config: str) -> str:
  result = subprocess.run(
      [sys.executable, '-c', _PROGRAM.format(config=config)], text=True,
      capture_output=True, check=False)
  assert result.returncode == 0, result.stderr
  return result.stdout


def test_atari():
  assert _play('atari.AtariConfig()') == '(84, 84)\n'


def test_balloon():
  pytest.importorskip('balloon_learning_environment',
                      reason="needs pip install '.[balloon]'")
  assert _play('balloon_config.BalloonConfig()') == '(1099,)\n'
