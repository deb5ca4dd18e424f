"""Tests of when a stage runs, is skipped, resumes, or is refused."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from rrl_pipeline import run_directory
from rrl_pipeline import stages


@dataclasses.dataclass(frozen=True)
class Agent:
  n_step: int = 3


@dataclasses.dataclass(frozen=True)
class Report:
  title: str = 'x'


@dataclasses.dataclass(frozen=True)
class Config:
  seed: int = 0
  agent: Agent = Agent()
  report: Report = Report()


class Log:
  """Stages that write down when they run, and what."""

  def __init__(self):
    self.ran = []
    self.said = []
    self.count = 10

  def stage(self, name, needs=(), reads=('seed',), **kwargs):
    def run(context):
      self.ran.append(name)
      path = context.directory / 'output.txt'
      path.write_text(f'seed {context.config.seed}')
      return stages.Result(
          outputs={'text': context.relative(path)}, counts={'n': self.count}
      )

    kwargs = {'run': run} | kwargs
    return stages.Stage(
        name=name,
        summary='',
        needs=needs,
        reads=reads,
        cost=lambda context: 'about 1 s',
        **kwargs,
    )

  def run(self, stage, config, run):
    return stages.run_stage(stage, config, run, say=self.said.append)


@pytest.fixture(name='log')
def _log():
  return Log()


@pytest.fixture(name='run')
def _run(tmp_path):
  return run_directory.RunDirectory(tmp_path)


def test_marker_says_what_was_done(log, run):
  offline = log.stage('offline', reads=('seed', 'agent'))
  done = log.run(offline, Config(seed=4), run)
  assert done == run.read_done('offline')
  assert done['settings'] == {'seed': 4, 'agent.n_step': 3}
  assert done['inputs'] == {}
  assert done['outputs'] == {'text': 'offline/output.txt'}
  assert done['counts'] == {'n': 10}
  assert done['attempts'] == 1
  assert done['wall_seconds'] >= 0 and done['cpu_seconds'] >= 0
  assert done['machine']['cores'] >= 1
  assert len(done['fingerprint']) == 64
  assert log.said[0] == '[offline] about 1 s'


def test_done_stage_is_not_run_again(log, run):
  offline = log.stage('offline')
  first = log.run(offline, Config(), run)
  assert log.run(offline, Config(), run) == first
  assert log.ran == ['offline']
  assert log.said[-1].startswith('[offline] already done')


def test_settings_that_a_stage_does_not_read_do_not_matter(log, run):
  offline = log.stage('offline', reads=('seed', 'agent'))
  log.run(offline, Config(), run)
  log.run(offline, Config(report=Report('y')), run)
  assert log.ran == ['offline']


def test_changed_setting_is_refused_by_name(log, run):
  offline = log.stage('offline', reads=('seed', 'agent'))
  log.run(offline, Config(), run)
  with pytest.raises(stages.StaleStageError) as caught:
    log.run(offline, Config(agent=Agent(5)), run)
  assert str(caught.value) == (
      f"stage 'offline' in {run.root} was done with other settings:"
      ' agent.n_step was 3, is now 5; use another --run_dir, or remove'
      f' {run.root}/offline to do the stage again'
  )
  assert log.ran == ['offline']


def test_cheap_stage_is_run_again_instead(log, run):
  report = log.stage('report', reads=('seed', 'report'), cheap=True)
  log.run(report, Config(), run)
  done = log.run(report, Config(report=Report('y')), run)
  assert log.ran == ['report', 'report']
  assert done['settings']['report.title'] == 'y'
  assert done['attempts'] == 1


def test_inputs_reach_the_stage(log, run):
  log.run(log.stage('dataset'), Config(seed=8), run)

  def run_offline(context):
    path = context.input_path('dataset', 'text')
    assert context.inputs['dataset']['counts'] == {'n': 10}
    return stages.Result(outputs={'read': path.read_text()})

  offline = log.stage('offline', needs=('dataset',), run=run_offline)
  assert log.run(offline, Config(seed=8), run)['outputs'] == {'read': 'seed 8'}


def test_missing_input_says_what_to_run(log, run):
  offline = log.stage('offline', needs=('dataset',))
  with pytest.raises(
      stages.MissingInputError,
      match="'offline' needs stage 'dataset', .* run --stage=dataset,offline",
  ):
    log.run(offline, Config(), run)
  assert not run.stage('offline').exists()


def _remake(log, run, name):
  """Does a stage again, with another result."""
  log.count += 1
  run.done(name).unlink()
  log.run(log.stage(name), Config(), run)


def test_other_result_of_an_input_is_noticed(log, run):
  offline = log.stage('offline', needs=('dataset',))
  log.run(log.stage('dataset'), Config(), run)
  log.run(offline, Config(), run)
  _remake(log, run, 'dataset')
  with pytest.raises(
      stages.StaleStageError,
      match=r"'offline' in .* was done from other results of dataset than .*;"
      r' remove .*/offline to do it again',
  ):
    log.run(offline, Config(), run)


def test_other_result_two_stages_back_is_noticed(log, run):
  dataset = log.stage('dataset', needs=('collect',))
  offline = log.stage('offline', needs=('dataset',))
  log.run(log.stage('collect'), Config(), run)
  log.run(dataset, Config(), run)
  _remake(log, run, 'collect')
  with pytest.raises(
      stages.StaleStageError, match="'dataset' in .* from other results of coll"
  ):
    log.run(offline, Config(), run)


def test_input_made_again_with_the_same_result_still_fits(log, run):
  offline = log.stage('offline', needs=('dataset',))
  log.run(log.stage('dataset'), Config(), run)
  log.run(offline, Config(), run)
  log.count -= 1
  _remake(log, run, 'dataset')
  log.run(offline, Config(), run)
  assert log.ran == ['dataset', 'offline', 'dataset']


def test_measured_time_is_no_part_of_a_result(log, run):
  offline = log.stage('offline', needs=('dataset',))
  log.count = {'steps': 5, 'wall_seconds': 1.5}
  log.run(log.stage('dataset'), Config(), run)
  log.run(offline, Config(), run)
  for log.count in (
      {'steps': 5, 'wall_seconds': 2.5},
      {'steps': 6, 'wall_seconds': 2.5},
  ):
    run.done('dataset').unlink()
    log.run(log.stage('dataset'), Config(), run)
    if log.count['steps'] == 5:
      log.run(offline, Config(), run)
    else:
      with pytest.raises(stages.StaleStageError):
        log.run(offline, Config(), run)


def _fail(unused_context):
  raise KeyboardInterrupt


def test_unfinished_stage_is_not_resumed_with_other_settings(log, run):
  with pytest.raises(KeyboardInterrupt):
    log.run(log.stage('offline', run=_fail), Config(seed=1), run)
  offline = log.stage('offline')
  with pytest.raises(
      stages.StaleStageError, match='was begun with other .* seed was 1, is now'
  ):
    log.run(offline, Config(seed=2), run)
  log.run(offline, Config(seed=1), run)
  assert log.ran == ['offline']


def test_unfinished_stage_is_not_resumed_from_another_input(log, run):
  log.run(log.stage('dataset'), Config(), run)
  with pytest.raises(KeyboardInterrupt):
    log.run(
        log.stage('offline', needs=('dataset',), run=_fail), Config(), run
    )
  _remake(log, run, 'dataset')
  with pytest.raises(stages.StaleStageError, match='was begun from other res'):
    log.run(log.stage('offline', needs=('dataset',)), Config(), run)


def test_time_is_counted_over_attempts(log, run):
  with pytest.raises(KeyboardInterrupt):
    log.run(log.stage('offline', run=_fail), Config(), run)
  path = run.attempts('offline')
  record = run_directory.read_json(path)
  record['attempts'][0].update(wall_seconds=100.0, cpu_seconds=50.0)
  run_directory.write_json(path, record)
  done = log.run(log.stage('offline'), Config(), run)
  assert done['attempts'] == 2
  assert 100 < done['wall_seconds'] < 110
  assert 50 <= done['cpu_seconds'] < 60


def test_stage_sees_only_the_settings_it_declares(log, run):
  stage = log.stage(
      'offline', run=lambda context: context.config.agent.n_step
  )
  with pytest.raises(AttributeError, match="reads the settings 'agent' but"):
    log.run(stage, Config(), run)


def test_declared_setting_must_exist(log, run):
  with pytest.raises(ValueError, match="reads 'agnt', which is no field of"):
    log.run(log.stage('offline', reads=('agnt',)), Config(), run)


def test_path_outside_the_run_stays_absolute(log, run, tmp_path_factory):
  outside = tmp_path_factory.mktemp('logs')
  collect = log.stage(
      'collect',
      run=lambda context: stages.Result({'logs': context.relative(outside)}),
  )
  log.run(collect, Config(), run)
  dataset = log.stage(
      'dataset',
      needs=('collect',),
      run=lambda context: stages.Result(
          {'read': str(context.input_path('collect', 'logs'))}
      ),
  )
  assert log.run(dataset, Config(), run)['outputs']['read'] == str(outside)


_KILLED = textwrap.dedent("""
    import dataclasses, os, pathlib, signal, sys
    from rrl_pipeline import run_directory, stages

    @dataclasses.dataclass(frozen=True)
    class Config:
      seed: int = 0

    def run(context):
      output = context.directory / 'output.txt'
      output.write_text((output.read_text() if output.exists() else '') + 'x')
      return stages.Result({'text': context.relative(output)})

    if sys.argv[2] == 'kill':
      write_json = run_directory.write_json
      def kill_before_done(path, value):
        if path.name == 'DONE.json':
          os.kill(os.getpid(), signal.SIGKILL)
        write_json(path, value)
      run_directory.write_json = kill_before_done
    stage = stages.Stage('offline', '', (), ('seed',), run, lambda c: '')
    root = pathlib.Path(sys.argv[1])
    stages.run_stage(stage, Config(), run_directory.RunDirectory(root))
""")


def test_killed_between_outputs_and_marker_runs_again(run):
  def start(how):
    return subprocess.run(
        [sys.executable, '-c', _KILLED, str(run.root), how],
        check=False,
        capture_output=True,
        env=os.environ | {'PYTHONPATH': os.getcwd()},
    ).returncode

  output = run.stage('offline') / 'output.txt'
  assert start('kill') == -signal.SIGKILL
  assert output.read_text() == 'x'
  assert run.read_done('offline') is None
  assert start('go on') == 0
  assert output.read_text() == 'xx'
  assert run.read_done('offline')['attempts'] == 2
  assert start('go on') == 0
  assert output.read_text() == 'xx'
