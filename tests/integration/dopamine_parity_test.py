"""Offline transitions are those that Dopamine would sample from the same log.

A real log is converted, loaded, and every transition of the store is compared
with an enumeration of the raw ring arrays by the rules of Dopamine's
`OutOfGraphReplayBuffer` (4.0): `is_valid_transition` for which slots may start
one, and `sample_transition_batch` for what it is. Both give a multiset of
(s, a, R, s', discount), R over n steps. The enumeration knows nothing of this
package's readers.

The known differences, each of which is asserted:

1. Dopamine never samples the newest n slots, nor the oldest stack_size slots of
   a full ring. Here the newest n are used, if their episode has ended; and of
   the oldest ones the last, whose stack is complete.
2. At an end without a terminal state (a time limit), Dopamine drops every start
   whose n steps meet the end. Here those but the very last are used, with fewer
   steps, and bootstrap from the last observation.
3. After such an end, Dopamine samples the padding before the next episode as if
   it were data, in stacks that go across the end (google/dopamine#213). Here
   padding is no data.
"""

import collections
import dataclasses
import glob
import gzip
import hashlib
import io
import os
import pickle
import re
import shutil

import numpy as np
import pytest

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import loading

_LOGS = os.path.join(
    os.path.dirname(__file__), '..', 'testdata', 'dopamine'
)
_STACK, _GAMMA, _ACTIONS = 4, 0.99, 6
_PADDING = _STACK - 1


@dataclasses.dataclass(frozen=True)
class _Ring:
  """The raw arrays of one checkpoint."""

  observation: np.ndarray
  action: np.ndarray
  reward: np.ndarray
  terminal: np.ndarray
  ends: frozenset[int]
  add_count: int

  @property
  def capacity(self) -> int:
    return len(self.action)

  @property
  def cursor(self) -> int:
    return self.add_count % self.capacity

  @property
  def is_full(self) -> bool:
    return self.add_count >= self.capacity

  def stack(self, slot):
    return np.arange(slot - _STACK + 1, slot + 1) % self.capacity


def _path(directory, name, number):
  return os.path.join(directory, f'{name}_ckpt.{number}.gz')


def _read_ring(directory) -> _Ring:
  number = max(
      int(re.search(r'ckpt\.(\d+)\.gz', path)[1])
      for path in glob.glob(os.path.join(glob.escape(directory), '*.gz'))
  )

  def array(name):
    with gzip.open(_path(directory, name, number)) as file:
      return np.load(io.BytesIO(file.read()), allow_pickle=False)

  with gzip.open(_path(directory, 'episode_end_indices', number)) as file:
    ends = pickle.load(file)  # A file of this repository.
  return _Ring(
      *(
          array(f'$store$_{name}')
          for name in ('observation', 'action', 'reward', 'terminal')
      ),
      ends=frozenset(map(int, ends)),
      add_count=int(array('add_count')),
  )


def _is_valid(ring: _Ring, slot: int, n_step: int) -> bool:
  """Dopamine's `is_valid_transition`."""
  if not ring.is_full:
    if slot >= ring.cursor - n_step or slot < _STACK - 1:
      return False
  invalid = (ring.cursor - n_step + np.arange(_STACK + n_step)) % ring.capacity
  if slot in invalid or ring.terminal[ring.stack(slot)[:-1]].any():
    return False
  horizon = np.arange(slot, slot + n_step) % ring.capacity
  return not any(s in ring.ends and not ring.terminal[s] for s in horizon)


def _key(state, action, reward, next_state, discount):
  digest = hashlib.blake2b(digest_size=12)
  digest.update(np.ascontiguousarray(state))
  digest.update(np.ascontiguousarray(next_state))
  return (
      digest.digest(), int(action), round(float(reward), 4),
      round(float(discount), 4),
  )


def _transition(ring: _Ring, slot: int, n_step: int, length=None):
  """Dopamine's `sample_transition_batch`, for one slot.

  Args:
    ring: the ring.
    slot: where the transition starts.
    n_step: n.
    length: steps, if others than Dopamine would take.
  """
  horizon = np.arange(slot, slot + n_step) % ring.capacity
  terminals = ring.terminal[horizon].astype(bool)
  if length is None:
    length = int(np.argmax(terminals)) + 1 if terminals.any() else n_step
  rewards = ring.reward[horizon[:length]]
  return _key(
      np.moveaxis(ring.observation[ring.stack(slot)], 0, -1),
      ring.action[slot],
      np.sum(_GAMMA ** np.arange(length) * rewards),
      np.moveaxis(ring.observation[ring.stack(slot + length)], 0, -1),
      0 if terminals[:length].any() else _GAMMA**length,
  )


def _dopamine(ring: _Ring, n_step: int) -> collections.Counter:
  return collections.Counter(
      _transition(ring, slot, n_step)
      for slot in range(ring.capacity)
      if _is_valid(ring, slot, n_step)
  )


def _load(log, directory) -> frame_store.FrameStore:
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          log_dir=str(log),
          data_dir=str(directory),
          game='Pong',
          run=1,
          checkpoints='latest',
          num_actions=_ACTIONS,
      )
  )
  dataset = loading.RldsDataset(summary.path)
  store = frame_store.FrameStore(
      dataset.num_steps, dataset.frame_shape, _ACTIONS, _STACK
  )
  for rows in dataset.episodes(_ACTIONS):
    store.extend(rows)
  return store


def _ours(store, n_step) -> collections.Counter:
  numbers = np.arange(store.num_added)
  numbers = numbers[store.is_sampleable(numbers, n_step)]
  found = collections.Counter()
  for part in np.array_split(numbers, len(numbers) // 64 + 1):
    batch = store.transitions(part, n_step, _GAMMA)
    found.update(
        _key(*fields)
        for fields in zip(
            batch.observation, batch.action, batch.reward,
            batch.next_observation, batch.discount, strict=True,
        )
    )
  return found


def _newest_and_oldest(ring: _Ring, n_step: int) -> collections.Counter:
  """Difference 1, from the slots."""
  # The newest slot is followed by padding that is not written yet.
  observation = ring.observation.copy()
  observation[ring.cursor] = 0
  after_end = dataclasses.replace(ring, observation=observation)
  slots = [(ring.cursor - i) % ring.capacity for i in range(1, n_step + 1)]
  found = [_transition(after_end, slot, n_step) for slot in slots]
  if ring.is_full:
    oldest = (ring.cursor + _STACK - 1) % ring.capacity
    # Unless it is padding, or its stack holds an end.
    assert not ring.terminal[ring.stack(oldest)].any()
    assert ring.observation[ring.stack(oldest)].any(axis=(1, 2)).all()
    found.append(_transition(ring, oldest, n_step))
  return collections.Counter(found)


@pytest.fixture(scope='module', params=['wrapped', 'unwrapped'], name='log')
def fixture_log(request, tmp_path_factory):
  log = os.path.join(_LOGS, request.param, 'checkpoints')
  store = _load(log, tmp_path_factory.mktemp(request.param))
  ring = _read_ring(log)
  assert ring.is_full == (request.param == 'wrapped')
  # The newest episode is complete, and none ended otherwise.
  assert ring.terminal[(ring.cursor - 1) % ring.capacity]
  return ring, store


@pytest.mark.parametrize('n_step', [1, 3])
def test_transitions_are_dopamines(log, n_step):
  ring, store = log
  ours, dopamine = _ours(store, n_step), _dopamine(ring, n_step)
  assert sum(dopamine.values()) > 5_000
  assert not dopamine - ours
  assert ours - dopamine == _newest_and_oldest(ring, n_step)


def _with_time_limit(source, directory):
  """The log, with its third end no terminal one; returns the slot."""
  shutil.copytree(source, directory)
  ring = _read_ring(directory)
  ages = (np.arange(ring.capacity) - ring.cursor) % ring.capacity
  end = sorted(np.flatnonzero(ring.terminal), key=lambda s: ages[s])[2]
  terminal = ring.terminal.copy()
  terminal[end] = 0
  number = 2
  with gzip.open(_path(directory, '$store$_terminal', number), 'wb') as file:
    np.save(file, terminal, allow_pickle=False)
  with gzip.open(
      _path(directory, 'episode_end_indices', number), 'wb'
  ) as file:
    pickle.dump(set(ring.ends) | {int(end)}, file)
  return int(end)


@pytest.mark.parametrize('n_step', [1, 3])
def test_differences_at_a_time_limit_are_those_that_are_known(
    tmp_path, n_step
):
  directory = str(tmp_path / 'log')
  end = _with_time_limit(
      os.path.join(_LOGS, 'wrapped', 'checkpoints'), directory
  )
  ring = _read_ring(directory)
  assert end in ring.ends and not ring.terminal[end]
  store = _load(directory, tmp_path / 'data')
  ours, dopamine = _ours(store, n_step), _dopamine(ring, n_step)
  # Difference 2: the starts before the end, with the steps that are left.
  shorter = collections.Counter(
      _transition(ring, end - left, n_step, length=left)
      for left in range(1, n_step)
  )
  assert ours - dopamine == _newest_and_oldest(ring, n_step) + shorter
  # Difference 3: the slots of the padding.
  padding = collections.Counter(
      _transition(ring, end + i, n_step) for i in range(1, _PADDING + 1)
  )
  assert not ring.observation[end + 1 : end + 1 + _PADDING].any()
  assert dopamine - ours == padding
