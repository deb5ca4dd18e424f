"""Lets a long loop end in order when it is asked to, by SIGTERM or Ctrl-C.

A loop that calls `listen` is told of the signal and ends where it can be gone
on with. It then raises `Stopped`, which is no `Exception`: nothing on the way
to the command line takes it for an error.
"""

import contextlib
import os
import signal
import threading
import time
from typing import Iterator, Optional

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
  """A loop ended before it was done, because it was asked to.

  Attributes:
    signal_number: of the signal that asked.
  """

  def __init__(self, signal_number: int):
    super().__init__(signal.Signals(signal_number).name)
    self.signal_number = signal_number


class Request:
  """Whether somebody has asked for an end."""

  def __init__(self):
    self.signal_number: Optional[int] = None
    self._since = 0.0

  @property
  def is_made(self) -> bool:
    return self.signal_number is not None

  def is_older_than(self, seconds: float) -> bool:
    return self.is_made and time.monotonic() - self._since > seconds

  def handle(self, signal_number: int, unused_frame) -> None:
    """Takes a signal; the second one interrupts at once."""
    if self.is_made:
      raise KeyboardInterrupt
    self.signal_number, self._since = signal_number, time.monotonic()

  def stop(self) -> None:
    """Ends the loop that was asked to end.

    Raises:
      Stopped: always.
    """
    raise Stopped(self.signal_number)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
  """Makes SIGTERM raise `Stopped` in its block, wherever nobody listens.

  What is killed there loses nothing that a checkpoint would keep, but the end
  is to be in order there too.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  owner = os.getpid()

  def handle(signal_number: int, unused_frame) -> None:
    if os.getpid() != owner:
      os._exit(128 + signal_number)  # A fork of it, which has nothing to end.
    raise Stopped(signal_number)

  before = signal.signal(signal.SIGTERM, handle)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def listen() -> Iterator[Request]:
  """Takes SIGTERM and SIGINT in its block, where Python lets it.

  Only the main thread of a process can take signals; in another one, nobody is
  ever asked to stop.
  """
  request = Request()
  if threading.current_thread() is not threading.main_thread():
    yield request
    return
  before = [signal.signal(number, request.handle) for number in _SIGNALS]
  try:
    yield request
  finally:
    for number, handler in zip(_SIGNALS, before, strict=True):
      signal.signal(number, handler)
