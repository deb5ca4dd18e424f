"""Agent steps per second of the distributed online stage, by number of actors.

    python benchmarks/actors.py [--actors=1,2,4] [--game=Pong] [--seconds=60]

For each number of actors the roles run as processes do in a run: actors with
several environments each, a Reverb server, and

* the learner, which updates by a batch of 32 for every fourth agent step while
  the actors wait for it (the replay ratio is fixed);
* in its place a reader that takes the steps and does nothing (acting alone).

Printed are agent steps per second and CPU time per agent step of all processes,
after a warm-up, and what the number of actors changes.
"""

import dataclasses
import multiprocessing
import os
import pathlib
import tempfile
import time
from typing import Callable

from absl import app
from absl import flags

from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.training import actor_role
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import learner_role
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import role_link

_ACTORS = flags.DEFINE_list('actors', ['1', '2', '4'], 'Numbers of actors.')
_GAME = flags.DEFINE_string('game', 'Pong', 'Atari game.')
_SECONDS = flags.DEFINE_float('seconds', 60, 'Time to measure.')
_AGENT = 'benchmark'
_MAX_ROWS, _MAX_UNREAD = 64, 64
# Updates of the learner, or reads of the reader, before the measurement.
_WARM_UP = 20
_ENDLESS = 10**7


class _Done(Exception):
  """Enough was timed."""


class _Meter:
  """Counts steps from the end of the warm-up until the time is over."""

  def __init__(self, processes: list[multiprocessing.Process]):
    self._processes = processes
    self._ticks = 0

  def tick(self, num_steps: int) -> None:
    """Takes the number of agent steps so far, at each update or read."""
    self._ticks += 1
    if self._ticks < _WARM_UP:
      return
    now = time.perf_counter()
    if self._ticks == _WARM_UP:
      self._start = now, self._cpu_seconds(), num_steps
    start, cpu_start, steps_start = self._start
    if now - start >= _SECONDS.value:
      steps = num_steps - steps_start
      self.rate = steps / (now - start)
      self.cpu = (self._cpu_seconds() - cpu_start) / steps
      raise _Done

  def _cpu_seconds(self) -> float:
    """Of this process and the actors."""
    total = time.process_time()
    for process in self._processes:
      with open(f'/proc/{process.pid}/stat', encoding='ascii') as file:
        user, system = file.read().rpartition(')')[2].split()[11:13]
      total += (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')
    return total


def _agent() -> agent_config.AgentConfig:
  return dataclasses.replace(
      methods.METHODS['tabula_rasa'].agent, min_replay_steps=400
  )


def _learner(environment: atari.AtariConfig) -> learning.Learner:
  interface = factory.interface(environment)
  return builder.make_learner(
      network_config.NatureConfig(),
      _agent(),
      interface.observation_shape,
      'uint8',
      interface.num_actions,
      0,
  )


def _act(address: str, index: int, environment: atari.AtariConfig) -> None:
  """An actor's process."""
  actor_role.act(
      role_link.RoleLink(address),
      _AGENT,
      index,
      environment,
      _agent(),
      _learner(environment).network,
      0,
      None,
  )


def _learn(
    link: role_link.RoleLink,
    environment: atari.AtariConfig,
    learner: learning.Learner,
    meter: _Meter,
) -> None:
  update = learner.update

  def timed_update(*args):
    meter.tick(role.actor_steps)
    return update(*args)

  learner.update = timed_update
  with tempfile.TemporaryDirectory() as directory:
    setup = online_setup.OnlineSetup(
        pathlib.Path(directory),
        _AGENT,
        environment,
        _agent(),
        config_lib.OnlineConfig(
            num_actor_steps=_ENDLESS,
            evaluation_period=_ENDLESS,
            checkpoint_period=_ENDLESS,
        ),
        learner,
        0,
    )
    role = learner_role.LearnerRole(setup)
    role.run(link)


def _read(
    link: role_link.RoleLink,
    environment: atari.AtariConfig,
    learner: learning.Learner,
    meter: _Meter,
) -> None:
  del environment
  link.push_policy(
      role_link.PolicyState(0, 0, False, 0), learner.network.variables
  )
  link.push_counters(role_link.Counters(0, 0, 0))
  steps = 0
  while True:
    rows = link.read_steps(_MAX_ROWS)
    steps += sum(not row.is_last for row in rows)
    if rows:
      meter.tick(steps)
    else:
      time.sleep(0.002)


def _measure(num_actors: int, consume: Callable[..., None]) -> _Meter:
  environment = atari.AtariConfig(game=_GAME.value)
  learner = _learner(environment)
  server = role_link.make_server(
      factory.interface(environment), learner.network.variables, _MAX_UNREAD
  )
  address = f'localhost:{server.port}'
  context = multiprocessing.get_context('spawn')
  processes = [
      context.Process(target=_act, args=(address, i, environment), daemon=True)
      for i in range(num_actors)
  ]
  for process in processes:
    process.start()
  meter = _Meter(processes)
  try:
    consume(role_link.RoleLink(address), environment, learner, meter)
  except _Done:
    pass
  finally:
    for process in processes:
      process.terminate()
      process.join()
    server.stop()
  return meter


def main(argv):
  del argv
  for name, consume in (('with learner', _learn), ('acting alone', _read)):
    first = None
    for number in map(int, _ACTORS.value):
      meter = _measure(number, consume)
      first = first or meter.rate
      print(
          f'{name}, {number} actors: {meter.rate:7.1f} agent steps/s,'
          f' {meter.cpu * 1e3:6.2f} ms CPU each,'
          f' {meter.rate / first:5.2f} times the first'
      )


if __name__ == '__main__':
  app.run(main)
