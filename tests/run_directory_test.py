"""Tests of whole-or-nothing writes and of the lock of a run directory."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from rrl_pipeline import run_directory

_HOLD_LOCK = """
import pathlib, sys, time
from rrl_pipeline import run_directory
with run_directory.RunDirectory(pathlib.Path(sys.argv[1])).lock():
  print('locked', flush=True)
  time.sleep(60)
"""


def _start_holder(root):
  process = subprocess.Popen(
      [sys.executable, '-c', _HOLD_LOCK, str(root)],
      stdout=subprocess.PIPE,
      text=True,
  )
  assert process.stdout.readline() == 'locked\n'
  return process


def test_bytes_appear_whole_and_replace_the_old(tmp_path):
  path = tmp_path / 'file'
  run_directory.write_bytes(path, b'one')
  run_directory.write_bytes(path, b'two')
  assert path.read_bytes() == b'two'
  assert os.listdir(tmp_path) == ['file']


def test_file_gets_the_usual_permissions(tmp_path):
  (tmp_path / 'plain').touch()
  run_directory.write_bytes(tmp_path / 'file', b'')
  modes = {p.stat().st_mode for p in tmp_path.iterdir()}
  assert len(modes) == 1


def test_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch
):
  path = tmp_path / 'file'
  run_directory.write_bytes(path, b'old')

  def fail(*unused_arguments):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', fail)
  with pytest.raises(OSError, match='No space left') as raised:
    run_directory.write_bytes(path, b'new')
  assert raised.value.filename == str(path)
  assert path.read_bytes() == b'old'
  assert os.listdir(tmp_path) == ['file']


def test_json_round_trip(tmp_path):
  value = {'b': [1, 2.5, None], 'a': 'é'}
  run_directory.write_json(tmp_path / 'x.json', value)
  assert run_directory.read_json(tmp_path / 'x.json') == value


def test_damaged_json_is_named(tmp_path):
  (tmp_path / 'x.json').write_text('{"a": ')
  with pytest.raises(ValueError, match=r'x.json is damaged: expected JSON'):
    run_directory.read_json(tmp_path / 'x.json')


def test_paths_of_a_run():
  run = run_directory.RunDirectory(pathlib.Path('runs/a'))
  assert run.config == pathlib.Path('runs/a/config.json')
  assert run.stage('offline') == pathlib.Path('runs/a/offline')
  assert run.done('offline') == pathlib.Path('runs/a/offline/DONE.json')


def test_marker_of_an_unfinished_stage_is_none(tmp_path):
  run = run_directory.RunDirectory(tmp_path)
  assert run.read_done('offline') is None
  run.stage('offline').mkdir()
  run_directory.write_json(run.done('offline'), {'x': 1})
  assert run.read_done('offline') == {'x': 1}


def test_sweep_removes_what_a_killed_write_left(tmp_path):
  program = (
      'import os, signal, sys\n'
      'from rrl_pipeline import run_directory\n'
      'os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n'
      'run_directory.write_bytes(sys.argv[1], b"new")\n'
  )
  path = tmp_path / 'offline' / 'file'
  path.parent.mkdir()
  path.write_bytes(b'old')
  result = subprocess.run(
      [sys.executable, '-c', program, str(path)], check=False
  )
  assert result.returncode == -signal.SIGKILL
  assert path.read_bytes() == b'old'
  assert len(os.listdir(path.parent)) == 2
  run_directory.RunDirectory(tmp_path).sweep()
  assert os.listdir(path.parent) == ['file']


def test_second_process_is_refused_by_name(tmp_path):
  holder = _start_holder(tmp_path)
  try:
    with pytest.raises(
        run_directory.LockedError,
        match=rf'another process works in .*: pid {holder.pid} on host \S+;',
    ) as caught:
      with run_directory.RunDirectory(tmp_path).lock():
        pass
    assert '\n' not in str(caught.value)
  finally:
    holder.kill()
    holder.wait()


def test_lock_of_a_killed_process_is_taken_over(tmp_path):
  holder = _start_holder(tmp_path)
  holder.kill()
  holder.wait()
  with run_directory.RunDirectory(tmp_path).lock():
    assert (tmp_path / '.lock').read_text().startswith(f'pid {os.getpid()} ')


def test_lock_is_free_again_after_the_block(tmp_path):
  run = run_directory.RunDirectory(tmp_path / 'new')
  for _ in range(2):
    with run.lock():
      with pytest.raises(run_directory.LockedError):
        with run.lock():
          pass


def test_orphan_does_not_keep_the_lock_of_its_parent(tmp_path):
  program = (
      'import os, pathlib, sys, time\n'
      'from rrl_pipeline import run_directory\n'
      'with run_directory.RunDirectory(pathlib.Path(sys.argv[1])).lock():\n'
      '  if os.fork() == 0:\n'
      '    print(os.getpid(), flush=True)\n'
      '  time.sleep(60)\n'
  )
  parent = subprocess.Popen(
      [sys.executable, '-c', program, str(tmp_path)],
      stdout=subprocess.PIPE,
      text=True,
  )
  child = int(parent.stdout.readline())
  try:
    parent.kill()
    parent.wait()
    os.kill(child, 0)  # It lives on.
    with run_directory.RunDirectory(tmp_path).lock():
      pass
  finally:
    os.kill(child, signal.SIGKILL)


def test_run_directory_that_is_a_file_is_refused(tmp_path):
  path = tmp_path / 'file'
  path.touch()
  with pytest.raises(ValueError, match=r'file is a file; choose another --run'):
    with run_directory.RunDirectory(path).lock():
      pass
