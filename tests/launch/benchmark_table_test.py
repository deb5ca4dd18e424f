"""Tests of what is shown of a benchmark, on runs made up file by file."""

import io

import pytest

from rrl_pipeline.launch import benchmark_jobs
from rrl_pipeline.launch import benchmark_plan
from rrl_pipeline.launch import benchmark_table
from rrl_pipeline.testing import synthetic_run

_State = benchmark_jobs.State


class _Terminal(io.StringIO):

  def isatty(self):
    return True


class _Scheduler:
  """States as a test sets them."""

  def __init__(self, plan):
    self.states = {r.name: _State.WAITING for r in (*plan.tasks, *plan.cells)}
    self.errors = {}

  def seconds_run(self, name):
    return 65.0 if self.states[name] == _State.RUNNING else None


@pytest.fixture(name='plan')
def fixture_plan(tmp_path):
  request = benchmark_plan.make_request(
      'atari10_100k', ['qdagger'], ['Breakout'], 2, []
  )
  return benchmark_plan.make_plan(tmp_path, request)


def _write(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)


def _begin_online(run, actor_steps=25_000):
  """A student in its online stage, whose teacher scores 15.3."""
  for stage in ('teacher', 'collect', 'dataset', 'offline'):
    _write(run.directory / stage / 'DONE.json', '{}')
  synthetic_run.write_json(
      run.directory / 'teacher' / 'bundle' / 'bundle.json',
      synthetic_run.bundle(),
  )
  _write(
      run.directory / 'online' / 'student' / 'metrics.csv',
      'step,td_loss,actor_steps\n10,0.5,1000\n'
      f'20,0.5,{actor_steps}\n30,0.5,99',
  )
  synthetic_run.append_evaluations(
      run.directory / 'online' / 'student' / 'evaluations.jsonl',
      'student', 0, ((10, 1000, (0, 0)), (20, 2000, (7, 10))),
  )


def test_progress_is_read_from_the_files(plan):
  run = plan.cells[0]
  assert benchmark_table.read_progress(run) == benchmark_table.Progress(
      stage='teacher'
  )
  _begin_online(run)
  # The last line is being written and does not count yet.
  assert benchmark_table.read_progress(run) == benchmark_table.Progress(
      stage='online', fraction=0.25, mean_return=8.5, teacher_return=15.3
  )


def test_files_that_have_just_begun_say_nothing(plan):
  run = plan.cells[0]
  _begin_online(run)
  for text in ('', 'step', 'step,actor_steps\n', 'step,td_loss\n1,2\n'):
    _write(run.directory / 'online' / 'student' / 'metrics.csv', text)
    assert benchmark_table.read_progress(run).fraction is None
  log = run.directory / 'online' / 'student' / 'evaluations.jsonl'
  _write(log, '{"learner_st')
  assert benchmark_table.read_progress(run).mean_return is None


def test_long_logs_are_read_from_their_end(plan):
  run = plan.cells[0]
  _begin_online(run)
  log = run.directory / 'online' / 'student' / 'evaluations.jsonl'
  synthetic_run.append_evaluations(
      log, 'student', 0, ((i, i, (i,)) for i in range(3000, 5000))
  )
  assert benchmark_table.read_progress(run).mean_return == 4999


def _table(plan, scheduler, file):
  return benchmark_table.Table(plan, scheduler, {'Breakout': 1.7}, file,
                               clock=lambda: 0.0)


def test_rows_hold_state_stage_share_score_and_time(plan):
  scheduler = _Scheduler(plan)
  first, second = plan.cells
  _begin_online(first)
  scheduler.states[first.name] = _State.RUNNING
  scheduler.states['Breakout'] = _State.DONE
  lines = _table(plan, scheduler, io.StringIO()).lines(10)
  # (8.5 - 1.7) / (15.3 - 1.7)
  assert lines[1].split() == [
      first.name, 'running', 'online', '25', '%', '0.50', '1:05'
  ]
  assert lines[2].split()[:2] == ['Breakout', 'done']
  assert lines[3].split() == [second.name, 'waiting']
  assert lines[-1] == '1 running, 1 done, 1 waiting'


def test_small_terminals_show_what_is_under_way(plan):
  scheduler = _Scheduler(plan)
  scheduler.states[plan.cells[1].name] = _State.RUNNING
  lines = _table(plan, scheduler, io.StringIO()).lines(3)
  assert len(lines) == 3
  assert lines[1].startswith(plan.cells[1].name)
  assert lines[-1] == '1 running, 2 waiting (not shown: 2)'


def test_teacher_no_better_than_random_play_shows_returns(plan):
  run = plan.cells[0]
  _begin_online(run)
  bundle = synthetic_run.bundle()
  bundle['score']['mean_return'] = 1.0
  synthetic_run.write_json(
      run.directory / 'teacher' / 'bundle' / 'bundle.json', bundle
  )
  lines = _table(plan, _Scheduler(plan), io.StringIO()).lines(10)
  assert any('return 8.5' in line for line in lines)


def test_terminal_is_drawn_over(plan):
  file = _Terminal()
  table = _table(plan, _Scheduler(plan), file)
  table.finish()
  assert '\x1b' not in file.getvalue()
  table.tick()
  drawn = len(file.getvalue())
  table.finish()
  # Heads, three runs and the line of counts.
  assert file.getvalue()[drawn:].startswith('\x1b[5F\x1b[J')


def test_file_gets_a_line_for_each_change(plan):
  scheduler, file = _Scheduler(plan), io.StringIO()
  table = _table(plan, scheduler, file)
  job, = (j for j in benchmark_plan.jobs(plan, '', {}) if j.name == 'Breakout')
  scheduler.states['Breakout'] = _State.RUNNING
  table.changed(job, _State.RUNNING)
  assert file.getvalue().split() == ['Breakout', 'running', 'teacher', '1:05']


def test_failure_is_told_with_the_end_of_its_log(plan):
  scheduler, file = _Scheduler(plan), io.StringIO()
  job, = (j for j in benchmark_plan.jobs(plan, '', {}) if j.name == 'Breakout')
  _write(job.log, 'one\ntwo\nerror: no such bundle\n')
  scheduler.errors['Breakout'] = 'exit code 2'
  _table(plan, scheduler, file).changed(job, _State.FAILED)
  text = file.getvalue()
  assert text.startswith('Breakout failed: exit code 2\n    one\n')
  assert '    error: no such bundle\n' in text
  assert str(job.log) in text

