"""The roles of a distributed run, each as a process of its own runs it."""

import contextlib
import os
import pathlib
import sys
import threading
import time
from typing import Callable, Iterator

from rrl_pipeline import run_directory
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.replay import server as server_lib
from rrl_pipeline.training import actor_role
from rrl_pipeline.training import evaluator_role
from rrl_pipeline.training import learner_role
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import patience
from rrl_pipeline.training import role_link
from rrl_pipeline.training import students
from rrl_pipeline.training import teacher as teacher_stage

# Rows of actors that may wait for the learner, beside two updates' worth.
_MAX_UNREAD = 64
_WATCH_SECONDS = 2.0
# So that the others see the end before the server is gone.
_LINGER_SECONDS = 3 * _WATCH_SECONDS


def serve(
    task: students.Task,
    agent: str,
    agent_config: agent_config_lib.AgentConfig,
    host: str,
    port: int,
) -> None:
  """Runs the replay server until the learner is finished.

  Args:
    task: what all agents have in common.
    agent: its name.
    agent_config: how it learns.
    host: by which the other roles know this machine.
    port: where the server listens.

  Raises:
    ValueError: if another program has the port.
  """
  server = role_link.make_server(
      task.interface,
      task.q_network(agent, agent_config).variables,
      max(2 * agent_config.update_period, _MAX_UNREAD),
      port,
      host,
  )
  whom = 'this machine' if server_lib.is_loopback(host) else 'all machines'
  print(f'replay: port {port}, for {whom}', flush=True)
  with _leaves_without_server():
    link = role_link.RoleLink(f'localhost:{port}')
    while not link.is_finished:
      time.sleep(_WATCH_SECONDS)
  time.sleep(_LINGER_SECONDS)
  server.stop()


def learn(
    directory: pathlib.Path,
    address: str,
    prepare: Callable[[], online_setup.OnlineSetup],
) -> None:
  """Trains until all steps are done and evaluated.

  Args:
    directory: of the agent in the stage.
    address: of the replay server.
    prepare: makes what the agent begins with; called once this process is the
      only one that may train it.

  Raises:
    LockedError: if another process trains this agent.
  """
  own = run_directory.RunDirectory(directory)
  with own.lock():
    own.sweep()
    role = learner_role.LearnerRole(prepare())
    with _leaves_without_server():
      role.run(role_link.RoleLink(address))


def act(
    task: students.Task,
    agent: str,
    agent_config: agent_config_lib.AgentConfig,
    teacher_directory: str | os.PathLike,
    address: str,
    index: int,
) -> None:
  """Plays until the learner is finished."""
  with _leaves_without_server():
    link = role_link.RoleLink(address)
    _leave_with_learner(link)
    teacher = None
    if agent_config.needs_teacher:
      teacher = teacher_stage.load(teacher_directory, task.environment)
    actor_role.act(
        link,
        agent,
        index,
        task.environment,
        agent_config,
        task.q_network(agent, agent_config),
        task.seed,
        teacher,
    )


def evaluate(
    task: students.Task,
    agent: str,
    agent_config: agent_config_lib.AgentConfig,
    address: str,
) -> None:
  """Evaluates until the learner is finished."""
  with _leaves_without_server():
    link = role_link.RoleLink(address)
    _leave_with_learner(link)
    evaluator_role.evaluate(
        link,
        agent,
        task.environment,
        task.evaluation,
        task.q_network(agent, agent_config),
        task.seed,
    )


def _leave_with_learner(link: role_link.RoleLink) -> None:
  """Ends this process with the run, whatever it is waiting for then.

  An actor may be waiting for room in a queue from which nobody reads any more.
  """

  def watch():
    with _leaves_without_server():
      while not link.is_finished:
        time.sleep(_WATCH_SECONDS)
      os._exit(0)

  threading.Thread(target=watch, name='watch', daemon=True).start()


@contextlib.contextmanager
def _leaves_without_server() -> Iterator[None]:
  """Ends this process with exit code 1 if the server does not answer.

  It is nothing that the user did wrong: whoever started this role is to start
  it again. Calls that wait for the server yet must not hold the process back.
  """
  try:
    yield
  except patience.UnreachableError as error:
    print(f'error: {error}', file=sys.stderr, flush=True)
    os._exit(1)
