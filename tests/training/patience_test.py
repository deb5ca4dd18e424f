"""Tests of waiting for a server, with calls of their own and little time."""

import threading
import time

import pytest
import reverb

from rrl_pipeline.training import patience as patience_lib


@pytest.fixture(name='patience')
def fixture_patience(monkeypatch):
  monkeypatch.setattr(patience_lib, 'ATTEMPT_SECONDS', 0.1)
  monkeypatch.setattr(patience_lib, 'PATIENCE_SECONDS', 1.0)
  monkeypatch.setattr(patience_lib, '_PAUSE_SECONDS', 0.02)
  monkeypatch.setattr(patience_lib, '_FIRST_LINE_SECONDS', 0.2)
  monkeypatch.setattr(patience_lib, '_NEXT_LINE_SECONDS', 0.5)
  return patience_lib.Patience('node1:8000')


class _Server:
  """Answers after some calls that fail, or that it forgets."""

  def __init__(self, num_bad: int, error=None):
    self.calls = 0
    self.under_way = self.most_under_way = 0
    self._num_bad = num_bad
    self._error = error

  def __call__(self):
    self.calls += 1
    self.under_way += 1
    self.most_under_way = max(self.under_way, self.most_under_way)
    if self.calls <= self._num_bad:
      if self._error is None:
        threading.Event().wait()
      self.under_way -= 1
      raise self._error
    self.under_way -= 1
    return self.calls


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('Socket closed'),
        ConnectionRefusedError(111, 'Connection refused'),
        reverb.errors.DeadlineExceededError('no answer'),
        None,
    ],
)
def test_what_only_reads_is_called_again(patience, error):
  server = _Server(2, error)
  assert patience.read(server) == 3


def test_what_writes_is_called_again_when_it_failed(patience):
  server = _Server(2, RuntimeError('Socket closed'))
  assert patience.write(server) == 3
  assert server.most_under_way == 1


def test_what_writes_is_not_called_twice_at_a_time(patience):
  server = _Server(1)
  with pytest.raises(patience_lib.UnreachableError):
    patience.write(server)
  assert server.calls == server.most_under_way == 1


def test_an_answer_that_takes_long_is_waited_for(patience):
  def write():
    time.sleep(0.35)
    return 'done'

  assert patience.write(write) == 'done'


def test_the_end_and_the_way_to_it_are_told(patience, capsys):
  with pytest.raises(
      patience_lib.UnreachableError,
      match=r'at node1:8000 has not answered for 1 s; .* attempt: closed$',
  ):
    patience.read(_Server(10**9, RuntimeError('closed\ndetails')))
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == 2  # After 0.2 s, and 0.5 s later.
  for line in lines:
    assert 'at node1:8000 has not answered for' in line
    assert 'trying until 1 s are over' in line


def test_the_return_is_told_once(patience, capsys):
  assert patience.read(_Server(3)) == 4
  assert patience.read(_Server(0)) == 1
  lines = capsys.readouterr().err.splitlines()
  assert lines[-1] == 'the replay server at node1:8000 answers'
  assert sum('answers' in line for line in lines) == 1


def test_short_trouble_is_not_told(patience, capsys):
  assert patience.read(_Server(1, RuntimeError('closed'))) == 2
  assert not capsys.readouterr().err


def test_a_process_that_was_stopped_meanwhile_loses_no_patience(
    patience, monkeypatch
):
  now = [0.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  calls = []

  def attempt():
    calls.append(now[0])
    now[0] += 3600.0  # Continued an hour after it was stopped.
    if len(calls) < 4:
      raise RuntimeError('closed')
    return 'answer'

  assert patience.retry(attempt) == 'answer'


def test_other_errors_are_not_waited_out(patience):
  server = _Server(1, ValueError('signature'))
  with pytest.raises(ValueError, match='signature'):
    patience.read(server)
  assert server.calls == 1


def test_a_process_that_is_to_end_waits_no_longer(patience):
  server = _Server(10**9, RuntimeError('closed'))
  patience.is_ending = lambda: server.calls == 3
  with pytest.raises(patience_lib.UnreachableError):
    patience.read(server)
  assert server.calls == 3


def test_lines_go_where_they_shall(patience, capsys):
  del patience
  lines = []
  quiet = patience_lib.Patience('node1:8000', lines.append)
  assert quiet.read(_Server(3)) == 4
  assert lines and not capsys.readouterr().err
