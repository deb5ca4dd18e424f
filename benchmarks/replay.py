"""What the replay takes: memory per step, time per draw, restart, and Reverb.

    python benchmarks/replay.py [--games=Pong,Riverraid] [--rows=1000000]

For each game a store is filled with so many steps of an agent that acts at
random (a recording of some thousand steps, again and again). Printed are the
memory that it takes, by the growth of the process, beside the frames as they
are; the time to draw a batch of 32 three-step transitions, beside a store of
plain frames; and the time to write all rows as checkpoints do, and to read them
back as a restart does.

Then rows per second through the table between actor and learner, written and
read, beside a bare Reverb table of single tensors with the same frames.
"""

import os
import subprocess
import sys
import tempfile
import time
from typing import Callable, Iterator
import zlib

from absl import app
from absl import flags
import dm_env
import numpy as np

from rrl_pipeline.environments import atari
from rrl_pipeline.replay import adders
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import streams
from rrl_pipeline.replay import tables
from rrl_pipeline.training import row_log

# After rrl_pipeline, which chooses TensorFlow's kernels.
import reverb
import tensorflow as tf

_GAMES = flags.DEFINE_list('games', ['Pong', 'Riverraid'], 'Atari games.')
_ROWS = flags.DEFINE_integer('rows', 1_000_000, 'Steps in a full store.')
_RECORDED = flags.DEFINE_integer('recorded', 5_000, 'Steps that are played.')
_DRAWS = flags.DEFINE_integer('draws', 200, 'Batches to time.')
_TRANSFERS = flags.DEFINE_integer('transfers', 3_000, 'Rows through Reverb.')
_CHUNK, _CHECKPOINT_PERIOD = 5_000, 50_000
_FRAME = (84, 84)
# Of actors, and of one process that updates at every fourth step.
_ROWS_PER_ITEM = (1, 4)


def _recording(game: str) -> frame_store.Rows:
  """Rows of episodes that are played at random."""
  environment = atari.AtariEnvironment(atari.AtariConfig(game=game), 0)
  num_actions = environment.action_spec().num_values
  generator = np.random.default_rng(0)
  timesteps = [environment.reset()]
  while len(timesteps) < _RECORDED.value:
    # After an episode's last step this one begins another.
    timesteps.append(environment.step(int(generator.integers(num_actions))))
  count = len(timesteps)
  is_last = np.array([timestep.last() for timestep in timesteps])
  is_last[-1] = True
  return frame_store.Rows(
      observation=np.stack([timestep.observation for timestep in timesteps]),
      action=np.zeros(count, np.int32),
      reward=np.zeros(count, np.float32),
      is_first=np.array([timestep.first() for timestep in timesteps]),
      is_last=is_last,
      is_terminal=is_last,
      is_padded=np.ones(count, bool),
      teacher_values=np.zeros((count, num_actions), np.float32),
  )


def _chunks(rows: frame_store.Rows, count: int) -> Iterator[frame_store.Rows]:
  """So many rows, the given ones again and again."""
  slots = np.arange(count) % len(rows.action)
  for start in range(0, count, _CHUNK):
    chosen = slots[start : start + _CHUNK]
    yield frame_store.Rows(*(column[chosen] for column in rows))


def _store(
    rows: frame_store.Rows, capacity: int, compress: bool
) -> frame_store.FrameStore:
  return frame_store.FrameStore(
      capacity, _FRAME, rows.teacher_values.shape[1], 4, compress=compress
  )


def _resident_bytes() -> int:
  with open('/proc/self/statm', encoding='ascii') as file:
    return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def _cpu_seconds(function: Callable[[], object]) -> float:
  start = time.process_time()
  function()
  return time.process_time() - start


def _draw_seconds(store: frame_store.FrameStore) -> float:
  """CPU seconds of a draw."""

  def draw():
    for index in range(_DRAWS.value):
      store.sample(32, 3, 0.99, 0, index)

  return _cpu_seconds(draw) / _DRAWS.value


def _memory(game: str, rows: frame_store.Rows) -> frame_store.FrameStore:
  count = _ROWS.value
  before = _resident_bytes()
  store = _store(rows, count, compress=True)
  seconds = _cpu_seconds(
      lambda: [store.extend(chunk) for chunk in _chunks(rows, count)]
  )
  taken = (_resident_bytes() - before) / count
  frame = store.num_bytes / count
  columns = rows._replace(observation=np.empty(0))
  scalars = sum(column.nbytes for column in columns) / len(rows.action)
  raw = _FRAME[0] * _FRAME[1]
  deflated = np.mean(
      [len(zlib.compress(frame)) for frame in rows.observation[:500]]
  )
  print(
      f'{game}, {count:,} steps: {taken * count / 1e9:.2f} GB,'
      f' {taken:.0f} bytes per step'
  )
  print(
      f'  a frame {raw} bytes, compressed {frame:.0f} (zlib: {deflated:.0f});'
      f' other columns {scalars:.0f}'
  )
  print(
      '  ratio memory / (compressed frame + columns)'
      f' {taken / (frame + scalars):.2f}; plain / compressed'
      f' {(raw + scalars) / taken:.1f}'
  )
  print(f'  {seconds / count * 1e6:.1f} us CPU to add a row')
  return store


def _draws(rows: frame_store.Rows, store: frame_store.FrameStore) -> None:
  plain = _store(rows, min(20_000, _ROWS.value), compress=False)
  for chunk in _chunks(rows, plain.capacity):
    plain.extend(chunk)
  ours, theirs = _draw_seconds(store), _draw_seconds(plain)
  print(
      f'  a draw of 32: {ours * 1e3:.2f} ms CPU compressed,'
      f' {theirs * 1e3:.2f} ms plain, ratio {ours / theirs:.2f}'
  )


def _restart(rows: frame_store.Rows) -> None:
  """Writes all rows, a checkpoint at a time, and reads them back."""
  count = _ROWS.value
  with tempfile.TemporaryDirectory() as directory:
    log = row_log.RowLog(directory)
    store = _store(rows, count, compress=True)
    saving = 0.0
    for chunk in _chunks(rows, count):
      store.extend(chunk)
      if store.num_added % _CHECKPOINT_PERIOD == 0 or store.num_added == count:
        saving += _cpu_seconds(lambda: log.save(store))
    size = sum(entry.stat().st_size for entry in os.scandir(directory))
    again = _store(rows, count, compress=True)
    start = time.perf_counter()
    cpu = _cpu_seconds(lambda: log.restore(again, count))
    wall = time.perf_counter() - start
  print(
      f'  checkpoints: {saving * _CHECKPOINT_PERIOD / count:.1f} s CPU per'
      f' {_CHECKPOINT_PERIOD:,} steps, {size / 1e9:.2f} GB on disk for all;'
      f' restart {wall:.1f} s, {cpu:.1f} s CPU'
  )


def _through_reverb(rows: frame_store.Rows) -> None:
  """Rows per CPU second, one by one."""
  count = _TRANSFERS.value
  frames = rows.observation[:count]
  count = len(frames)
  environment_spec = dm_env.specs.BoundedArray(_FRAME, np.uint8, 0, 255)
  num_actions = rows.teacher_values.shape[1]
  timesteps = [
      dm_env.transition(np.float32(0), frame, np.float32(1)) for frame in frames
  ]

  def through_table(rows_per_item: int) -> tuple[float, float]:
    """CPU seconds of writing and of reading."""
    server = reverb.Server(
        [tables.step_table(environment_spec, num_actions, count + 1)]
    )
    client = reverb.Client(f'localhost:{server.port}')
    adder = adders.StepAdder(client, num_actions, rows_per_item)
    adder.add_first(dm_env.restart(frames[0]))

    def write():
      for timestep in timesteps:
        adder.add(0, timestep)
      adder.flush()

    seconds = (
        _cpu_seconds(write),
        _cpu_seconds(lambda: streams.StepStream(client).read(count)),
    )
    adder.close()
    server.stop()
    return seconds

  signature = tf.TensorSpec(_FRAME, np.uint8)
  server = reverb.Server([tables.step_queue(signature, count + 1)])
  client = reverb.Client(f'localhost:{server.port}')
  writer = client.trajectory_writer(num_keep_alive_refs=1)

  def write():
    for frame in frames:
      writer.append(frame)
      writer.create_item(tables.STEPS, 1.0, writer.history[-1])
      writer.flush(block_until_num_items=4)
    writer.flush()

  bare = (
      _cpu_seconds(write),
      _cpu_seconds(
          lambda: list(
              client.sample(tables.STEPS, count, emit_timesteps=False)
          )
      ),
  )
  writer.close()
  server.stop()
  for rows_per_item in _ROWS_PER_ITEM:
    ours = through_table(rows_per_item)
    for name, own, other in zip(('inserted', 'sampled'), ours, bare):
      print(
          f'rows {name} per CPU second, {rows_per_item} an item:'
          f' {count / own:,.0f}; bare Reverb {count / other:,.0f}; ratio'
          f' {other / own:.2f}'
      )


def main(argv):
  del argv
  if len(_GAMES.value) > 1:
    for game in _GAMES.value:  # Each with memory of its own.
      subprocess.run([sys.executable, *sys.argv, f'--games={game}'], check=True)
    return
  (game,) = _GAMES.value
  rows = _recording(game)
  store = _memory(game, rows)
  _draws(rows, store)
  del store
  _restart(rows)
  _through_reverb(rows)


if __name__ == '__main__':
  app.run(main)
