"""Tests of the scheduler with small programs."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from rrl_pipeline.launch import benchmark_jobs
from rrl_pipeline.launch import processes
from rrl_pipeline.launch.benchmark_jobs import State
from rrl_pipeline.training import online

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _job(folder, name, program='', needs=None, seconds=0.0):
  """A job that leaves a file of its name, then runs the program."""
  file = folder / f'{name}.done'
  text = f'{program}\nopen({str(file)!r}, "x").close()'
  return benchmark_jobs.Job(
      name=name,
      prepare=lambda: [sys.executable, '-c', text],
      is_done=file.exists,
      log=folder / 'logs' / f'{name}.log',
      needs=needs,
      seconds=seconds,
  )


def _run(jobs, num_processes=1):
  changes = []
  scheduler = benchmark_jobs.Scheduler(
      jobs, num_processes, lambda job, state: changes.append((job.name, state))
  )
  scheduler.run(lambda: None)
  return scheduler, changes


def test_cheapest_runs_first_after_what_it_needs(tmp_path):
  jobs = [
      _job(tmp_path, 'dear', seconds=3),
      _job(tmp_path, 'cheap', needs='task', seconds=1),
      _job(tmp_path, 'task', seconds=2),
  ]
  scheduler, changes = _run(jobs)
  started = [name for name, state in changes if state == State.RUNNING]
  assert started == ['task', 'cheap', 'dear']
  assert set(scheduler.states.values()) == {State.DONE}


def test_one_of_two_processes_has_what_others_wait_for(tmp_path):
  outlive_other_student = (
      'import pathlib, time\nend = time.time() + 60\n'
      f'while not pathlib.Path({str(tmp_path / "other_student.done")!r})'
      '.exists():\n  assert time.time() < end\n  time.sleep(0.01)'
  )
  jobs = [
      _job(tmp_path, 'student', seconds=1),
      _job(tmp_path, 'other_student', seconds=2),
      _job(tmp_path, 'teacher', outlive_other_student, seconds=9),
      _job(tmp_path, 'its_student', needs='teacher', seconds=1),
  ]
  _, changes = _run(jobs, num_processes=2)
  assert [name for name, state in changes if state == State.RUNNING] == [
      'student', 'teacher', 'other_student', 'its_student'
  ]


def test_done_jobs_are_not_run_again(tmp_path):
  (tmp_path / 'a.done').touch()
  scheduler, changes = _run([_job(tmp_path, 'a'), _job(tmp_path, 'b')])
  assert [name for name, _ in changes] == ['b', 'b']
  assert scheduler.seconds_run('a') is None
  assert scheduler.states['a'] == State.DONE


def test_a_failure_stops_what_needs_it_and_nothing_else(tmp_path):
  jobs = [
      _job(tmp_path, 'bad', 'print("the reason"); raise SystemExit(3)'),
      _job(tmp_path, 'needs_bad', needs='bad'),
      _job(tmp_path, 'good', seconds=9),
  ]
  scheduler, _ = _run(jobs)
  assert scheduler.states == {
      'bad': State.FAILED, 'needs_bad': State.BLOCKED, 'good': State.DONE
  }
  assert scheduler.errors['bad'] == 'exit code 3'
  assert scheduler.errors['needs_bad'] == 'bad failed'
  assert processes.last_lines(jobs[0].log, 5) == ['the reason']


def test_failed_job_is_run_again_by_the_next_benchmark(tmp_path):
  flag = tmp_path / 'mended'
  program = f'import os\nassert os.path.exists({str(flag)!r})'
  scheduler, _ = _run([_job(tmp_path, 'a', program)])
  assert scheduler.states['a'] == State.FAILED
  flag.touch()
  scheduler, _ = _run([_job(tmp_path, 'a', program)])
  assert scheduler.states['a'] == State.DONE
  assert 0 < scheduler.seconds_run('a') < 60
  # The log of the first attempt is kept.
  lines = processes.last_lines(tmp_path / 'logs' / 'a.log', 9)
  assert lines[-1].startswith('AssertionError')


def test_program_that_does_nothing_is_a_failure(tmp_path):
  job = benchmark_jobs.Job(
      'a', lambda: [sys.executable, '-c', ''], lambda: False, tmp_path / 'log'
  )
  scheduler, _ = _run([job])
  assert scheduler.states['a'] == State.FAILED
  assert 'is not done' in scheduler.errors['a']


def test_job_that_cannot_be_prepared_is_a_failure(tmp_path):
  def refuse():
    raise ValueError('other settings')

  jobs = [
      _job(tmp_path, 'b'),
      benchmark_jobs.Job(
          'a', refuse, lambda: False, tmp_path / 'log', seconds=1
      ),
      _job(tmp_path, 'c', needs='a'),
  ]
  scheduler, _ = _run(jobs)
  assert scheduler.errors == {
      'a': 'ValueError: other settings', 'c': 'a failed'
  }
  assert scheduler.states['b'] == State.DONE
  assert scheduler.states['c'] == State.BLOCKED


def test_jobs_run_side_by_side(tmp_path):
  # Each waits until the other has started.
  meet = (
      'import pathlib, time\nhere = pathlib.Path({folder!r})\n'
      '(here / "{own}").touch()\nend = time.time() + 60\n'
      'while not (here / "{other}").exists():\n'
      '  assert time.time() < end\n  time.sleep(0.01)'
  )
  jobs = [
      _job(tmp_path, own, meet.format(folder=str(tmp_path), own=own,
                                      other=other))
      for own, other in (('x', 'y'), ('y', 'x'))
  ]
  scheduler, _ = _run(jobs, num_processes=2)
  assert set(scheduler.states.values()) == {State.DONE}


def test_cores_are_divided(tmp_path):
  cores = len(os.sched_getaffinity(0))
  limits = processes.thread_limits(1)
  assert limits['TF_NUM_INTRAOP_THREADS'] == str(cores)
  limits = processes.thread_limits(10 * cores)
  assert limits['OMP_NUM_THREADS'] == '1'
  program = 'import os\nprint(os.environ["OMP_NUM_THREADS"])'
  job = _job(tmp_path, 'a', program)
  _run([job], num_processes=10 * cores)
  assert processes.last_lines(job.log, 1) == ['1']


def _wait_until(condition):
  deadline = time.monotonic() + 60
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.02)


def _is_alive(pid):
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  return 'Z' not in pathlib.Path(f'/proc/{pid}/stat').read_text().split()[2]


def _sleep_forever(folder):
  return (
      f'import os, pathlib, time\n'
      f'file = pathlib.Path({str(folder / "pid")!r})\n'
      'file.with_suffix(".tmp").write_text(str(os.getpid()))\n'
      'file.with_suffix(".tmp").rename(file)\n'
      'time.sleep(100)'
  )


def test_programs_end_with_a_killed_benchmark(tmp_path):
  benchmark = subprocess.Popen(
      [
          sys.executable,
          '-c',
          'import sys, pathlib\n'
          'from rrl_pipeline.launch import benchmark_jobs as lib\n'
          f'job = lib.Job("a", lambda: [sys.executable, "-c",'
          f' {_sleep_forever(tmp_path)!r}], lambda: False,'
          f' pathlib.Path({str(tmp_path / "log")!r}))\n'
          'lib.Scheduler([job], 1, print).run(lambda: None)',
      ],
      cwd=_ROOT,
      stdout=subprocess.DEVNULL,
  )
  _wait_until((tmp_path / 'pid').exists)
  pid = int((tmp_path / 'pid').read_text())
  assert _is_alive(pid)
  benchmark.send_signal(signal.SIGKILL)
  benchmark.wait()
  _wait_until(lambda: not _is_alive(pid))


def _interrupt(folder, program, file):
  """Runs a program, and interrupts its scheduler once the file is there."""
  job = benchmark_jobs.Job(
      'a',
      lambda: [sys.executable, '-c', program],
      lambda: False,
      folder / 'log',
  )
  scheduler = benchmark_jobs.Scheduler([job], 1, lambda job, state: None)

  def interrupt():
    if file.exists():
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    scheduler.run(interrupt)


def test_programs_are_stopped_when_the_benchmark_is_interrupted(tmp_path):
  _interrupt(tmp_path, _sleep_forever(tmp_path), tmp_path / 'pid')
  assert not _is_alive(int((tmp_path / 'pid').read_text()))


def test_stopped_programs_take_their_checkpoints(tmp_path, capsys):
  program = (
      'import pathlib, signal, time\n'
      f'folder = pathlib.Path({str(tmp_path)!r})\n'
      'def checkpoint(*_):\n'
      '  time.sleep(1)\n'
      '  (folder / "checkpoint").touch()\n'
      '  raise SystemExit\n'
      'signal.signal(signal.SIGTERM, checkpoint)\n'
      '(folder / "ready").touch()\n'
      'time.sleep(100)'
  )
  _interrupt(tmp_path, program, tmp_path / 'ready')
  assert (tmp_path / 'checkpoint').exists()
  assert 'stopping the runs' in capsys.readouterr().err


def test_a_run_has_time_to_end_its_episode():
  # After its own limit the online stage discards an episode that goes on.
  assert processes.STOP_SECONDS >= 2 * online.STOP_SECONDS


def test_end_of_a_log(tmp_path):
  log = tmp_path / 'log'
  assert processes.last_lines(log, 3) == []
  log.write_bytes(b'a\n50%\r100%\n\nb\xff\n')
  assert processes.last_lines(log, 2) == ['100%', 'b\ufffd']
