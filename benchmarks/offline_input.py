"""Transitions per second of the offline input pipeline, against plain RLDS.

    python benchmarks/offline_input.py --dataset=DIR [--batches=200]

DIR is a TFDS version folder such as DATA_DIR/atari_replay/Pong_run_1/1.0.0.
Both sides deliver shuffled batches of 32 three-step transitions with stacks of
four frames from the same files:

* frame store: frames decoded once, transitions gathered by index;
* plain RLDS: `rlds.transformations.batch` makes windows of seven steps, which
  are decoded, stacked and put through a shuffle buffer of 10,000.
"""

import os
import time

from absl import app
from absl import flags
import rlds
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import loading
from rrl_pipeline.training import offline_store

# After rrl_pipeline, which chooses TensorFlow's kernels.
import tensorflow as tf

_DATASET = flags.DEFINE_string(
    'dataset', None, 'Version folder of a dataset.', required=True
)
_BATCHES = flags.DEFINE_integer('batches', 200, 'Batches to time.')
_NUM_ACTIONS = flags.DEFINE_integer('num_actions', 18, 'Actions of the game.')
_BATCH, _STACK, _N_STEP, _DISCOUNT = 32, 4, 3, 0.99


def _frame_store() -> tuple[float, float]:
  """Seconds to decode the dataset, and seconds for the batches."""
  start = time.perf_counter()
  dataset = loading.RldsDataset(_DATASET.value)
  store = offline_store.open_store(
      dataset, _NUM_ACTIONS.value, _STACK, os.curdir, max_memory_gib=16
  )
  decoded = time.perf_counter()
  for index in range(_BATCHES.value):
    store.sample(_BATCH, _N_STEP, _DISCOUNT, 0, index)
  return decoded - start, time.perf_counter() - decoded


def _to_transition(window):
  frames = tf.transpose(window[rlds.OBSERVATION][..., 0], [1, 2, 0])
  powers = tf.constant([_DISCOUNT**j for j in range(_N_STEP)])
  first = _STACK - 1
  rewards = window[rlds.REWARD][first : first + _N_STEP]
  terminal = tf.cast(window[rlds.IS_TERMINAL][-1], tf.float32)
  return (
      frames[..., :_STACK],
      window[rlds.ACTION][first],
      tf.reduce_sum(powers * rewards),
      _DISCOUNT**_N_STEP * (1 - terminal),
      frames[..., _N_STEP:],
  )


def _plain_rlds() -> float:
  """Seconds for the batches, once the shuffle buffer is full."""
  episodes = tfds.builder_from_directory(_DATASET.value).as_dataset(
      split='train'
  )
  window = _STACK + _N_STEP
  transitions = episodes.interleave(
      lambda episode: rlds.transformations.batch(
          episode[rlds.STEPS], size=window, shift=1, drop_remainder=True
      ).map(_to_transition),
      cycle_length=16,
      num_parallel_calls=tf.data.AUTOTUNE,
  )
  batches = iter(
      transitions.repeat()
      .shuffle(10_000, seed=0)
      .batch(_BATCH)
      .prefetch(2)
      .as_numpy_iterator()
  )
  next(batches)
  start = time.perf_counter()
  for _ in range(_BATCHES.value):
    next(batches)
  return time.perf_counter() - start


def main(argv):
  del argv
  decoding, gathering = _frame_store()
  plain = _plain_rlds()
  count = _BATCHES.value * _BATCH
  print(f'frame store  {count / gathering:10,.0f} transitions/s'
        f' (after {decoding:.1f} s of decoding, once)')
  print(f'plain RLDS   {count / plain:10,.0f} transitions/s')
  print(f'ratio        {plain / gathering:10.1f}')


if __name__ == '__main__':
  app.run(main)
