"""The online stage as processes that are killed, stopped and cut off.

The roles are those of the launcher, and so is their supervisor. Only their
addresses differ: the replay server is at one loopback address, and the actors
reach it through a proxy at another.
"""

import contextlib
import dataclasses
import os
import pathlib
import secrets
import signal
import sys
import threading
import time
from typing import Callable, Iterator, Optional

import psutil

from rrl_pipeline import run_directory
from rrl_pipeline import stopping
from rrl_pipeline.launch import online_roles
from rrl_pipeline.launch import supervisor
from rrl_pipeline.testing import tcp_proxy

_SERVER_HOST, _PROXY_HOST = '127.0.0.2', '127.0.0.3'
_START_SECONDS = 30.0
_MARK = 'RRL_FAULTY_RUN'
# Python runs a module of this name before anything else.
_CLOCK_MODULE = 'sitecustomize.py'
# A wall clock that is set by up to a day, every second, forwards or backwards.
_CLOCK = '''\
import random
import time

real = time.time_ns


def time_ns():
  now = real()
  return now + random.Random(now // 10**9).randrange(-86400, 86400) * 10**9


time.time_ns = time_ns
time.time = lambda: time_ns() / 1e9
'''


class FaultyRun:
  """One agent's online stage.

  Attributes:
    names: of the roles.
    said: what the supervisor said so far.
    proxy: between actors and replay server.
    has_ended: set when no role runs any more.
  """

  def __init__(
      self, run_dir: pathlib.Path, directory: pathlib.Path, num_actors: int = 2
  ):
    """Starts nothing yet.

    Args:
      run_dir: of a run whose online stage may begin.
      directory: gets a file.
      num_actors: of the run.
    """
    self.said: list[str] = []
    self.has_ended = threading.Event()
    self._agent = run_dir / 'online' / 'student'
    self.address = f'{_SERVER_HOST}:{online_roles.free_port()}'
    self.proxy = tcp_proxy.TcpProxy(self.address, _PROXY_HOST)
    self._mark = secrets.token_hex(8)
    (directory / _CLOCK_MODULE).write_text(_CLOCK)
    environment = {
        _MARK: self._mark,
        'PYTHONPATH': os.pathsep.join([str(directory), *sys.path]),
    }
    roles = online_roles.roles(
        run_directory.RunDirectory(run_dir),
        'student',
        num_actors,
        self.address,
        self._agent / 'logs',
    )
    self._roles = [
        dataclasses.replace(
            role,
            command=self._readdressed(role),
            environment={**role.environment, **environment},
        )
        for role in roles
    ]
    self.names = [role.name for role in roles]

  def run(self, hurt: Callable[[], None]) -> None:
    """Supervises the roles until the learner is done.

    Args:
      hurt: does something to them meanwhile, in a thread.

    Raises:
      RoleFailedError: see `Supervisor.run`.
      Exception: what `hurt` raised, which stops the run.
    """
    request = stopping.Request()
    errors = []

    def work() -> None:
      try:
        hurt()
      except Exception as error:  # pylint: disable=broad-except
        errors.append(error)
        request.handle(signal.SIGTERM, None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
      supervisor.Supervisor(
          self._roles, 'learner', self.said.append
      ).run(request)
    except stopping.Stopped:
      pass
    finally:
      self.has_ended.set()
      thread.join()
      self.proxy.close()
    if errors:
      raise errors[0]

  def process(self, name: str) -> Optional[psutil.Process]:
    """The process of a role; None if it does not run."""
    command = self.command(name)
    for process in self.processes():
      with contextlib.suppress(psutil.Error):
        if process.cmdline() == command:
          return process
    return None

  def command(self, name: str) -> list[str]:
    """The command line of a role."""
    (role,) = (role for role in self._roles if role.name == name)
    return list(role.command)

  def processes(self) -> list[psutil.Process]:
    """All that live, whoever started them, and whether or not he lives."""
    found = []
    for process in psutil.process_iter():
      with contextlib.suppress(psutil.Error):
        if (
            process.environ().get(_MARK) == self._mark
            and process.status() != psutil.STATUS_ZOMBIE
        ):
          found.append(process)
    return found

  def listening_ports(self) -> list[int]:
    """Ports at which one of the processes listens."""
    return sorted({
        connection.laddr.port
        for process in self.processes()
        for connection in process.net_connections('tcp')
        if connection.status == psutil.CONN_LISTEN
    })

  def kill(self, name: str) -> None:
    """Kills a role, once it runs.

    Raises:
      TimeoutError: if it does not for half a minute.
    """
    self._wait_for(name).kill()

  @contextlib.contextmanager
  def stopped(self, name: str) -> Iterator[None]:
    """Stops a role, once it runs, and lets it go on."""
    process = self._wait_for(name)
    process.send_signal(signal.SIGSTOP)
    try:
      yield
    finally:
      with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGCONT)

  def learns(self) -> Callable[[], bool]:
    """A function that tells whether the learner made updates since now."""
    metrics = self._agent / 'metrics.csv'

    def last_change() -> int:
      return metrics.stat().st_mtime_ns if metrics.exists() else 0

    before = last_change()
    return lambda: last_change() > before

  def _readdressed(self, role: supervisor.Role) -> list[str]:
    """Its command, but actors reach the server through the proxy."""
    if not role.name.startswith('actor'):
      return list(role.command)
    return [
        word.replace(self.address, self.proxy.address) for word in role.command
    ]

  def _wait_for(self, name: str) -> psutil.Process:
    deadline = time.monotonic() + _START_SECONDS
    while (process := self.process(name)) is None:
      if time.monotonic() > deadline:
        raise TimeoutError(f'{name} does not run')
      time.sleep(0.1)
    return process
