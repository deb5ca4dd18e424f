"""Time to draw a prioritised batch and to give it new priorities.

    python benchmarks/prioritized_replay.py [--rows=1000000]

A batch of 32 Atari transitions of three steps comes from a replay of a million
rows, whose frames are one array of zeros that takes no memory. Printed beside
it: a uniform batch, whose difference is what priorities cost, and what the four
rows cost that an agent adds between two batches. All are medians.
"""

import time
from typing import Callable

from absl import app
from absl import flags
import numpy as np

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import prioritized

_ROWS = flags.DEFINE_integer('rows', 1_000_000, 'Rows in the replay.')
_EPISODE, _BATCH, _N_STEP, _REPEATS = 1_000, 32, 3, 300


def _rows(count: int) -> frame_store.Rows:
  numbers = np.arange(count)
  is_last = numbers % _EPISODE == _EPISODE - 1
  return frame_store.Rows(
      observation=np.zeros((count, 84, 84), np.uint8),
      action=np.zeros(count, np.int32),
      reward=np.zeros(count, np.float32),
      is_first=numbers % _EPISODE == 0,
      is_last=is_last,
      is_terminal=is_last,
      is_padded=np.ones(count, bool),
      teacher_values=np.zeros((count, 6), np.float32),
  )


def _microseconds(function: Callable[[int], object]) -> float:
  times = []
  for i in range(_REPEATS):
    start = time.perf_counter()
    function(i)
    times.append(time.perf_counter() - start)
  return np.median(times) * 1e6


def main(argv):
  del argv
  rows = _rows(_ROWS.value)
  store = frame_store.FrameStore.of(rows, 4)
  sampler = prioritized.PrioritizedSampler(store, _N_STEP)
  generator = np.random.default_rng(0)
  held = np.arange(_ROWS.value)
  held = held[store.is_sampleable(held, _N_STEP)]
  sampler.update_priorities(held, generator.random(len(held)) + 0.01)
  drawn = sampler.sample(_BATCH, 0.99, 0, 0).numbers
  priorities = generator.random(_BATCH) + 0.01
  four = frame_store.Rows(*(column[:4] for column in rows))

  def add_and_draw(index: int) -> None:
    store.extend(four)
    sampler.sample(_BATCH, 0.99, 0, index)

  uniform = _microseconds(
      lambda i: store.sample(_BATCH, _N_STEP, 0.99, 0, i)
  )
  draw = _microseconds(lambda i: sampler.sample(_BATCH, 0.99, 0, i))
  update = _microseconds(
      lambda i: sampler.update_priorities(drawn, priorities)
  )
  follow = _microseconds(add_and_draw) - draw
  print(f'{_ROWS.value} rows, batches of {_BATCH}')
  for name, value in (
      ('uniform draw', uniform),
      ('prioritised draw', draw),
      ('new priorities', update),
      ('prioritised draw and new priorities', draw + update),
      ('4 new rows', follow),
  ):
    print(f'  {name:36}{value:8.0f} µs')


if __name__ == '__main__':
  app.run(main)
