"""Tests of the command line: what runs, what is refused, and in which words."""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline import run_directory
from rrl_pipeline import settings
from rrl_pipeline import stages
from rrl_pipeline import stopping
from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.launch import launch
from rrl_pipeline.launch import pipeline
from rrl_pipeline.launch import presets

_ROOT = pathlib.Path(__file__).resolve().parents[2]


class Fakes:
  """Three stages whose outputs are made of their settings and inputs."""

  def __init__(self):
    self.ran = []
    self.failure = None

  def stages(self):
    return (
        self._stage('dataset', (), ('seed', 'environment')),
        self._stage('offline', ('dataset',), ('seed', 'agent')),
        self._stage('report', ('offline',), ('seed',), cheap=True),
    )

  def _stage(self, name, needs, reads, cheap=False):
    def run(context):
      self.ran.append(name)
      if self.failure:
        raise self.failure
      text = f'{name} of seed {context.config.seed}'
      for need in needs:
        text += ', ' + context.input_path(need, 'html').read_text()
      path = context.directory / f'{name}.html'
      path.write_text(text)
      return stages.Result({'html': context.relative(path)})

    return stages.Stage(
        name=name,
        summary=f'Makes the {name}.',
        needs=needs,
        reads=reads,
        run=run,
        cost=lambda context: f'{name} takes 1 s',
        cheap=cheap,
    )


@pytest.fixture(name='fakes')
def _fakes(monkeypatch, tmp_path):
  fakes = Fakes()
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(pipeline, 'STAGES', fakes.stages())
  config = config_lib.PipelineConfig(
      seed=3, agent=agent_config.AgentConfig(n_step=3)
  )
  monkeypatch.setattr(
      presets,
      'PRESETS',
      {
          'small': presets.Preset('A small run.', lambda: config),
          'other': presets.Preset(
              'Another.',
              lambda: dataclasses.replace(
                  config, agent=agent_config.AgentConfig(n_step=1)
              ),
          ),
      },
  )
  return fakes


def _main(*arguments):
  return launch.main(['launch/launch.py', *arguments])


def _error(capsys, *arguments):
  """Returns the one line of a refused command."""
  capsys.readouterr()
  assert _main(*arguments) == 2
  captured = capsys.readouterr()
  assert re.fullmatch(r'error: .*\n', captured.err)
  return captured.err.removeprefix('error: ').rstrip('\n')


def test_all_stages_in_order_and_the_report_is_named(fakes, capsys):
  assert _main('--preset=small') == 0
  assert fakes.ran == ['dataset', 'offline', 'report']
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == '[dataset] dataset takes 1 s'
  assert lines[-1] == 'Report: runs/small_seed3/report/report.html'
  assert pathlib.Path('runs/small_seed3/report/report.html').read_text() == (
      'report of seed 3, offline of seed 3, dataset of seed 3'
  )


def test_settings_are_written_before_the_first_stage(fakes):
  fakes.failure = KeyError('x')
  with pytest.raises(KeyError):
    _main('--preset=small', '--set', 'agent.n_step=5', '--seed=8')
  stored = config_lib.read('runs/small_seed8/config.json')
  assert (stored.seed, stored.agent.n_step) == (8, 5)
  assert pathlib.Path('runs/small_seed8/command.txt').read_text() == (
      'python launch/launch.py --preset=small --set agent.n_step=5 --seed=8\n'
  )


def test_stages_run_in_the_order_of_the_pipeline(fakes):
  assert _main('--preset=small', '--stage=report,offline,dataset') == 0
  assert fakes.ran == ['dataset', 'offline', 'report']


def test_separate_commands_give_what_one_command_gives(fakes):
  assert _main('--preset=small', '--run_dir=a') == 0
  for stage in ('dataset', 'offline', 'report'):
    flag = ['--preset=small'] if stage == 'dataset' else []
    assert _main('--run_dir=b', f'--stage={stage}', *flag) == 0
  outputs = [
      {
          path.relative_to(root).as_posix(): path.read_text()
          for path in pathlib.Path(root).rglob('*.html')
      }
      for root in ('a', 'b')
  ]
  assert outputs[0] == outputs[1]
  assert len(outputs[0]) == 3


def test_second_run_of_a_command_does_nothing_and_names_the_report(
    fakes, capsys
):
  assert _main('--preset=small') == 0
  assert _main('--preset=small') == 0
  assert len(fakes.ran) == 3
  assert capsys.readouterr().out.endswith(
      'Report: runs/small_seed3/report/report.html\n'
  )


def test_run_directory_alone_uses_its_settings(fakes):
  _main('--preset=small', '--run_dir=a', '--stage=dataset', '--seed=9')
  assert _main('--run_dir=a') == 0
  assert 'seed 9' in pathlib.Path('a/report/report.html').read_text()


def test_changed_setting_is_refused_by_name(fakes, capsys):
  _main('--preset=small', '--run_dir=a', '--stage=dataset')
  before = pathlib.Path('a/config.json').read_text()
  expected = (
      'a was started with other settings: agent.n_step was 3, is now 5; leave'
      ' out --preset, --set and --seed to go on with its own, or use another'
      ' --run_dir'
  )
  change = '--set=agent.n_step=5'
  assert _error(capsys, '--run_dir=a', change) == expected
  assert _error(capsys, '--run_dir=a', '--preset=small', change) == expected
  assert 'agent.n_step was 3, is now 1' in _error(
      capsys, '--run_dir=a', '--preset=other'
  )
  assert 'seed was 3, is now 4' in _error(capsys, '--run_dir=a', '--seed=4')
  assert fakes.ran == ['dataset']
  assert pathlib.Path('a/config.json').read_text() == before


def test_setting_that_repeats_the_run_is_accepted(fakes):
  _main('--preset=small', '--run_dir=a', '--stage=dataset', '--seed=9')
  assert _main('--run_dir=a', '--seed=9', '--set=agent.n_step=3') == 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], r'which run\? Give --preset .* \(there are: small, other\), or'),
        (['--preset=smal'], "no preset is called 'smal'; did you mean small"),
        (['--run_dir=new'], r'new holds no run; give --preset to start one'),
        (['--preset=small', '--stage=ofline'], "called 'ofline'; did you mean"),
        (['--preset=small', '--stage='], '--stage is empty'),
        (['--preset=small', '--set=agent.x=1'], "called 'agent.x'"),
        (['--preset=small', '--set=agent.n_step=0'], 'agent: n_step must be'),
        (['--preset=small', '--seed=x'], r'flag --seed=x.*; see --help'),
        (['--preset=small', '--seed=-1'], r'flag --seed=-1'),
        (['--presset=small'], r"flag 'presset'. Did you mean: preset"),
        (['--preset=small', 'offline'], "expected only flags, got 'offline'"),
        (['--preset=small', '--stage=offline'], 'run --stage=dataset,offline'),
        (
            ['--preset=small', '--method=kickstart'],
            "no method is called 'kickstart'; did you mean kickstarting",
        ),
        (['--run_dir=new', '--method=jsrl'], '--method=jsrl starts a run, at'),
    ],
)
def test_wrong_command_is_one_line(fakes, capsys, arguments, message):
  assert re.search(message, _error(capsys, *arguments))
  assert not fakes.ran
  assert not pathlib.Path('new').exists()


def test_method_replaces_that_of_the_preset(fakes, capsys):
  assert _main('--preset=small', '--method=jsrl', '--set=agent.n_step=7') == 0
  stored = config_lib.read('runs/small_jsrl_seed3/config.json')
  assert stored.agent.roll_in.horizon == 1_000
  assert (stored.agent.n_step, stored.offline.num_learner_steps) == (7, 0)
  # The same command goes on, another one is refused.
  assert _main('--preset=small', '--method=jsrl', '--set=agent.n_step=7') == 0
  assert 'agent.roll_in.horizon was 1000, is now 0' in _error(
      capsys, '--preset=small', '--run_dir=runs/small_jsrl_seed3'
  )


def test_damaged_settings_are_named(fakes, capsys):
  _main('--preset=small', '--run_dir=a', '--stage=dataset')
  path = pathlib.Path('a/config.json')
  path.write_text(path.read_text().replace('"seed": 3', '"seed": "3"'))
  assert re.match(
      r"a/config.json cannot be used: seed: expected an integer, got '3';",
      _error(capsys, '--run_dir=a'),
  )


def test_second_process_is_refused(fakes, capsys):
  with run_directory.RunDirectory(pathlib.Path('a')).lock():
    assert re.match(
        rf'another process works in a: pid {os.getpid()} on host',
        _error(capsys, '--preset=small', '--run_dir=a'),
    )
  assert not fakes.ran
  assert _main('--preset=small', '--run_dir=a') == 0


def test_full_disk_is_one_line(fakes, capsys):
  fakes.failure = OSError(28, 'No space left on device', 'x.ckpt')
  assert _error(capsys, '--preset=small') == (
      'No space left on device: x.ckpt; mend that, and run the same command'
      ' again to go on'
  )


def test_interruption_says_how_to_go_on(fakes, capsys):
  fakes.failure = KeyboardInterrupt()
  assert _main('--preset=small') == 130
  assert capsys.readouterr().err == (
      'interrupted; the same command goes on from here\n'
  )
  fakes.failure = None
  assert _main('--preset=small') == 0


@pytest.mark.parametrize(
    'number, code', [(signal.SIGTERM, 0), (signal.SIGINT, 130)]
)
def test_a_stage_that_stopped_in_order_goes_on(fakes, capsys, number, code):
  fakes.failure = stopping.Stopped(number)
  assert _main('--preset=small') == code
  assert capsys.readouterr().err == (
      'stopped; the same command goes on from here\n'
  )
  fakes.failure = None
  assert _main('--preset=small') == 0


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--role=actor'], 'which run'),
        (['--role=actor', '--preset=small'], 'takes no --preset'),
        (['--role=actor', '--num_actors=2'], 'takes no --num_actors'),
        (['--role=teacher'], '--role'),
        (['--num_actors=0'], '--num_actors'),
    ],
)
def test_roles_belong_to_a_run(fakes, capsys, flags, message):
  assert _main(*flags) == 2
  assert message in capsys.readouterr().err


@pytest.mark.parametrize('address', ['', 'localhost', 'localhost:0', 'a b:80'])
def test_a_role_needs_an_address(fakes, capsys, address):
  assert _main('--preset=small', '--run_dir=a') == 0
  code = _main('--run_dir=a', '--role=actor', f'--replay_address={address}')
  assert code == 2
  assert 'needs it as HOST:PORT' in capsys.readouterr().err


def test_bug_keeps_its_traceback(fakes):
  fakes.failure = ZeroDivisionError()
  with pytest.raises(ZeroDivisionError):
    _main('--preset=small')


def test_temporary_files_of_a_killed_process_are_swept(fakes):
  _main('--preset=small', '--run_dir=a', '--stage=dataset')
  left = pathlib.Path('a/offline/.x.0123456789ab.rrl_tmp')
  left.parent.mkdir()
  left.touch()
  assert _main('--run_dir=a') == 0
  assert not left.exists()


def test_console_script_records_its_name_without_its_path(fakes):
  assert launch.main(['/opt/bin/rrl-launch', '--preset=small']) == 0
  assert pathlib.Path('runs/small_seed3/command.txt').read_text() == (
      'rrl-launch --preset=small\n'
  )


def test_report_may_get_other_settings_of_its_own():
  flat = settings.flatten(config_lib.PipelineConfig())
  assert any(name.startswith('report.') for name in flat)


def _run_program(*arguments):
  return subprocess.run(
      [sys.executable, *arguments],
      cwd=_ROOT,
      env=os.environ | {'PYTHONPATH': str(_ROOT)},
      capture_output=True,
      text=True,
      check=False,
  )


@pytest.mark.parametrize('flag', ['--help', '-h'])
def test_help_is_complete(flag):
  result = _run_program('launch/launch.py', flag)
  assert result.returncode == 0
  assert result.stderr == ''
  for name in (
      'stage', 'preset', 'method', 'set', 'run_dir', 'seed', 'num_actors',
      'role', 'replay_address', 'agent', 'actor_index', 'help'
  ):
    assert re.search(rf'^  --{name}$', result.stdout, re.MULTILINE)
  unwrapped = re.sub(r'\n {15}', ' ', result.stdout)
  for stage in pipeline.STAGES:
    assert f'  {stage.name:<12} {stage.summary}\n' in unwrapped
  for name, preset in presets.PRESETS.items():
    assert f'  {name:<12} {preset.summary}\n' in unwrapped
  assert 'python launch/launch.py --preset=pong_quick' in result.stdout
  assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_and_wrong_flags_import_nothing_slow():
  program = (
      'import sys\n'
      'from rrl_pipeline.launch import launch\n'
      'codes = [launch.main(["launch.py", flag]) for flag in sys.argv[1:]]\n'
      'slow = ("tensorflow", "reverb", "apache_beam", "acme", "ale_py")\n'
      'print(codes, [name for name in slow if name in sys.modules])\n'
  )
  result = _run_program('-c', program, '--help', '--nonsense', '--stage=x')
  assert result.stdout.splitlines()[-1] == '[0, 2, 2] []'


def test_program_reports_errors_by_its_exit_code():
  result = _run_program('launch/launch.py', '--nonsense')
  assert result.returncode == 2
  assert re.fullmatch(r'error: .*nonsense.*\n', result.stderr)
