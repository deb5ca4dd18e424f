"""Tests of the command line; tests/integration has whole benchmarks."""

import re
import subprocess
import sys
import textwrap

import pytest

from rrl_pipeline.launch import benchmark
from rrl_pipeline.launch import suites


def _main(*flags):
  return benchmark.main(['launch/benchmark.py', *flags])


@pytest.mark.parametrize(
    'flags, message',
    (
        ([], 'which suite? Give --suite; there are: atari10'),
        (['--suite=minatr'], "no suite is called 'minatr'"),
        (['--suite=atari10', '--methods=x'], "no method is called 'x'"),
        (['--suite=atari10', '--games=Pong'], "no game is called 'Pong'"),
        (['--suite=atari10', '--seeds=0'], '0 is not a positive integer'),
        (['--suite=atari10', '--sedes=1'], "Unknown command line flag 'sedes'"),
        (['--suite=atari10', 'more'], "expected only flags, got 'more'"),
        (
            ['--suite=atari10', '--set=agent.n=1'],
            "no setting is called 'agent.n'",
        ),
        (
            ['--suite=atari10', '--set=agent.n_step=0'],
            'n_step must be at least 1, got 0',
        ),
    ),
)
def test_errors_are_one_line_and_nothing_is_written(
    flags, message, tmp_path, capsys
):
  directory = tmp_path / 'benchmark'
  assert _main(*flags, f'--directory={directory}') == 2
  error = capsys.readouterr().err
  assert message in error
  assert len(error.splitlines()) == 1
  assert not directory.exists()


def test_two_benchmarks_do_not_share_a_directory(tmp_path, capsys):
  lock = (
      'import sys, pathlib\n'
      'from rrl_pipeline import run_directory\n'
      f'path = pathlib.Path({str(tmp_path)!r})\n'
      'with run_directory.RunDirectory(path).lock():\n'
      '  print(flush=True)\n  sys.stdin.read()'
  )
  with subprocess.Popen(
      [sys.executable, '-c', lock], stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
  ) as other:
    other.stdout.readline()
    code = _main('--suite=atari10', '--games=Qbert', f'--directory={tmp_path}')
    other.stdin.close()
  assert code == 2
  assert 'another process works in' in capsys.readouterr().err


def test_help_names_every_flag_and_suite(capsys):
  assert _main('--help') == 0
  text = capsys.readouterr().out
  flags = benchmark.define_flags()
  for name in flags:
    if name not in ('h', 'flagfile', 'undefok', 'nohelp'):
      assert f'  --{name}\n' in text
  for name, suite in suites.SUITES.items():
    assert f'  {name:<14} {suite.summary}' in text
  assert max(map(len, text.splitlines())) <= 80


def test_examples_in_the_help_can_be_parsed():
  lines = textwrap.dedent(benchmark._EXAMPLES).replace('\\\n', ' ')
  commands = re.findall(r'python launch/benchmark.py (.*)', lines)
  assert len(commands) == 3
  for command in commands:
    values = benchmark.define_flags()
    rest = values(['benchmark.py', *command.replace("'", '').split()])
    assert rest == ['benchmark.py']
    assert values.suite in suites.SUITES


def test_help_is_fast():
  program = (
      'import sys\nfrom rrl_pipeline.launch import benchmark\n'
      'benchmark.main(["benchmark.py", "--help"])\n'
      'heavy = {"tensorflow", "matplotlib", "ale_py", "reverb"}\n'
      'print("heavy:", sorted(heavy & set(sys.modules)))'
  )
  result = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True,
      check=False,
  )
  assert result.stdout.endswith('heavy: []\n'), result.stderr
