"""Tests of the signatures on curves made up to show them, or not to."""

import numpy as np
import pytest

from rrl_pipeline.reports import aggregate
from rrl_pipeline.reports import benchmark_curves
from rrl_pipeline.reports import signatures as lib

_FRAMES = tuple(range(100, 1001, 100))
_WEANED = 600
_TASKS, _SEEDS = ('a', 'b', 'c'), range(3)


def _runs(scores, offline=None, weaned_at=None, n_step=3, noise=0.01, seeds=3):
  """Nine runs around one curve."""
  generator = np.random.default_rng(0)
  curves = []
  for task in _TASKS:
    for seed in range(seeds):
      shift = generator.normal(scale=noise)
      values = tuple(float(score + shift) for score in scores)
      curves.append(
          benchmark_curves.Curve(
              task=task,
              seed=seed,
              frames=_FRAMES,
              scores=values,
              final=values[-1],
              offline=() if offline is None else ((50, offline + shift),),
              weaned_at=weaned_at,
              n_step=n_step,
          )
      )
  return curves


def _flat(value):
  return [value] * 10


def _step(before, after):
  return [before] * 6 + [after] * 4


def _paper():
  """What the paper's curves look like."""
  return {
      'qdagger': _runs([0.8, 0.95, *_flat(1.0)[:7], 1.15], 0.83, _WEANED),
      'dqfd': _runs(_step(0.5, 0.28), 0.3, _WEANED),
      'kickstarting_one_step': _runs(_step(0.59, 0.23), None, _WEANED, 1),
      'jsrl': _runs(np.linspace(0, 0.35, 10)),
      'rehearsal': _runs(np.linspace(0, 0.46, 10)),
      'tabula_rasa': _runs(np.linspace(0, 0.38, 10)),
      'qdagger_constant': _runs(_flat(0.9), 0.83),
      'fine_tuning': _runs(_flat(1.35)),
      'reload_original_lr': _runs(_flat(1.01)),
  }


def _verdicts(curves, resamples=200):
  return {
      s.letter: s.verdict.name for s in lib.signatures(curves, resamples)
  }


def test_the_papers_curves_show_all_signatures():
  assert _verdicts(_paper()) == dict.fromkeys('abcdef', 'REPRODUCED')


@pytest.mark.parametrize(
    'letter, method, runs',
    (
        ('a', 'qdagger', _runs(_flat(1.0), 0.2, _WEANED)),
        ('a', 'qdagger', _runs(_step(1.0, 0.6), 0.8, _WEANED)),
        ('b', 'dqfd', _runs(_flat(0.5), 0.3, _WEANED)),
        ('b', 'kickstarting_one_step', _runs(_flat(0.5), None, _WEANED, 1)),
        ('c', 'jsrl', _runs(np.linspace(0, 0.7, 10))),
        ('d', 'rehearsal', _runs(np.linspace(0, 0.2, 10))),
        ('e', 'qdagger_constant', _runs(np.linspace(0.3, 0.9, 10), 0.8)),
        ('e', 'qdagger_constant', _runs(_flat(1.4), 0.8)),
        ('f', 'fine_tuning', _runs(_flat(1.0))),
        ('f', 'reload_original_lr', _runs(_flat(1.4))),
    ),
)
def test_curves_without_the_pattern_do_not_show_it(letter, method, runs):
  verdicts = _verdicts({**_paper(), method: runs})
  assert verdicts[letter] == 'NOT_REPRODUCED'


def test_a_lower_tabula_rasa_makes_jsrl_better():
  curves = {**_paper(), 'tabula_rasa': _runs(_flat(0.05))}
  assert _verdicts(curves)['c'] == 'NOT_REPRODUCED'


def test_wide_intervals_decide_nothing():
  noisy = {
      name: _runs(np.mean([c.scores for c in runs], axis=0), noise=1.0)
      for name, runs in _paper().items()
  }
  assert set(_verdicts(noisy).values()) == {'NOT_DECIDABLE'}


def test_one_run_per_task_decides_nothing():
  curves = {'jsrl': _runs(_flat(0.1), seeds=1),
            'tabula_rasa': _runs(_flat(0.5), seeds=1)}
  signature = lib.signatures(curves, 50)[2]
  assert signature.verdict == lib.Verdict.NOT_DECIDABLE
  claim, = signature.claims
  assert claim.figure.value == pytest.approx(-0.4, abs=0.02)
  assert claim.obstacle == 'one run of each task has no interval'


def test_what_was_not_run_is_named():
  by_letter = {s.letter: s for s in lib.signatures({}, 10)}
  assert {s.verdict for s in by_letter.values()} == {lib.Verdict.NOT_DECIDABLE}
  assert by_letter['b'].claims[0].obstacle == 'dqfd was not run'
  curves = {'jsrl': _runs(_flat(0.1)), 'tabula_rasa': _runs(_flat(0.1))[:6]}
  claim, = lib.signatures(curves, 10)[2].claims
  assert claim.obstacle == 'jsrl and tabula_rasa were run on different tasks'
  curves['tabula_rasa'] = _runs(_flat(0.1))[:7]
  claim, = lib.signatures(curves, 10)[2].claims
  assert 'different numbers of runs' in claim.obstacle


def test_rehearsal_is_judged_with_three_steps_only():
  curves = {**_paper(), 'rehearsal': _runs(_flat(0.9), n_step=1)}
  claim, = lib.signatures(curves, 10)[3].claims
  assert claim.obstacle == 'some runs have n below 3'
  assert claim.verdict == lib.Verdict.NOT_DECIDABLE


def test_a_student_that_is_not_weaned_has_no_dip():
  curves = {'qdagger': _runs(_flat(1.0), 0.8)}
  _, dip = lib.signatures(curves, 10)[0].claims
  assert 'the teacher never left' in dip.obstacle


def test_dip_is_measured_within_a_fifth_of_the_frames():
  scores = (0.0, 0.0, 0.0, 0.4, 0.5, 0.6, 0.2, 0.1, 0.9, 0.9)
  curves = {'dqfd': _runs(scores, weaned_at=_WEANED, noise=0.0)}
  claim = lib.signatures(curves, 10)[1].claims[0]
  # 400 to 600 against 700 and 800 frames.
  assert claim.figure.value == pytest.approx(0.5 - 0.15)


@pytest.mark.parametrize(
    'low, high, above, verdict',
    (
        (0.11, 0.3, True, 'REPRODUCED'),
        (0.0, 0.1, True, 'NOT_REPRODUCED'),
        (0.05, 0.3, True, 'NOT_DECIDABLE'),
        (-0.3, 0.05, False, 'REPRODUCED'),
        (0.1, 0.3, False, 'NOT_REPRODUCED'),
        (0.0, 0.3, False, 'NOT_DECIDABLE'),
    ),
)
def test_whole_interval_decides(low, high, above, verdict):
  claim = lib.Claim('x', aggregate.Estimate(0.2, low, high), 0.1, above)
  assert claim.verdict.name == verdict
