"""Tests of the sums of compute, by hand."""

import json

from rrl_pipeline.reports import compute
from rrl_pipeline.reports import runs
from rrl_pipeline.testing import synthetic_run


def _account(root):
  return compute.account(runs.read_run(root))


def _edit(path, **values):
  synthetic_run.write_json(path, json.loads(path.read_text()) | values)


def test_rows_and_totals(tmp_path):
  account = _account(synthetic_run.write(tmp_path / 'run'))
  assert [
      (row['stage'], row['agent'], row['frames'], row['learner_steps'])
      for row in account['rows']
  ] == [
      ('teacher', 'teacher', 400_000, 25_000),
      ('collect', None, 3600, 0),
      ('dataset', None, 0, 0),
      ('offline', 'student', 0, 100),
      ('online', 'student', 12000, 150),
      ('online', 'tabula_rasa', 12000, 150),
      ('evaluate', None, 0, 0),
  ]
  assert account['totals'] == {
      'teacher': {
          'frames': 400_000,
          'actor_steps': 100_000,
          'learner_steps': 25_000,
          'wall_seconds': 7200,
          'cpu_seconds': 7300,
      },
      'student': {
          'frames': 3600 + 12000,
          'actor_steps': 900 + 3000,
          'learner_steps': 100 + 150,
          'wall_seconds': 10 + 20 + 30 + 40,
          'cpu_seconds': 11 + 21 + 31 + 41,
      },
      'student_and_teacher': {
          'frames': 415_600,
          'actor_steps': 103_900,
          'learner_steps': 25_250,
          'wall_seconds': 7300,
          'cpu_seconds': 7404,
      },
      'control': {
          'frames': 12000,
          'actor_steps': 3000,
          'learner_steps': 150,
          'wall_seconds': 50,
          'cpu_seconds': 51,
      },
  }
  assert account['machines'] == ['Abacus 7, 2 cores, 8.0 GB of memory']


def test_what_was_not_recorded_is_not_summed(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  _edit(root / 'online' / 'DONE.json', counts={})
  _edit(root / 'collect' / 'DONE.json', counts={}, machine=None)
  account = _account(root)
  rows = {(row['stage'], row['agent']): row for row in account['rows']}
  # The evaluations still say how far the agents came.
  assert rows['online', 'student']['frames'] == 12000
  assert rows['online', 'student']['wall_seconds'] is None
  assert account['totals']['student'] == dict.fromkeys(compute.QUANTITIES)
  assert account['totals']['student_and_teacher']['cpu_seconds'] is None
  assert account['totals']['teacher']['cpu_seconds'] == 7300


def test_an_agent_alone_has_the_time_of_the_stage(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  (root / 'online' / 'tabula_rasa').rename(root / 'elsewhere')
  _edit(
      root / 'online' / 'DONE.json', counts={'student': {'learner_steps': 150}}
  )
  account = _account(root)
  assert account['totals']['student']['wall_seconds'] == 10 + 20 + 30 + 90
  assert 'control' not in account['totals']


def test_stages_whose_output_the_user_brought_cost_nothing(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  for stage in ('collect', 'dataset'):
    (root / stage / 'DONE.json').unlink()
  student = _account(root)['totals']['student']
  assert student['frames'] == 12000
  assert student['wall_seconds'] == 30 + 40


def test_the_teachers_of_the_teacher_are_counted(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  bundle = synthetic_run.bundle()
  bundle['lineage']['teacher'] = synthetic_run.bundle()
  synthetic_run.write_json(root / 'teacher' / 'bundle' / 'bundle.json', bundle)
  account = _account(root)
  assert [row['generation'] for row in account['rows'][:3]] == [1, 2, None]
  assert account['totals']['teacher']['frames'] == 800_000
