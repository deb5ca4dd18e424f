"""Tests of the time that a stage takes over its attempts."""

import os
import subprocess
import sys
import time

import pytest

from rrl_pipeline import attempts
from rrl_pipeline import run_directory


def test_cpu_time_of_this_process_and_of_ended_children(tmp_path):
  before = os.times()
  with attempts.clock(tmp_path / 'attempts.json', {}) as clock:
    subprocess.run(
        [sys.executable, '-c', 'for i in range(10**6): pass'], check=True
    )
    total = clock.total()
  after = os.times()
  spent = sum(after[:4]) - sum(before[:4])
  assert 0 < total.cpu_seconds <= spent
  assert total.wall_seconds > 0
  assert total.attempts == 1


def test_time_is_written_while_the_stage_runs(tmp_path, monkeypatch):
  monkeypatch.setattr(attempts, '_HEARTBEAT_SECONDS', 0.01)
  path = tmp_path / 'attempts.json'
  seen = set()
  deadline = time.monotonic() + 60
  with attempts.clock(path, {'fingerprint': 'f'}):
    while len(seen) < 3 and time.monotonic() < deadline:
      record = run_directory.read_json(path)
      seen.add(record['attempts'][0]['wall_seconds'])
  assert len(seen) == 3
  assert attempts.read_basis(path) == {'fingerprint': 'f'}


def test_no_file_no_basis(tmp_path):
  assert attempts.read_basis(tmp_path / 'attempts.json') is None


def test_a_full_disk_does_not_hide_what_happened(tmp_path, monkeypatch):
  path = tmp_path / 'attempts.json'

  def full(*unused_arguments):
    raise OSError(28, 'No space left on device')

  with pytest.raises(KeyError, match='first'):
    with attempts.clock(path, {}):
      monkeypatch.setattr(attempts.run_directory, 'write_json', full)
      raise KeyError('first')
  monkeypatch.undo()
  with pytest.raises(OSError, match='No space left'):
    with attempts.clock(path, {}):
      monkeypatch.setattr(attempts.run_directory, 'write_json', full)
