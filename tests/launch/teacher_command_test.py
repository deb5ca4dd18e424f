"""Tests of rrl-teacher, by what it prints."""

import pathlib
import pickle
import subprocess
import sys

import pytest

from rrl_pipeline.launch import teacher_command
from rrl_pipeline.teachers import foreign_formats
from rrl_pipeline.teachers import foreign_network

ROOT = pathlib.Path(__file__).parents[2]
_AGENT = ROOT / 'tests/testdata/teachers/dopamine/dqn/ckpt.3'
_SMALL = ('--set', 'frame_size=20', '--set', 'max_episode_steps=12',
          '--evaluate_episodes', 1)


def _run(capsys, *args):
  code = teacher_command.main([str(arg) for arg in args])
  captured = capsys.readouterr()
  return code, captured.out, captured.err


def test_import_and_describe(tmp_path, capsys):
  output = tmp_path / 'made' / 'bundle'
  code, text, _ = _run(capsys, 'import', '--game', 'Freeway', '--output',
                       output, *_SMALL, _AGENT)
  assert code == 0
  lines = text.splitlines()
  assert lines[:4] == [
      'found: an agent of dopamine_jax in ckpt.3',
      '  3 convolutions with 2-2-2 filters: nature',
      '  3 outputs are 1 value per action: dqn',
      'fits: Freeway, 3 actions, observations 20×20×4; 687 parameters',
  ]
  assert lines[4].startswith('checked: bundle and NumPy differ by at most ')
  assert lines[5] == (
      'evaluated: mean return 0.0 over 1 episode (0 by random play)')
  assert lines[-1] == f'written: {output}'
  code, text, _ = _run(capsys, 'describe', output)
  assert code == 0
  for line in (
      f'{output}: a teacher that gives q_values\n',
      '  sees: uint8 20×20×4\n',
      '  does: NOOP, UP, DOWN\n',
      '  score: mean return 0.0 over 1 episode (0 by random play)\n',
      f'  command: rrl-teacher import --game Freeway --output {output} --set ',
      '  imported from files of dopamine_jax:\n    ckpt.3, 23323 bytes, SHA-',
      '    3 outputs are 1 value per action: dqn\n',
  ):
    assert line in text


def test_bundles_of_the_package_are_described(capsys):
  code, text, _ = _run(capsys, 'describe', 'pong_dqn')
  assert code == 0
  assert 'game Pong' in text and '  score: mean return ' in text
  assert '  its own teacher:\n' in text


class _Mark:

  def __init__(self, path):
    self._path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self._path,)


def test_a_pickle_that_would_run_something_is_one_line(tmp_path, capsys):
  path = tmp_path / 'ckpt.0'
  path.write_bytes(pickle.dumps({'online_params': _Mark(tmp_path / 'mark')}))
  code, text, error = _run(
      capsys, 'import', '--game', 'Pong', '--output', tmp_path / 'b', path)
  assert (code, text) == (2, '')
  assert error.startswith(f'error: {path} is not a checkpoint that can be read')
  assert error.count('\n') == 1
  assert not (tmp_path / 'mark').exists()


@pytest.mark.parametrize('args, error', [
    (('describe', 'nobody'), "error: There is no teacher 'nobody'"),
    (('import', '--game', 'pong', '--output', 'b', _AGENT),
     "error: Unknown Atari game 'pong'"),
    (('import', '--game', 'Pong', '--output', 'b', '--set', 'a=1', _AGENT),
     'error: '),
    (('import', '--game', 'Pong', '--output', 'b', '--v_max', '0', _AGENT),
     'error: v_max must be positive'),
])
def test_errors_are_one_line(args, error, capsys):
  code, _, text = _run(capsys, *args)
  assert code == 2
  assert text.startswith(error) and text.count('\n') == 1


def test_choices_are_those_that_exist():
  assert teacher_command.FORMATS == foreign_formats.NAMES
  assert teacher_command.ALGORITHMS == foreign_network.ALGORITHMS


def test_help_does_not_wait_for_tensorflow():
  program = (
      'import sys\nfrom rrl_pipeline.launch import teacher_command\n'
      'try:\n  teacher_command.main(["import", "--help"])\n'
      'except SystemExit:\n  print("tensorflow" in sys.modules)')
  result = subprocess.run([sys.executable, '-c', program], cwd=ROOT, text=True,
                          capture_output=True, check=False)
  assert result.stdout.endswith('\nFalse\n'), result.stderr
  assert '--evaluate_episodes' in result.stdout
