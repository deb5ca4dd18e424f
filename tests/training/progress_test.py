"""Tests of the progress display, on and off a terminal."""

import io
import time

import pytest

from rrl_pipeline.training import progress


class _Terminal(io.StringIO):

  def isatty(self):
    return True


def _set_clock(monkeypatch, now):
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])


def test_lines_every_half_minute_off_a_terminal(monkeypatch):
  now = [100.0]
  _set_clock(monkeypatch, now)
  file = io.StringIO()
  with progress.progress(1000, 200, 'offline', 'steps', file=file) as bar:
    for _ in range(6):
      now[0] += 10.0
      bar.update(100)
  lines = file.getvalue().splitlines()
  # After 30 s, after 60 s, and at the end.
  assert len(lines) == 3
  assert lines[0].startswith('offline:  50%')
  assert '500/1000' in lines[0]
  # 300 steps in 30 s, those of the earlier attempt left out; 500 remain.
  assert '[00:30<00:50, 10.00 steps/s]' in lines[0]
  assert '800/1000' in lines[2]
  assert max(map(len, lines)) <= 79


def test_last_line_is_written_even_if_the_loop_fails():
  file = io.StringIO()
  with pytest.raises(KeyError):
    with progress.progress(10, 0, 'online', 'steps', file=file) as bar:
      bar.update(4)
      raise KeyError('x')
  assert '4/10' in file.getvalue()


def test_one_bar_on_a_terminal():
  file = _Terminal()
  with progress.progress(10, 5, 'collect', 'steps', file=file) as bar:
    bar.update(5)
  text = file.getvalue()
  assert 'collect: 100%' in text
  assert '10/10' in text
  assert text.count('\n') == 1
