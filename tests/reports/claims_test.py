"""Tests of the words of a report: they follow the figures."""

import json

import pytest

from rrl_pipeline.reports import runs
from rrl_pipeline.reports import summary
from rrl_pipeline.testing import synthetic_run


@pytest.fixture(name='root')
def fixture_root(tmp_path):
  return synthetic_run.write(tmp_path / 'run')


def _words(*roots):
  report = summary.summarise([runs.read_run(root) for root in roots], 200)
  claim = report['claim']
  return (
      claim['headline'],
      ' '.join(claim['sentences']),
      ' '.join(report['limits']),
  )


def _remove_control(root):
  (root / 'online' / 'tabula_rasa').rename(root / 'elsewhere')


def _replace_bundle(root, **score):
  bundle = synthetic_run.bundle()
  bundle['score'] |= score
  synthetic_run.write_json(root / 'teacher/bundle/bundle.json', bundle)


def test_the_claim_in_numbers(root):
  headline, claim, _ = _words(root)
  assert headline == (
      "Pong: the student reaches 0.91 of its teacher's score, training from"
      ' scratch 0.02'
  )
  for part in (
      'After 12,000 environment frames',
      'scores 0.91 on a scale',
      'mean return is 12.0 over 3 evaluation episodes',
      "the teacher's 15.3, that of random play −20.7",
      'for as many frames scores 0.02 (mean return −20.0)',
      'the student is ahead by 0.89',
      'over the evaluation episodes: student',
      'The student is weaned',
      'fell to 0 after 8,000 frames',
      'took 15,600 frames and 2 min of CPU time, the play that its data holds'
      ' included',
      'had taken 400,000 frames and 2.0 h of CPU time',
      'over 4 episodes gives 0.94 (mean return 13.0)',
  ):
    assert part in claim


def test_the_limits_of_one_run(root):
  _, _, limits = _words(root)
  for part in (
      'One run (seed 1), so no interval over runs can be given',
      'is 3 episodes of the full game',
      'One game (Pong)',
      'compared at equal environment frames',
      'score rests on 26 episodes: its standard error is 0.02',
      'The return of random play is the published one',
  ):
    assert part in limits


def test_a_student_that_is_not_ahead_is_not_praised(tmp_path):
  _, claim, _ = _words(synthetic_run.write(tmp_path / 'run', shift=-33))
  assert 'the student is not ahead (−0.03)' in claim
  assert 'reincarnation did not help here' in claim


def _set_agent(root, **changes):
  config = root / 'config.json'
  synthetic_run.write_json(
      config, json.loads(config.read_text()) | {'agent': changes}
  )


def _from_scratch(root):
  _set_agent(root, distillation_weight=0.0)
  config = root / 'config.json'
  synthetic_run.write_json(
      config,
      json.loads(config.read_text()) | {'offline': {'num_learner_steps': 0}},
  )


def test_an_agent_from_scratch_is_no_reincarnated_student(root):
  _from_scratch(root)
  headline, claim, _ = _words(root)
  assert headline == (
      "Pong: an agent trained from scratch reaches 0.91 of the teacher's"
      ' score, the control 0.02'
  )
  assert 'play the agent trained from scratch scores 0.91' in claim
  assert 'has nothing of the teacher either, and differs from it by 0.89' in (
      claim
  )
  assert 'reincarnat' not in claim and 'weaned' not in claim
  _remove_control(root)
  headline, _, limits = _words(root)
  assert headline.endswith('0.91 of the teacher\'s score')
  assert 'No control was run' not in limits


def test_a_fine_tuned_student_is_not_weaned_of_anything(root):
  _set_agent(root, distillation_weight=0.0, initial_network='teacher')
  _, claim, _ = _words(root)
  assert "student that goes on with its teacher's network scores" in claim
  assert 'weaned' not in claim


def test_a_method_that_never_weans(root):
  _set_agent(root, weaning={'schedule': 'constant', 'steps': None})
  assert 'never weaned by this method' in _words(root)[1]


def test_a_margin_that_still_guides(root):
  _set_agent(root, distillation_weight=0.0, margin_weight=1.0)
  log = root / 'online' / 'student' / 'metrics.csv'
  log.write_text(
      'step,frames,distillation_weight,margin_weight\n1,40,0,0.5\n'
  )
  claim = _words(root)[1]
  assert 'not weaned yet: the teacher still guided it when training' in claim
  assert 'λ' not in claim
  log.write_text(
      'step,frames,distillation_weight,margin_weight\n1,40,0,0.5\n2,80,0,0\n'
  )
  assert 'is weaned' in _words(root)[1]


def test_no_control(root):
  _remove_control(root)
  headline, claim, limits = _words(root)
  assert 'from scratch' not in headline + claim
  assert 'No control was run' in limits


def test_a_control_with_other_frames(root):
  synthetic_run.append_evaluations(
      root / 'online/tabula_rasa/evaluations.jsonl',
      'tabula_rasa',
      1,
      [(300, 6000, (-20,))],
  )
  _, claim, limits = _words(root)
  assert 'for 24,000 frames scores' in claim
  assert 'did not have the same number of frames (12,000 and 24,000)' in limits


def test_a_student_that_is_still_guided(root):
  log = root / 'online' / 'student' / 'metrics.csv'
  log.write_text('step,frames,distillation_weight\n1,40,0.5\n')
  assert 'not weaned yet: the teacher still guided it' in _words(root)[1]


def test_a_log_without_weights(root):
  (root / 'online' / 'student' / 'metrics.csv').unlink()
  assert 'does not say how much weight the teacher had' in _words(root)[1]


def test_several_runs(tmp_path):
  roots = [
      synthetic_run.write(tmp_path / str(seed), seed, shift=seed)
      for seed in range(3)
  ]
  _, claim, limits = _words(*roots)
  assert 'means over 3 runs; 95 % intervals over runs: student 0.' in claim
  assert 'fell to 0 after 8,000 frames at the latest' in claim
  assert 'of CPU time in the first run' in claim
  assert '3 runs of 1 game. With fewer than 5 runs' in limits


def test_several_games(tmp_path):
  headline, claim, limits = _words(
      synthetic_run.write(tmp_path / 'a'),
      synthetic_run.write(tmp_path / 'b', game='Boxing'),
  )
  assert headline.startswith('2 games: the student reaches 0.85')
  assert 'mean return' not in claim
  assert 'One game' not in limits
  assert 'One run per game: no interval over runs' in limits


def test_runs_that_do_not_quite_belong_together(tmp_path):
  roots = [
      synthetic_run.write(tmp_path / str(seed), seed) for seed in range(2)
  ]
  _set_agent(roots[1], n_step=1)
  _remove_control(roots[1])
  _replace_bundle(roots[1], mean_return=10.0)
  _, _, limits = _words(*roots)
  assert 'differ in more than their seeds: agent.n_step' in limits
  assert 'Only 1 of 2 runs had a control' in limits
  assert 'The runs had different teachers' in limits


def test_a_teacher_of_unknown_precision(root):
  _replace_bundle(root, std_return=None)
  assert 'does not say how precisely its score is known' in _words(root)[2]


def test_compute_that_was_not_recorded(root):
  marker = root / 'offline' / 'DONE.json'
  synthetic_run.write_json(marker, {'counts': {'learner_steps': 100}})
  _, claim, limits = _words(root)
  assert 'Making the student' not in claim
  assert 'Part of the compute was not recorded' in limits


def test_logs_that_the_user_brought(root):
  (root / 'collect' / 'DONE.json').unlink()
  assert 'the play that its data holds not included' in _words(root)[1]


def test_episodes_that_a_time_limit_ended(root):
  log = root / 'online' / 'student' / 'evaluations.jsonl'
  text = log.read_text()
  log.write_text(text.replace('"terminal": true', '"terminal": false'))
  limits = _words(root)[2]
  assert '3 episodes of the last evaluations ended by the time' in limits
