"""Tests of the sampled tables in a real server: items, ratio, priorities."""

import threading
import time

from dm_env import specs
import numpy as np
import pytest
import reverb
from scipy import stats

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import prioritized
from rrl_pipeline.replay import sampling_tables
from rrl_pipeline.replay import windows

_ACTIONS = 2
_SPEC = specs.BoundedArray((2, 3), np.uint8, 0, 255)
# A batch of that size lets a million items be inserted first.
_FREELY = sampling_tables.SamplingConfig(1000, 1, 1e6, 10**12)


def _serve(table):
  server = reverb.Server([table])
  return server, reverb.Client(f'localhost:{server.port}')


def _episodes(lengths, cut_last=False):
  """Rows of episodes; each frame and action holds its row's number."""
  count = sum(lengths)
  numbers = np.arange(count)
  is_last = np.zeros(count, bool)
  is_last[np.cumsum(lengths) - 1] = True
  is_first = np.roll(is_last, 1)
  is_first[0] = True
  if cut_last:
    is_last[-1] = False
  return frame_store.Rows(
      observation=np.broadcast_to(
          numbers[:, None, None], (count, 2, 3)).astype(np.uint8),
      action=numbers.astype(np.int32),
      reward=np.linspace(-3, 3, count, dtype=np.float32),
      is_first=is_first,
      is_last=is_last,
      is_terminal=is_last & (numbers % 2 == 0),
      is_padded=np.ones(count, bool),
      teacher_values=np.stack([numbers, -numbers], 1).astype(np.float32),
  )


def _write(writer, rows, priority=1.0):
  for i in range(len(rows.action)):
    writer.append(frame_store.Rows(*(column[i] for column in rows)), priority)


def _sample(client, table, count):
  """Samples as (key, Window) and their info."""
  found = list(client.sample(table, count, emit_timesteps=False))
  return [windows.Window(*sample.data) for sample in found], [
      sample.info for sample in found]


@pytest.mark.parametrize('stack_size, n_step', [(4, 3), (1, 1), (3, 5)])
def test_items_are_the_transitions_of_a_frame_store(stack_size, n_step):
  rows = _episodes([7, 2, 1, 5, 4], cut_last=True)
  store = frame_store.FrameStore(50, (2, 3), _ACTIONS, stack_size,
                                 reward_limit=1.0)
  store.extend(rows)
  numbers = np.arange(19)
  numbers = numbers[store.is_sampleable(numbers, n_step)]
  server, client = _serve(
      sampling_tables.uniform_table(_SPEC, _ACTIONS, _FREELY))
  writer = windows.WindowWriter(
      client, sampling_tables.UNIFORM, stack_size, n_step)
  _write(writer, rows)
  table = client.server_info()[sampling_tables.UNIFORM]
  assert table.current_size == len(numbers)
  found, _ = _sample(client, sampling_tables.UNIFORM, 400)
  by_action = {int(window.action): window for window in found}
  assert sorted(by_action) == numbers.tolist()
  got = windows.transitions(
      [by_action[n] for n in numbers.tolist()], stack_size, 0.9, 1.0)
  for column, expected in zip(
      got, store.transitions(numbers, n_step, 0.9), strict=True):
    np.testing.assert_array_equal(column, expected)
    assert column.dtype == expected.dtype
  writer.close()
  server.stop()


def test_vectors_are_not_stacked():
  window = windows.Window(
      observation=np.arange(10, dtype=np.float32).reshape(2, 5),
      action=np.int32(1), reward=np.array([4], np.float32),
      is_terminal=np.False_, teacher_values=np.zeros(2, np.float32))
  got = windows.transitions([window], 1, 0.5)
  assert got.observation.tolist() == [[0, 1, 2, 3, 4]]
  assert got.next_observation.tolist() == [[5, 6, 7, 8, 9]]
  assert (got.reward.tolist(), got.discount.tolist()) == ([4.0], [0.5])


def test_items_are_sampled_in_proportion_to_their_priorities():
  server, client = _serve(
      sampling_tables.prioritized_table(_SPEC, _ACTIONS, _FREELY))
  name = sampling_tables.PRIORITIZED
  writer = windows.WindowWriter(client, name, 4, 1)
  _write(writer, _episodes([5]), priority=2.0)
  found, infos = _sample(client, name, 100)
  keys = {int(w.action): info.key for w, info in zip(found, infos)}
  assert {info.priority for info in infos} == {2.0}
  priorities = np.array([0.5, 1.0, 4.0, 2.5])
  client.mutate_priorities(name, {
      keys[action]: priority for action, priority in enumerate(priorities)})
  found, infos = _sample(client, name, 4000)
  counts = np.bincount([int(w.action) for w in found], minlength=4)
  expected = 4000 * priorities / priorities.sum()
  assert stats.chisquare(counts, expected).pvalue > 1e-3
  drawn = np.array([info.priority for info in infos])
  np.testing.assert_allclose(
      drawn, priorities[[int(w.action) for w in found]])
  np.testing.assert_allclose(
      [info.probability for info in infos], drawn / priorities.sum())
  np.testing.assert_allclose(
      prioritized.importance_weights(drawn), np.sqrt(0.5 / drawn), rtol=1e-6)
  writer.close()
  server.stop()


def test_samples_per_insert_are_exact():
  config = sampling_tables.SamplingConfig(
      capacity=100, min_items=10, samples_per_insert=2.5, batch_size=5)
  assert config.max_ahead() == 2
  server, client = _serve(
      sampling_tables.uniform_table(_SPEC, _ACTIONS, config))
  name = sampling_tables.UNIFORM
  inserted = 0

  def insert(writer, count):
    nonlocal inserted
    rows = _episodes([count + 1], cut_last=True)
    for i in range(count + 1):
      writer.append(frame_store.Rows(*(column[i] for column in rows)))
      inserted += i > 0

  def sample(count):
    sampled.extend(client.sample(name, count, emit_timesteps=False))

  def waits(thread):
    thread.start()
    thread.join(timeout=0.4)
    return thread.is_alive()

  sampled = []
  writer = windows.WindowWriter(client, name, 1, 1)
  insert(writer, 10)
  # So many must be there, and none of them gives a sample.
  reader = threading.Thread(target=sample, args=(1,), daemon=True)
  assert waits(reader)
  # Two more are let in, which pay for five samples.
  actor = threading.Thread(target=insert, args=(writer, 9), daemon=True)
  actor.start()
  reader.join(timeout=10)
  assert not reader.is_alive()
  for _ in range(3):
    deadline = time.time() + 10
    limit = 10 + 2 + int(len(sampled) / 2.5)
    while inserted < limit and time.time() < deadline:
      time.sleep(0.01)
    time.sleep(0.2)
    # The actor never gets further ahead than that, except in its own thread.
    size = client.server_info()[name].rate_limiter_info
    assert size.insert_stats.completed == limit
    sample(5)
  server_side = client.server_info()[name].rate_limiter_info
  assert server_side.sample_stats.completed == len(sampled) == 16
  reader = threading.Thread(target=sample, args=(10,), daemon=True)
  reader.start()
  actor.join(timeout=10)
  assert not actor.is_alive() and inserted == 19
  server.stop()


def test_the_oldest_items_give_way():
  config = sampling_tables.SamplingConfig(4, 1, 1e6, 10**12)
  server, client = _serve(
      sampling_tables.uniform_table(_SPEC, _ACTIONS, config))
  writer = windows.WindowWriter(client, sampling_tables.UNIFORM, 4, 2)
  _write(writer, _episodes([11]))
  found, _ = _sample(client, sampling_tables.UNIFORM, 100)
  assert {int(window.action) for window in found} == {6, 7, 8, 9}
  writer.close()
  server.stop()


@pytest.mark.parametrize('changes, match', [
    ({'capacity': 0}, 'capacity must be positive, got 0'),
    ({'samples_per_insert': -1.0}, 'samples_per_insert must be positive'),
    ({'min_items': 11}, r'min_items \(11\) must fit capacity \(10\)'),
])
def test_a_configuration_is_checked(changes, match):
  values = {'capacity': 10, 'min_items': 2, 'samples_per_insert': 8.0,
            'batch_size': 32, **changes}
  with pytest.raises(ValueError, match=match):
    sampling_tables.SamplingConfig(**values)
