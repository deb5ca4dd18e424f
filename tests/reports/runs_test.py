"""Tests of reading run directories, and of what is said about bad ones."""

import dataclasses
import json

import numpy as np
import pytest

from rrl_pipeline.reports import runs
from rrl_pipeline.testing import synthetic_run


@pytest.fixture(name='root')
def fixture_root(tmp_path):
  return synthetic_run.write(tmp_path / 'run')


def _log(root, *parts):
  return root.joinpath(*parts, 'evaluations.jsonl')


def test_a_whole_run(root):
  run = runs.read_run(root)
  assert (run.name, run.game, run.seed, run.frame_skip) == ('run', 'Pong', 1, 4)
  assert run.command == 'rrl-launch --seed=1'
  assert run.dataset == 'atari_replay/Pong_run_1/1.0.0'
  assert run.teacher.mean_return == synthetic_run.TEACHER_RETURN
  assert run.offline[-1].returns == (3.0, 6.0)
  assert [e.frames for e in run.online['student']] == [4000, 8000, 12000]
  assert run.online['tabula_rasa'][-1].mean_return == -20
  assert run.final['student'].mean_return == 13
  assert run.metrics['offline'][0]['learning_rate'] == 1e-4
  assert run.stages['offline']['wall_seconds'] == 30
  assert run.play.shape == (40, 84, 84)


def test_what_a_report_can_do_without(root):
  for path in (
      root / 'command.txt',
      root / 'evaluate' / 'student_frames.npy',
      root / 'online' / 'student' / 'metrics.csv',
      _log(root, 'offline'),
      _log(root, 'evaluate'),
      _log(root, 'online', 'tabula_rasa'),
  ):
    path.unlink()
  (root / 'online' / 'tabula_rasa' / 'metrics.csv').unlink()
  (root / 'online' / 'tabula_rasa').rmdir()
  run = runs.read_run(root)
  assert run.command is None and run.play is None
  assert not run.offline and not run.final and not run.metrics['student']
  assert list(run.online) == ['student']


def test_a_teacher_that_was_brought_along(root):
  bundle = root / 'teacher' / 'bundle' / 'bundle.json'
  trained_here = runs.read_run(root).teacher
  bundle.rename(root / 'teacher' / 'bundle.json')
  assert runs.read_run(root).teacher == trained_here


def test_an_episode_played_again_after_a_kill_counts_once(root):
  log = _log(root, 'online', 'student')
  synthetic_run.append_evaluations(
      log, 'student', 1, [(250, 3000, (10, 12, 17))]
  )
  last = runs.read_run(root).online['student'][-1]
  assert last.returns == (10.0, 12.0, 17.0)


def test_episodes_that_a_time_limit_ended_are_counted(root):
  log = _log(root, 'online', 'student')
  lines = log.read_text().splitlines()
  lines[-1] = lines[-1].replace('"terminal": true', '"terminal": false')
  log.write_text('\n'.join(lines) + '\n')
  assert runs.read_run(root).online['student'][-1].num_truncated == 1


def test_equal_bundles_are_the_same_teacher(tmp_path):
  first = runs.read_run(synthetic_run.write(tmp_path / 'a')).teacher
  root = synthetic_run.write(tmp_path / 'b', seed=2)
  assert runs.read_run(root).teacher == first
  bundle = synthetic_run.bundle()
  bundle['score']['epsilon'] = 0.01
  synthetic_run.write_json(root / 'teacher' / 'bundle' / 'bundle.json', bundle)
  other = runs.read_run(root).teacher
  assert other.identity != first.identity
  assert other == dataclasses.replace(
      first, identity=other.identity, epsilon=0.01
  )


def _remove_config(root):
  (root / 'config.json').unlink()


def _remove_game(root):
  synthetic_run.write_json(root / 'config.json', {'environment': {}})


def _remove_online_marker(root):
  (root / 'online' / 'DONE.json').unlink()


def _empty_control(root):
  _log(root, 'online', 'tabula_rasa').unlink()


def _remove_teacher(root):
  (root / 'teacher' / 'bundle' / 'bundle.json').unlink()


def _score_no_teacher(root):
  synthetic_run.write_json(
      root / 'teacher' / 'bundle' / 'bundle.json', {'score': None}
  )


def _tear_line(root):
  log = _log(root, 'online', 'student')
  log.write_text(log.read_text()[:-20])


def _mix_agents(root):
  synthetic_run.append_evaluations(
      _log(root, 'offline'), 'tabula_rasa', 1, [(100, 0, (0,))]
  )


def _mix_seeds(root):
  synthetic_run.append_evaluations(
      _log(root, 'evaluate'), 'student', 2, [(250, 3000, (0,))]
  )


def _lose_return(root):
  synthetic_run.append_evaluations(
      _log(root, 'offline'), 'student', 1, [(100, 0, (float('nan'),))]
  )


def _damage_config(root):
  (root / 'config.json').write_text('{"seed": ')


def _damage_frames(root):
  (root / 'evaluate' / 'student_frames.npy').write_bytes(b'\x93NUMPY')


@pytest.mark.parametrize(
    'damage, message',
    (
        (_remove_config, 'is no run directory: it has no config.json'),
        (_remove_game, 'names no environment that can be reported'),
        (_remove_online_marker, 'not finished; run it with --stage=online'),
        (_empty_control, 'no evaluation of the tabula_rasa; run --stage=onlin'),
        (_remove_teacher, 'holds no bundle.json.*run --stage=teacher'),
        (_score_no_teacher, 'as score.mean_return, got None; eval'),
        (_tear_line, 'line 9 is no evaluation record: got .*mend that line'),
        (_mix_agents, "the agent is 'tabula_rasa', expected 'student'"),
        (_mix_seeds, r'mixes evaluations of the seeds \[1, 2\]'),
        (_lose_return, 'line 5 is no evaluation record.*the return is nan'),
        (_damage_config, 'config.json is damaged: expected JSON'),
        (_damage_frames, 'is damaged .*run --stage=evaluate again'),
    ),
)
def test_a_bad_run_is_refused_in_one_clear_line(root, damage, message):
  damage(root)
  with pytest.raises(ValueError, match=message) as caught:
    runs.read_run(root)
  assert '\n' not in str(caught.value)


def test_frames_are_mapped_not_read(root):
  assert isinstance(runs.read_run(root).play, np.memmap)


def test_records_are_read_in_order_of_experience(root):
  log = _log(root, 'online', 'student')
  lines = log.read_text().splitlines()
  log.write_text('\n'.join(reversed(lines)) + '\n')
  run = runs.read_run(root)
  assert [e.frames for e in run.online['student']] == [4000, 8000, 12000]
  assert run.online['student'][-1].returns == (9.0, 12.0, 15.0)
  assert json.loads(lines[0])['frames'] == 4000
