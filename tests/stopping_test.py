"""Tests of the way in which a loop is asked to stop."""

import os
import signal
import threading

import pytest

from rrl_pipeline import stopping


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request_and_a_second_one_an_interruption(number):
  before = signal.getsignal(number)
  with stopping.listen() as request:
    assert not request.is_made and not request.is_older_than(0)
    os.kill(os.getpid(), number)
    assert request.is_made and not request.is_older_than(60)
    assert request.is_older_than(0)
    with pytest.raises(stopping.Stopped, match=number.name) as stopped:
      request.stop()
    assert stopped.value.signal_number == number
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), number)
  assert signal.getsignal(number) == before


def test_stopping_is_no_error():
  assert not issubclass(stopping.Stopped, Exception)


def test_other_threads_are_never_asked():
  requests = []

  def work():
    with stopping.listen() as request:
      requests.append(request.is_made)

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert requests == [False]


def test_a_signal_that_nobody_listens_to_ends_at_once():
  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(stopping.Stopped):
    with stopping.at_once():
      with stopping.listen() as request:
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.is_made  # Whoever listens goes on.
      os.kill(os.getpid(), signal.SIGTERM)
  assert signal.getsignal(signal.SIGTERM) == before
