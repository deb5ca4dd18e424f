"""The program that takes Minari datasets in and gives datasets out."""

import pathlib
import subprocess
import sys

import pytest

from rrl_pipeline.launch import minari_bridge

ROOT = pathlib.Path(__file__).parents[2]


def test_help_imports_nothing_slow():
  program = (
      'import sys\n'
      'from rrl_pipeline.launch import minari_bridge\n'
      'try:\n  minari_bridge.main(["--help"])\n'
      'except SystemExit as end:\n  assert not end.code\n'
      'slow = {"tensorflow", "minari", "apache_beam", "jax"} & {*sys.modules}\n'
      'sys.exit(f"imported {slow}" if slow else 0)'
  )
  result = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True,
      check=False, cwd=ROOT,
  )
  assert result.returncode == 0, result.stderr
  assert 'rrl-minari export' in result.stdout


@pytest.mark.parametrize('argv', [[], ['import'], ['export', '--dataset=a-v0']])
def test_what_is_needed_is_asked_for(argv, capsys):
  with pytest.raises(SystemExit) as info:
    minari_bridge.main(argv)
  assert info.value.code == 2
  assert 'required' in capsys.readouterr().err


def test_without_minari_one_line_says_what_to_install(
    monkeypatch, capsys, tmp_path
):
  monkeypatch.setitem(sys.modules, 'minari', None)
  for argv in (
      ['import', '--dataset=a-v0', f'--recording_dir={tmp_path}'],
      ['export', '--dataset=a-v0', '--dataset_dir=d', '--num_actions=6'],
  ):
    assert minari_bridge.main(argv) == 2
    out, err = capsys.readouterr()
    assert not out and err.count('\n') == 1
    assert err.startswith('error: ') and 'pip install' in err


def test_a_slip_of_the_pen_is_one_line(capsys):
  assert minari_bridge.main(
      ['export', '--dataset=pong', '--dataset_dir=d', '--num_actions=6']
  ) == 2
  assert "error: the id of the Minari dataset is 'pong'; expected a name" in (
      capsys.readouterr().err
  )


def test_there_and_back_again(monkeypatch, capsys, tmp_path):
  minari = pytest.importorskip('minari', reason='the extra minari is missing')
  import gymnasium
  import numpy as np

  monkeypatch.setenv('MINARI_DATASETS_PATH', str(tmp_path / 'minari'))
  minari.create_dataset_from_buffers(
      'test/given-v0',
      [minari.data_collector.EpisodeBuffer(
          observations=np.zeros((3, 2), np.float32),
          actions=np.zeros(2, np.int64), rewards=[0.0] * 2,
          terminations=[False, True], truncations=[False] * 2, infos={},
      )],
      observation_space=gymnasium.spaces.Box(-1, 1, (2,), np.float32),
      action_space=gymnasium.spaces.Discrete(2),
      description='d', author='a', author_email='e', code_permalink='c',
      algorithm_name='n',
  )
  directory = tmp_path / 'recording'
  for _ in range(2):  # The second time, nothing is left to do.
    assert minari_bridge.main([
        'import', '--dataset=test/given-v0', f'--recording_dir={directory}'
    ]) == 0
    assert capsys.readouterr().out == f'{directory}: 1 episodes, 2 steps\n'
  assert minari_bridge.main([
      'import', '--dataset=test/other-v0', f'--recording_dir={directory}'
  ]) == 2
  assert 'is no Minari dataset on this machine' in capsys.readouterr().err
