"""Milliseconds per step of the balloon: BLE's own simulator and ours.

    python benchmarks/balloon_step.py [--steps=960] [--seed=0] [--workers=2]

Both fly the same flight, a step of one after a step of the other, so that
whatever else the machine does slows both. Printed beside it: in how many
features the two differ, and steps per second of many balloons in processes.
"""

import os
import time

# Before NumPy starts its threads: matrices are small here, and an environment
# has one processor for itself wherever many of them run.
os.environ['OMP_NUM_THREADS'] = '1'

# pylint: disable=g-import-not-at-top,wrong-import-position
from absl import app
from absl import flags
import numpy as np

from rrl_pipeline.environments import balloon
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import balloon_solar
from rrl_pipeline.environments import parallel

from balloon_learning_environment.env import balloon_env
from balloon_learning_environment.env.balloon import solar

_STEPS = flags.DEFINE_integer(
    'steps', 960, 'Steps to fly.', lower_bound=1, upper_bound=960)
_SEED = flags.DEFINE_integer('seed', 0, "BLE's seed of the flight.")
_WORKERS = flags.DEFINE_integer(
    'workers', 2, 'Processes of four balloons each.', lower_bound=1)
_BALLOONS, _POOL_STEPS = 4, 100


def _actions(count: int) -> np.ndarray:
  """Up, down or neither for an hour at a time."""
  generator = np.random.default_rng(0)
  return np.repeat(generator.integers(0, 3, count), 20)[:count]


def _compare(ble_sun) -> None:
  rivals = (("BLE's own", balloon_env.BalloonEnv(seed=0), ble_sun),
            ('ours', balloon.simulator(), balloon_solar.solar_calculator))
  for _, simulator, sun in rivals:
    solar.solar_calculator = sun
    simulator.reset(seed=_SEED.value)
  seconds = np.zeros((2, _STEPS.value))
  differences = 0
  for step, action in enumerate(_actions(_STEPS.value)):
    observations = []
    for number, (_, simulator, sun) in enumerate(rivals):
      solar.solar_calculator = sun
      start = time.perf_counter()
      observation, _, ended, _ = simulator.step(int(action))
      seconds[number, step] = time.perf_counter() - start
      observations.append(observation)
    differences += np.count_nonzero(observations[0] != observations[1])
    if ended:
      print(f'the flight ended after {step + 1} steps')
      seconds = seconds[:, :step + 1]
      break
  for (name, *_), each in zip(rivals, seconds * 1e3):
    print(f'{name:>9}: {each.mean():6.2f} ms/step, '
          f'median {np.median(each):6.2f}')
  means, medians = seconds.mean(axis=1), np.median(seconds, axis=1)
  print(f'    ratio: {means[0] / means[1]:6.2f}, of the medians '
        f'{medians[0] / medians[1]:.2f}')
  print(f' features: {differences} of {1099 * seconds.shape[1]:,} differ')


def _play_in_processes() -> None:
  count = _BALLOONS * _WORKERS.value
  with parallel.ParallelEnvironments(
      balloon_config.BalloonConfig(), 0, count, _WORKERS.value) as pool:
    pool.reset(range(count))
    start = time.perf_counter()
    for action in _actions(_POOL_STEPS):
      pool.step([action] * count)
    rate = _POOL_STEPS * count / (time.perf_counter() - start)
  print(f'processes: {rate:,.0f} steps/s of {count} balloons in '
        f'{_WORKERS.value} processes')


def main(argv):
  del argv
  _compare(solar.solar_calculator)
  _play_in_processes()


if __name__ == '__main__':
  app.run(main)
