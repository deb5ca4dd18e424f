"""Tests of environments in several processes, on Atari games."""

import os
import signal
import subprocess
import sys
import time

import dm_env
import numpy as np
import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import parallel

_CONFIG = atari.AtariConfig(frame_size=16, max_episode_steps=5)


def _alive(process_id: int) -> bool:
  try:
    with open(f'/proc/{process_id}/stat', encoding='ascii') as stat:
      return stat.read().rpartition(')')[2].split()[0] not in 'ZX'
  except FileNotFoundError:
    return False


def _wait_until_gone(process_ids) -> None:
  limit = time.monotonic() + 60
  while any(map(_alive, process_ids)):
    assert time.monotonic() < limit, 'a process was left behind'
    time.sleep(0.05)


def _actions(count: int, steps: int) -> np.ndarray:
  return np.random.default_rng(0).integers(0, 6, (steps, count))


def _one_after_another(episodes, actions):
  """Time steps [T + 1][B] of environments in this process."""
  played = []
  for number, episode in enumerate(episodes):
    made = factory.make(_CONFIG, seed=3)
    made.start_at_episode(episode)
    played.append(
        [made.reset()] + [made.step(row[number]) for row in actions])
  return list(zip(*played))


@pytest.mark.parametrize('workers', [1, 3])
def test_it_plays_what_single_environments_play(workers):
  episodes, actions = [4, 0, 9, 2], _actions(4, 5)
  expected = _one_after_another(episodes, actions)
  with parallel.ParallelEnvironments(_CONFIG, 3, 4, workers) as pool:
    assert len(pool.process_ids) == workers
    found = [pool.reset(episodes), *(pool.step(row) for row in actions)]
    meanings = pool.read('action_meanings')
  for batch, singles in zip(found, expected):
    for number, single in enumerate(singles):
      assert batch.step_type[number] == single.step_type
      np.testing.assert_array_equal(
          batch.observation[number], single.observation)
      if not single.first():
        assert batch.reward[number] == single.reward
        assert batch.discount[number] == single.discount
  assert found[0].first().all() and found[-1].last().all()
  assert found[0].reward.dtype == found[0].discount.dtype == np.float32
  assert meanings == [pool.action_meanings] * 4
  assert pool.num_environments == 4
  assert pool.observation_spec().shape == (16, 16)
  assert pool.action_spec().num_values == 6
  _wait_until_gone(pool.process_ids)


def test_some_of_the_environments_go_on():
  actions = _actions(3, 4)
  expected = _one_after_another([0, 1, 2], actions)
  with parallel.ParallelEnvironments(_CONFIG, 3, 3, 2) as pool:
    pool.reset([0, 1, 2])
    for row in actions:
      # In another order, and without the one in the middle.
      timestep = pool.step(row[[2, 0]], environments=[2, 0])
    for place, number in ((0, 2), (1, 0)):
      np.testing.assert_array_equal(
          timestep.observation[place], expected[4][number].observation)
    middle = pool.step(actions[0, [1]], environments=[1])
    np.testing.assert_array_equal(
        middle.observation[0], expected[1][1].observation)


def test_an_ended_episode_waits_for_the_next_one():
  with parallel.ParallelEnvironments(_CONFIG, 3, 2, 1) as pool:
    with pytest.raises(ValueError, match=r'in environments \[0, 1\]: reset'):
      pool.step([0, 0])
    pool.reset([0, 1])
    for _ in range(4):
      pool.step([0], environments=[1])
    last = pool.step([0], environments=[1])
    assert last.step_type == dm_env.StepType.LAST
    with pytest.raises(ValueError, match=r'in environments \[1\]: reset'):
      pool.step([0, 0])
    pool.reset([2], environments=[1])
    pool.step([0, 0])


def test_requests_that_do_not_fit_are_refused():
  with parallel.ParallelEnvironments(_CONFIG, 3, 2, 1) as pool:
    with pytest.raises(ValueError, match='each of 2 environments, got 3'):
      pool.reset([0, 1, 2])
    for chosen in ([0, 0], [2]):
      with pytest.raises(ValueError, match='environments from 0 to 1, got'):
        pool.reset([0] * len(chosen), environments=chosen)
    pool.reset([0, 1])
  for arguments in ((0, 1), (1, 0)):
    with pytest.raises(ValueError, match='must be at least 1, got 0'):
      parallel.ParallelEnvironments(_CONFIG, 3, *arguments)


def test_a_configuration_that_cannot_be_made_is_the_users_error():
  config = atari.AtariConfig(game='Chess')
  with pytest.raises(ValueError, match="^Unknown Atari game 'Chess'"):
    parallel.ParallelEnvironments(config, 0, 2, 2)


def test_another_exception_names_the_worker_and_ends_all():
  with parallel.ParallelEnvironments(_CONFIG, 3, 2, 2) as pool:
    with pytest.raises(parallel.WorkerError, match=(
        '^environment worker 1 failed: AttributeError: .*flight')) as error:
      pool.read('flight', environments=[1])
    assert 'Traceback' in error.value.__notes__[0]
    _wait_until_gone(pool.process_ids)


def test_a_killed_worker_is_one_clear_error():
  with parallel.ParallelEnvironments(_CONFIG, 3, 2, 2) as pool:
    pool.reset([0, 1])
    killed = pool.process_ids[1]
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(parallel.WorkerError) as error:
      for _ in range(3):
        pool.step([0, 0])
    assert str(error.value) == (
        f'environment worker 1 (process {killed}) died of SIGKILL, as when '
        'memory runs out: try fewer workers')
    _wait_until_gone(pool.process_ids)


@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_program(how):
  # A program without a guard around its main part: it is not run again.
  program = (
      'import time\n'
      'from rrl_pipeline.environments import atari, parallel\n'
      'pool = parallel.ParallelEnvironments(atari.AtariConfig(), 0, 2, 2)\n'
      'print(*pool.process_ids, flush=True)\n'
      'pool.reset([0, 1])\n'
      'while True: pool.step([0, 0])\n')
  with subprocess.Popen([sys.executable, '-c', program], text=True,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL) as process:
    workers = list(map(int, process.stdout.readline().split()))
    assert len(workers) == 2 and all(map(_alive, workers))
    process.send_signal(how)
    process.wait(60)
  _wait_until_gone(workers)
