"""Independent random streams from one seed.

A stage never reads random state that another one left behind: each purpose
has a seed of its own, derived from the run's seed and the purpose's name. So
stages give the same numbers in one process, in several, or after a crash.
"""

import zlib

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
  """A seed in [0, 2³¹) for a purpose, for example derive(0, 'online', 'act')."""
  words = [
      part if isinstance(part, int) else zlib.crc32(part.encode())
      for part in purpose
  ]
  return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0] >> 1)
