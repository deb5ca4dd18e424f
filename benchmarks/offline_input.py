"""Transitions per second of the offline input pipeline, against other ways.

    python benchmarks/offline_input.py --dataset=DIR [--batches=300]

DIR is a TFDS version folder such as DATA_DIR/atari_replay/Pong_run_1/1.0.0.
Everybody delivers batches of 32 random three-step transitions with stacks of
four frames, from the same files or from the frames in them:

* frame store: frames decoded once into memory; also from a mapped file, from a
  rolling pool of a tenth of the dataset (decoding included), and with the
  stacks put into the order in which a network takes them;
* plain RLDS: `rlds.transformations.batch` makes windows of seven steps, which
  are decoded, stacked and put through a shuffle buffer of 10,000;
* Dopamine's replay buffer and Minari, where they are installed. Dopamine is
  filled beforehand; Minari reads an episode for each transition, uncompressed.

The learner is the student of the offline stage, with a Nature CNN. Rates are
given for the time that passed, and for the CPU time of all threads, which other
programs on the machine disturb less.
"""

import importlib
import os
import tempfile
import time
import types
from typing import Callable, Iterator, Optional

from absl import app
from absl import flags
import numpy as np

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import methods
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import frame_file
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import rolling_pool
from rrl_pipeline.replay import stacks
from rrl_pipeline.replay import transition_source
from rrl_pipeline.rlds import loading

# After rrl_pipeline, which chooses TensorFlow's kernels.
import rlds
import tensorflow as tf
import tensorflow_datasets as tfds

_DATASET = flags.DEFINE_string(
    'dataset', None, 'Version folder of a dataset.', required=True
)
_BATCHES = flags.DEFINE_integer('batches', 300, 'Batches to time.')
_NUM_ACTIONS = flags.DEFINE_integer('num_actions', 18, 'Actions of the game.')
_BATCH, _STACK, _N_STEP, _GAMMA = 32, 4, 3, 0.99


class Skipped(Exception):
  """Something that cannot be measured here, and why."""


class Stopwatch:
  """Measures from when it is made."""

  def __init__(self):
    self._start = time.perf_counter(), time.process_time()

  def rates(self, count: float) -> tuple[float, float]:
    """`count` per second and per CPU second since the start."""
    wall, cpu = self._start
    return (
        count / (time.perf_counter() - wall),
        count / (time.process_time() - cpu),
    )


def _import(name: str, package: str) -> types.ModuleType:
  """A module of a peer, which the project does not need."""
  try:
    return importlib.import_module(name)
  except ImportError as error:
    raise Skipped(f'{error}; pip install {package!r}') from error


def _rates(
    deliver: Callable[[int], object], batches: int
) -> tuple[float, float]:
  """Transitions per second of a function of the batch's number."""
  for index in range(5):
    deliver(index)
  watch = Stopwatch()
  for index in range(batches):
    deliver(index)
  return watch.rates(batches * _BATCH)


def _sampler(
    source: transition_source.TransitionSource,
) -> Callable[[int], object]:
  return lambda index: source.sample(_BATCH, _N_STEP, _GAMMA, 0, index)


def _in_order(store: frame_store.FrameStore) -> Callable[[int], object]:
  """As the learner takes them."""

  def deliver(index):
    batch = store.sample(_BATCH, _N_STEP, _GAMMA, 0, index)
    return (
        stacks.contiguous(batch.observation),
        stacks.contiguous(batch.next_observation),
    )

  return deliver


def _mapped(dataset, directory) -> frame_store.FrameStore:
  rows = frame_file.open_rows(
      directory, dataset.fingerprint, dataset.num_steps, dataset.frame_shape,
      lambda: dataset.episodes(_NUM_ACTIONS.value),
  )
  return frame_store.FrameStore.of(rows, _STACK)


def _pool(dataset) -> rolling_pool.RollingPool:
  return rolling_pool.RollingPool(
      dataset.lengths,
      lambda index: dataset.episode(index, _NUM_ACTIONS.value),
      max(dataset.num_steps // 10, int(dataset.lengths.max())),
      rows_per_batch=_BATCH,
      stack_size=_STACK,
      seed=0,
  )


def _to_transition(window):
  frames = tf.transpose(window[rlds.OBSERVATION][..., 0], [1, 2, 0])
  powers = tf.constant([_GAMMA**j for j in range(_N_STEP)])
  first = _STACK - 1
  rewards = window[rlds.REWARD][first : first + _N_STEP]
  terminal = tf.cast(window[rlds.IS_TERMINAL][-1], tf.float32)
  return (
      frames[..., :_STACK],
      window[rlds.ACTION][first],
      tf.reduce_sum(powers * rewards),
      _GAMMA**_N_STEP * (1 - terminal),
      frames[..., _N_STEP:],
  )


def _plain_rlds() -> Callable[[int], object]:
  """Its shuffle buffer is filled by the first batch."""
  dataset = tfds.builder_from_directory(_DATASET.value)
  if dataset.info.file_format.value != 'tfrecord':
    raise Skipped('tf.data reads no array_record')
  window = _STACK + _N_STEP
  transitions = dataset.as_dataset(split='train').interleave(
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
  return lambda _: next(batches)


def _dopamine(episodes: Iterator[frame_store.Rows]) -> Callable[[int], object]:
  # Before 4.1, which has no such buffer any more.
  circular_replay_buffer = _import(
      'dopamine.replay_memory.circular_replay_buffer', 'dopamine-rl<4.1'
  )
  episodes = list(episodes)
  buffer = circular_replay_buffer.OutOfGraphReplayBuffer(
      observation_shape=episodes[0].observation.shape[1:],
      stack_size=_STACK,
      replay_capacity=sum(len(rows.action) + _STACK for rows in episodes),
      batch_size=_BATCH,
      update_horizon=_N_STEP,
      gamma=_GAMMA,
  )
  for rows in episodes:
    count = len(rows.action) - 1
    for t in range(count):
      buffer.add(
          rows.observation[t], rows.action[t], rows.reward[t], t == count - 1
      )
  return lambda _: buffer.sample_transition_batch()


def _minari(
    episodes: Iterator[frame_store.Rows], directory: str
) -> Callable[[int], object]:
  os.environ['MINARI_DATASETS_PATH'] = directory
  minari = _import('minari', 'minari')
  data_collector = _import('minari.data_collector', 'minari')
  spaces = _import('gymnasium.spaces', 'gymnasium')
  buffers = []
  for rows in episodes:
    count = len(rows.action) - 1
    ends = np.arange(count) == count - 1
    buffers.append(
        data_collector.EpisodeBuffer(
            id=len(buffers),
            observations=list(rows.observation),
            actions=list(rows.action[:-1]),
            rewards=list(rows.reward[:-1]),
            terminations=list(ends & rows.is_terminal[-1]),
            truncations=list(ends & ~rows.is_terminal[-1]),
        )
    )
  dataset = minari.create_dataset_from_buffers(
      'benchmark/frames-v0',
      buffers,
      observation_space=spaces.Box(
          0, 255, rows.observation.shape[1:], np.uint8
      ),
      action_space=spaces.Discrete(_NUM_ACTIONS.value),
      data_format='arrow',
      jpeg_encoding=False,
  )
  lengths = [len(buffer.rewards) for buffer in buffers]
  generator = np.random.default_rng(0)
  starts = np.cumsum(lengths) - lengths

  def deliver(unused_index):
    batch = []
    for number in generator.integers(sum(lengths), size=_BATCH):
      index = int(np.searchsorted(starts, number, 'right')) - 1
      t, episode = number - starts[index], dataset[index]
      after = min(t + _N_STEP, lengths[index])
      rewards = episode.rewards[t:after]
      batch.append((
          [
              np.moveaxis(
                  episode.observations[
                      np.maximum(np.arange(end - _STACK + 1, end + 1), 0)
                  ],
                  0, -1,
              )
              for end in (t, after)
          ],
          episode.actions[t],
          np.sum(_GAMMA ** np.arange(len(rewards)) * rewards),
      ))
    return np.stack([stacked for stacked, _, _ in batch])

  return deliver


def _learner(store: frame_store.FrameStore, steps: int) -> tuple[float, float]:
  """Transitions per second that it learns from, sampling not counted."""
  agent = methods.METHODS['qdagger'].agent
  learner = builder.make_learner(
      network_config.NatureConfig(), agent, (84, 84, _STACK), 'uint8',
      _NUM_ACTIONS.value, 0,
  )
  batches = [store.sample(_BATCH, _N_STEP, _GAMMA, 0, i) for i in range(8)]
  return _rates(
      lambda index: float(learner.step(batches[index % 8], 3.0, 1e-4).loss),
      steps,
  )


def _print(
    name: str,
    measure: Callable[[], tuple[float, float]],
    ours: Optional[tuple[float, float]] = None,
) -> Optional[tuple[float, float]]:
  """Prints a line, with how many times faster `ours` is."""
  try:
    rates = measure()
  except Skipped as reason:
    print(f'{name:32} skipped: {reason}')
    return None
  line = f'{name:32}{rates[0]:12,.0f} /s {rates[1]:12,.0f} /CPU-s'
  if ours:
    line += f'   frame store ×{ours[0] / rates[0]:,.0f}'
    line += f' (CPU ×{ours[1] / rates[1]:,.0f})'
  print(line, flush=True)
  return rates


def main(argv):
  del argv
  batches = _BATCHES.value
  watch = Stopwatch()
  dataset = loading.RldsDataset(_DATASET.value)
  count = dataset.num_steps
  print(f'{dataset.num_episodes} episodes, {count:,} steps,'
        f' {count * np.prod(dataset.frame_shape) / 1e6:,.0f} MB of frames')
  _print('opening, checksums (steps)', lambda: watch.rates(count))
  watch = Stopwatch()
  store = frame_store.FrameStore(
      count, dataset.frame_shape, _NUM_ACTIONS.value, _STACK
  )
  for rows in dataset.episodes(_NUM_ACTIONS.value):
    store.extend(rows)
  _print('decoding, once (steps)', lambda: watch.rates(count))
  print('transitions:')
  ours = _print('frame store', lambda: _rates(_sampler(store), 4 * batches))
  _print(
      '  in the order of networks', lambda: _rates(_in_order(store), batches)
  )
  with tempfile.TemporaryDirectory() as directory:
    mapped = _mapped(dataset, directory)
    _print('  mapped file', lambda: _rates(_sampler(mapped), batches))
    pool = _pool(dataset)
    pool.sample(_BATCH, _N_STEP, _GAMMA, 0, 0)
    _print('  rolling pool', lambda: _rates(_sampler(pool), batches))
    _print('plain RLDS', lambda: _rates(_plain_rlds(), batches // 3), ours)
    _print('learner', lambda: _learner(store, batches // 10 + 1), ours)
    episodes = lambda: dataset.episodes(_NUM_ACTIONS.value)
    _print(
        'Dopamine', lambda: _rates(_dopamine(episodes()), batches // 3), ours
    )
    _print(
        'Minari',
        lambda: _rates(_minari(episodes(), directory), batches // 30 + 1),
        ours,
    )


if __name__ == '__main__':
  app.run(main)
