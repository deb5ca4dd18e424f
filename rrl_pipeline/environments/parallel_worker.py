"""A process that owns some environments of `ParallelEnvironments`.

It is started with the number of an open socket, makes environments, and does
what it is told until the other end closes.
"""

from multiprocessing import connection
import signal
import sys
import traceback
from typing import Any, NamedTuple

from dm_env import specs

from rrl_pipeline.environments import config as config_lib
from rrl_pipeline.environments import environment
from rrl_pipeline.environments import factory


class Start(NamedTuple):
  """The first message: what environments to make."""

  config: config_lib.EnvironmentConfig
  seed: int
  count: int


class Started(NamedTuple):
  """The first answer: what they are like."""

  observation_spec: specs.Array
  action_spec: specs.DiscreteArray
  action_meanings: tuple[str, ...]


class Failure(NamedTuple):
  """The answer in place of another if there was an exception."""

  name: str
  message: str
  trace: str


def _answer(
    environments: list[environment.Environment], message: Any) -> Any:
  if isinstance(message, Start):
    environments[:] = [
        factory.make(message.config, message.seed)
        for _ in range(message.count)]
    made = environments[0]
    return Started(
        made.observation_spec(), made.action_spec(), made.action_meanings)
  command, requests = message
  return [_COMMANDS[command](environments[number], value)
          for number, value in requests]


def _reset(made: environment.Environment, episode: int) -> Any:
  made.start_at_episode(episode)
  return made.reset()


_COMMANDS = {
    'reset': _reset,
    'step': lambda made, action: made.step(action),
    'read': getattr,
}


def main() -> None:
  # Whoever interrupts the program interrupts the process that started this.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  environments = []
  with connection.Connection(int(sys.argv[1])) as parent:
    try:
      while True:
        message = parent.recv()
        try:
          answer = _answer(environments, message)
        except Exception as error:  # pylint: disable=broad-exception-caught
          answer = Failure(
              type(error).__name__, str(error), traceback.format_exc())
        parent.send(answer)
    except (ConnectionError, EOFError):
      pass
