"""Tests of report.json against numbers worked out by hand."""

import json
import pathlib

import numpy as np
import pytest

from rrl_pipeline.reports import runs
from rrl_pipeline.reports import summary
from rrl_pipeline.testing import synthetic_run

_DOCUMENT = pathlib.Path(__file__).parents[2] / 'docs' / 'report.md'
# (12 + 20.7) / 36 and so on; see synthetic_run.
_STUDENT = 32.7 / 36
_TABULA_RASA = 0.7 / 36


def _summarise(*roots):
  return summary.summarise([runs.read_run(root) for root in roots], 200)


def _edit_config(root, **values):
  path = root / 'config.json'
  synthetic_run.write_json(path, json.loads(path.read_text()) | values)


def test_scores_of_one_run(tmp_path):
  report = _summarise(synthetic_run.write(tmp_path / 'run'))
  student, control = report['student'], report['tabula_rasa']
  assert student['mean_return'] == 12
  assert student['teacher_normalised_score'] == pytest.approx(_STUDENT)
  assert student['frames'] == 12000
  assert control['mean_return'] == -20
  assert control['teacher_normalised_score'] == pytest.approx(_TABULA_RASA)
  offline = student['offline']
  assert offline['teacher_normalised_score'] == pytest.approx(0.7)
  final = student['final_evaluation']
  assert final['teacher_normalised_score'] == pytest.approx(33.7 / 36)
  assert final['episodes'] == 4
  assert control['final_evaluation']['mean_return'] == -20
  assert report['teacher']['mean_return'] == 15.3
  assert report['teacher']['teacher_normalised_score'] == 1
  assert report['random']['mean_return'] == -20.7
  assert report['random']['teacher_normalised_score'] == 0


def test_values_of_each_seed(tmp_path):
  report = _summarise(synthetic_run.write(tmp_path / 'run', seed=5))
  (entry,) = report['student']['per_seed']
  assert (entry['run'], entry['game'], entry['seed']) == ('run', 'Pong', 5)
  assert entry['returns'] == [9, 12, 15]
  assert entry['episodes'] == 3
  assert (entry['actor_steps'], entry['learner_steps']) == (3000, 250)
  assert entry['std_return'] == pytest.approx(6**0.5)
  interval = entry['interval_over_episodes']
  low, high = interval['mean_return']
  assert 9 <= low < 12 < high <= 15
  np.testing.assert_allclose(
      interval['teacher_normalised_score'],
      [(low + 20.7) / 36, (high + 20.7) / 36],
  )


def test_the_precision_of_the_teacher(tmp_path):
  (entry,) = _summarise(synthetic_run.write(tmp_path / 'run'))['teacher'][
      'per_run'
  ]
  assert entry['standard_error'] == pytest.approx(3.6 / 5)
  assert entry['normalised_standard_error'] == pytest.approx(0.72 / 36)


def test_one_run_has_no_interval_over_runs(tmp_path):
  aggregates = _summarise(synthetic_run.write(tmp_path / 'run'))['aggregates']
  assert aggregates['student']['iqm']['value'] == pytest.approx(_STUDENT)
  assert aggregates['student']['iqm']['low'] is None
  assert 'no interval over runs can be given' in aggregates['note']


def test_several_seeds(tmp_path):
  roots = [
      synthetic_run.write(tmp_path / f'run_{seed}', seed, shift=shift)
      for seed, shift in enumerate((-7.2, 0.0, 3.6, 1.8))
  ]
  report = _summarise(*roots)
  student = report['student']
  assert student['mean_return'] == pytest.approx(12 - 1.8 / 4)
  assert student['teacher_normalised_score'] == pytest.approx(
      _STUDENT - 0.05 / 4
  )
  assert [entry['seed'] for entry in student['per_seed']] == [0, 1, 2, 3]
  aggregates = report['aggregates']
  # The middle two of four: shifts 0 and 1.8, half a tenth on the scale of 36.
  iqm = aggregates['student']['iqm']
  assert iqm['value'] == pytest.approx(_STUDENT + 0.025)
  assert iqm['low'] < iqm['value'] < iqm['high']
  assert aggregates['note'] is None
  assert report['num_runs'] == 4


def test_several_games(tmp_path):
  pong = synthetic_run.write(tmp_path / 'pong')
  boxing = synthetic_run.write(tmp_path / 'boxing', game='Boxing')
  report = _summarise(pong, boxing)
  # Boxing: random 0.1, teacher 15.3.
  other = 11.9 / 15.2
  assert report['games'] == ['Boxing', 'Pong']
  assert report['student']['mean_return'] is None
  assert report['student']['teacher_normalised_score'] == pytest.approx(
      (_STUDENT + other) / 2
  )
  assert report['random']['mean_return'] is None
  assert report['random']['per_game'] == {'Boxing': 0.1, 'Pong': -20.7}
  median = report['aggregates']['student']['median']
  assert median['value'] == pytest.approx((_STUDENT + other) / 2)
  assert median['low'] is None


def test_unequal_numbers_of_runs_have_no_aggregates(tmp_path):
  report = _summarise(
      synthetic_run.write(tmp_path / 'a', 1),
      synthetic_run.write(tmp_path / 'b', 2),
      synthetic_run.write(tmp_path / 'c', 1, game='Boxing'),
  )
  assert report['aggregates']['student'] is None
  assert 'Boxing 1, Pong 2' in report['aggregates']['note']


def test_a_run_without_control(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  (root / 'online' / 'tabula_rasa').rename(root / 'elsewhere')
  report = _summarise(root)
  assert report['tabula_rasa'] is None
  assert report['aggregates']['tabula_rasa'] is None
  assert report['student']['teacher_normalised_score'] > 0.9


def test_a_control_in_some_runs_only(tmp_path):
  first = synthetic_run.write(tmp_path / 'a', 1)
  second = synthetic_run.write(tmp_path / 'b', 2)
  (second / 'online' / 'tabula_rasa').rename(second / 'elsewhere')
  report = _summarise(first, second)
  assert len(report['tabula_rasa']['per_seed']) == 1
  assert report['aggregates']['tabula_rasa'] is None
  assert report['aggregates']['student']['mean']['low'] is not None


def test_different_teachers(tmp_path):
  first = synthetic_run.write(tmp_path / 'a', 1)
  second = synthetic_run.write(tmp_path / 'b', 2)
  bundle = synthetic_run.bundle()
  bundle['score']['mean_return'] = -2.7  # 18 points above random.
  synthetic_run.write_json(second / 'teacher/bundle/bundle.json', bundle)
  report = _summarise(first, second)
  assert report['teacher']['mean_return'] is None
  scores = [
      entry['teacher_normalised_score']
      for entry in report['student']['per_seed']
  ]
  assert scores == pytest.approx([_STUDENT, 2 * _STUDENT])


def test_differing_settings_are_listed(tmp_path):
  first = synthetic_run.write(tmp_path / 'a', 1)
  second = synthetic_run.write(tmp_path / 'b', 2)
  _edit_config(second, agent={'n_step': 1}, report={'film_seconds': 3})
  assert _summarise(first, second)['configuration_differences'] == [
      {'run': 'b', 'field': 'agent.n_step', 'value': 1,
       'value_in_first_run': 3},
  ]


def test_the_same_run_twice_is_refused(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  with pytest.raises(ValueError, match='both have game Pong and seed 1'):
    _summarise(root, root)


def test_an_unknown_game_is_refused(tmp_path):
  root = synthetic_run.write(tmp_path / 'run', game='Tetris')
  with pytest.raises(ValueError, match="no random return is known for 'Tet"):
    _summarise(root)


def test_it_is_json_and_the_same_every_time(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  text = json.dumps(_summarise(root), allow_nan=False)
  assert json.dumps(_summarise(root), allow_nan=False) == text
  # Names of directories may be in it, their places may not.
  assert str(tmp_path) not in text


def _keys(value, skip):
  if isinstance(value, dict):
    for key, item in value.items():
      yield key
      if key not in skip:
        yield from _keys(item, skip)
  elif isinstance(value, list):
    for item in value:
      yield from _keys(item, skip)


def test_every_key_is_documented(tmp_path):
  document = _DOCUMENT.read_text(encoding='utf-8')
  roots = [
      synthetic_run.write(tmp_path / str(seed), seed, shift=seed)
      for seed in range(2)
  ]
  _edit_config(roots[1], agent={'n_step': 1})
  # What these hold is named elsewhere: settings, bundles, games.
  skip = ('configuration', 'environment', 'lineage', 'per_game')
  for key in set(_keys(_summarise(*roots), skip)):
    assert key in document, key
