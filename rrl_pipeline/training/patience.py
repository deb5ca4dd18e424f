"""Calls to a server that may be away for a while.

Few of Reverb's calls have a deadline: they wait for a server that is gone, or
for the answer on a connection that a network forgot, as long as the process
lives. Here each of them is waited for as long as a server may reasonably need
to come back, and no longer.
"""

from concurrent import futures
import sys
import threading
import time
from typing import Callable, Optional, TypeVar

import reverb
import tensorflow as tf

# How long a call may take; most take a millisecond.
ATTEMPT_SECONDS = 10.0
# A learner that is started anew takes less, and so does a server.
PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 1.0
_FIRST_LINE_SECONDS = 10.0
_NEXT_LINE_SECONDS = 30.0
# What Reverb, its TensorFlow operations and sockets say of a lost connection.
_NO_ANSWER = (
    RuntimeError,
    OSError,
    reverb.errors.ReverbError,
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.DataLossError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)
_T = TypeVar('_T')


class UnreachableError(Exception):
  """The server does not answer."""


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)


class Patience:
  """Calls one server, and says so when it does not answer.

  Attributes:
    is_ending: whether to give up before the time is over, because this process
      is asked to end.
  """

  def __init__(self, address: str, say: Callable[[str], None] = _say):
    """Calls nobody yet.

    Args:
      address: of the server, HOST:PORT.
      say: takes lines about a server that does not answer.
    """
    self.is_ending: Callable[[], bool] = lambda: False
    self._address = address
    self._say = say
    self._lock = threading.Lock()
    self._next_line = _FIRST_LINE_SECONDS

  def retry(
      self,
      attempt: Callable[[], _T],
      pause_seconds: Optional[float] = None,
  ) -> _T:
    """Calls until there is an answer.

    Args:
      attempt: the call, which takes at most `ATTEMPT_SECONDS`.
      pause_seconds: between attempts; a second if it is None.

    Raises:
      UnreachableError: after two minutes without one, or at the end of this
        process.
    """
    if pause_seconds is None:
      pause_seconds = _PAUSE_SECONDS
    waited = 0.0
    while True:
      begun = time.monotonic()
      try:
        answer = attempt()
      except _NO_ANSWER as error:
        time.sleep(pause_seconds)
        # No attempt counts for more: this process may have been stopped in the
        # middle of it, for an hour.
        waited += min(
            time.monotonic() - begun, ATTEMPT_SECONDS + pause_seconds
        )
        if waited >= PATIENCE_SECONDS or self.is_ending():
          raise UnreachableError(
              f'the replay server at {self._address} has not answered for'
              f' {waited:.0f} s; is it running, and may this machine connect'
              f' to it? The last attempt: {_first_line(error)}'
          ) from error
        self._tell(waited)
      else:
        self._tell_answer()
        return answer

  def read(self, call: Callable[[], _T]) -> _T:
    """Calls what has no deadline, and again if it takes too long.

    It is for what changes nothing: a call that was given up goes on, and its
    answer is lost.
    """
    return self.retry(lambda: _start(call).result(ATTEMPT_SECONDS))

  def write(self, call: Callable[[], _T]) -> _T:
    """Like `read`, but while a call is under way there is no other.

    It is for what is inserted, as an old call could arrive behind a new one,
    and for what is taken from a queue.
    """
    pending = []

    def attempt() -> _T:
      if not pending:
        pending.append(_start(call))
      try:
        return pending[0].result(ATTEMPT_SECONDS)
      except _NO_ANSWER:
        if pending[0].done():
          pending.clear()
        raise

    return self.retry(attempt)

  def _tell(self, waited: float) -> None:
    with self._lock:
      if waited < self._next_line:
        return
      self._next_line = waited + _NEXT_LINE_SECONDS
    self._say(
        f'the replay server at {self._address} has not answered for'
        f' {waited:.0f} s; trying until {PATIENCE_SECONDS:.0f} s are over'
    )

  def _tell_answer(self) -> None:
    with self._lock:
      was_told = self._next_line > _FIRST_LINE_SECONDS
      self._next_line = _FIRST_LINE_SECONDS
    if was_told:
      self._say(f'the replay server at {self._address} answers')


def _start(call: Callable[[], _T]) -> futures.Future:
  """Makes a call in a thread that nobody has to wait for."""
  answer = futures.Future()

  def run() -> None:
    try:
      answer.set_result(call())
    except Exception as error:  # pylint: disable=broad-except
      answer.set_exception(error)

  threading.Thread(target=run, name='call', daemon=True).start()
  return answer


def _first_line(error: Exception) -> str:
  if isinstance(error, TimeoutError):
    return f'no answer within {ATTEMPT_SECONDS:.0f} s'
  return (str(error).strip() or type(error).__name__).splitlines()[0]
