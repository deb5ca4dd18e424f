"""Many environments at once, spread over processes.

Environments step together: a call sends every process its actions and waits
for all of them. Who plays which episode is the caller's choice, and an episode
follows from its number alone, so results depend neither on the number of
processes nor on their speed.

Processes are started anew rather than forked: a fork of a process that has used
JAX or TensorFlow may hang. They end with the process that started them, however
that ends, as each waits at the other end of a socket.
"""

from multiprocessing import connection
import os
import signal
import subprocess
import sys
from typing import Any, Iterable, Optional, Sequence

import dm_env
from dm_env import specs
import numpy as np

from rrl_pipeline.environments import config as config_lib
from rrl_pipeline.environments import parallel_worker

# A process has one environment step to compute at a time: more threads would
# only get in each other's way, and a GPU belongs to the learner. TensorFlow,
# which some environments import for their files, would report what it lacks.
_VARIABLES = {
    'CUDA_VISIBLE_DEVICES': '',
    'JAX_PLATFORMS': 'cpu',
    'OMP_NUM_THREADS': '1',
    'TF_CPP_MIN_LOG_LEVEL': '3',
}
_WORKER = parallel_worker.__name__
_SECONDS_TO_END = 10


class WorkerError(RuntimeError):
  """A process with environments failed or died."""


class ParallelEnvironments:
  """Environments of one configuration and seed, numbered from 0.

  Time steps are batches: `step_type` int64 [B], `reward` and `discount` float32
  [B] (0 and 1 where an episode starts), `observation` [B, ...].

  After any error the processes are gone.
  """

  def __init__(
      self, config: config_lib.EnvironmentConfig, seed: int,
      num_environments: int, num_workers: Optional[int] = None):
    """Starts the processes and waits until their environments are made.

    Args:
      config: of every environment.
      seed: of every environment; they differ in the episodes that they play.
      num_environments: at least 1.
      num_workers: processes, at most one for each environment; by default as
        many as this process may use processors.

    Raises:
      ValueError: an environment cannot be made of this configuration.
      WorkerError: a process failed or died.
    """
    if num_environments < 1:
      raise ValueError(
          f'num_environments must be at least 1, got {num_environments}')
    if num_workers is None:
      num_workers = len(os.sched_getaffinity(0))
    if num_workers < 1:
      raise ValueError(f'num_workers must be at least 1, got {num_workers}')
    self._num_environments = num_environments
    self._running = np.zeros(num_environments, bool)
    self._workers = []
    try:
      for _ in range(min(num_workers, num_environments)):
        self._workers.append(_Worker(len(self._workers)))
      for number, worker in enumerate(self._workers):
        count = len(range(number, num_environments, len(self._workers)))
        worker.send(parallel_worker.Start(config, seed, count))
      self._start = [worker.receive() for worker in self._workers][0]
    except BaseException:
      self.close()
      raise

  def __enter__(self) -> 'ParallelEnvironments':
    return self

  def __exit__(self, *exception: Any) -> None:
    self.close()

  @property
  def num_environments(self) -> int:
    return self._num_environments

  @property
  def process_ids(self) -> tuple[int, ...]:
    return tuple(worker.process.pid for worker in self._workers)

  @property
  def action_meanings(self) -> tuple[str, ...]:
    return self._start.action_meanings

  def observation_spec(self) -> specs.Array:
    """Of a single environment."""
    return self._start.observation_spec

  def action_spec(self) -> specs.DiscreteArray:
    """Of a single environment."""
    return self._start.action_spec

  def reset(
      self, episodes: Sequence[int],
      environments: Optional[Sequence[int]] = None) -> dm_env.TimeStep:
    """Starts an episode in each environment.

    Args:
      episodes: [B] numbers of the episodes.
      environments: [B] numbers of the environments; all by default.
    """
    return self._play('reset', episodes, self._chosen(environments))

  def step(
      self, actions: Sequence[int],
      environments: Optional[Sequence[int]] = None) -> dm_env.TimeStep:
    """Takes a step in each environment.

    Args:
      actions: [B].
      environments: [B] numbers of the environments; all by default.

    Raises:
      ValueError: in one of them no episode is running; reset it first.
    """
    chosen = self._chosen(environments)
    idle = [number for number in chosen if not self._running[number]]
    if idle:
      raise ValueError(f'no episode is running in environments {idle}: reset '
                       'them before their next step')
    return self._play('step', actions, chosen)

  def read(
      self, name: str,
      environments: Optional[Sequence[int]] = None) -> list[Any]:
    """The values of a property, such as `flight`, of each environment."""
    chosen = self._chosen(environments)
    replies = self._ask('read', chosen, [name] * len(chosen))
    return [replies[number] for number in chosen]

  def close(self) -> None:
    """Ends the processes; there is nothing to save."""
    for worker in self._workers:
      worker.connection.close()
    for worker in self._workers:
      worker.end()

  def _chosen(self, environments: Optional[Sequence[int]]) -> list[int]:
    if environments is None:
      return list(range(self._num_environments))
    chosen = [int(number) for number in environments]
    if (len(set(chosen)) < len(chosen)
        or not set(chosen) <= set(range(self._num_environments))):
      raise ValueError(
          f'expected different environments from 0 to '
          f'{self._num_environments - 1}, got {chosen}')
    return chosen

  def _play(self, command: str, values: Sequence[int],
            chosen: Sequence[int]) -> dm_env.TimeStep:
    if len(values) != len(chosen):
      raise ValueError(f'expected a value for each of {len(chosen)} '
                       f'environments, got {len(values)}')
    replies = self._ask(command, chosen, [int(value) for value in values])
    timesteps = [replies[number] for number in chosen]
    for number, timestep in zip(chosen, timesteps):
      self._running[number] = not timestep.last()
    return dm_env.TimeStep(
        np.array([t.step_type for t in timesteps], np.int64),
        np.array([0 if t.first() else t.reward for t in timesteps],
                 np.float32),
        np.array([1 if t.first() else t.discount for t in timesteps],
                 np.float32),
        np.array([t.observation for t in timesteps]))

  def _ask(self, command: str, chosen: Iterable[int],
           values: Iterable[Any]) -> dict[int, Any]:
    """The reply of each environment to a command with its value."""
    count = len(self._workers)
    shares = [[] for _ in self._workers]
    for number, value in zip(chosen, values):
      shares[number % count].append((number, value))
    asked = [(worker, share) for worker, share in zip(self._workers, shares)
             if share]
    replies = {}
    try:
      for worker, share in asked:
        worker.send((command, [(n // count, value) for n, value in share]))
      for worker, share in asked:
        for (number, _), reply in zip(share, worker.receive()):
          replies[number] = reply
    except BaseException:
      # Half of an answer may be under way.
      self.close()
      raise
    return replies


class _Worker:
  """One process and the connection to it."""

  def __init__(self, number: int):
    self._number = number
    self.connection, theirs = connection.Pipe()
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    # Not -m: the types of messages must have the same names on both sides.
    program = f'import {_WORKER} as worker; worker.main()'
    with theirs:
      self.process = subprocess.Popen(
          [sys.executable, '-P', '-c', program, str(theirs.fileno())],
          env={**os.environ, **_VARIABLES, 'PYTHONPATH': path},
          stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])

  def send(self, message: Any) -> None:
    try:
      self.connection.send(message)
    except ConnectionError as error:
      raise self._died() from error

  def receive(self) -> Any:
    """The answer to what was sent.

    Raises:
      ValueError: an environment raised it.
      WorkerError: an environment raised another exception, or there is no
        process any more.
    """
    try:
      answer = self.connection.recv()
    except (ConnectionError, EOFError) as error:
      raise self._died() from error
    if not isinstance(answer, parallel_worker.Failure):
      return answer
    if answer.name == 'ValueError':
      error = ValueError(answer.message)
    else:
      error = WorkerError(
          f'environment worker {self._number} failed: {answer.name}: '
          f'{answer.message}')
    error.add_note(answer.trace)
    raise error

  def end(self) -> None:
    try:
      self.process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
      self.process.kill()
      self.process.wait()

  def _died(self) -> WorkerError:
    self.end()
    status = self.process.returncode
    reason = f'with status {status}'
    if status < 0:
      reason = f'of {signal.Signals(-status).name}'
    if status == -signal.SIGKILL:
      reason += ', as when memory runs out: try fewer workers'
    return WorkerError(f'environment worker {self._number} (process '
                       f'{self.process.pid}) died {reason}')
