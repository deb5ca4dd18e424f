"""Tests of the weaning schedules by hand-made sequences of evaluations."""

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline.agents import method_config
from rrl_pipeline.agents import weaning

_THOUSAND = method_config.WeaningConfig(steps=1_000)


def _decays(evaluations, config=_THOUSAND):
  """The decay before and after each evaluation."""
  steps = [0] + [steps for steps, _ in evaluations]
  ratios = [ratio for _, ratio in evaluations]
  return [
      weaning.decay(config, weaning.score_decay(config, ratios[:i]), steps[i])
      for i in range(len(steps))
  ]


def test_it_is_one_until_the_first_evaluation():
  assert weaning.score_decay(_THOUSAND, []) == 1.0
  assert weaning.decay(_THOUSAND, 1.0, 999) == 1.0


def test_it_follows_the_score_down_and_up_while_positive():
  evaluations = [(100, 0.25), (200, 0.75), (300, 0.5), (400, 0.9)]
  assert _decays(evaluations) == pytest.approx([1, 0.75, 0.25, 0.5, 0.1])


def test_a_student_below_random_is_held_more_than_fully():
  assert _decays([(100, -0.5)]) == pytest.approx([1, 1.5])
  limited = method_config.WeaningConfig(steps=1_000, max_decay=1.0)
  assert _decays([(100, -0.5), (200, 0.5)], limited) == [1, 1, 0.5]


def test_zero_is_final():
  # The student reaches the teacher, then falls behind.
  evaluations = [(100, 0.5), (200, 1.0), (300, 0.1), (400, -1.0)]
  assert _decays(evaluations) == [1, 0.5, 0, 0, 0]
  assert weaning.weaned_at(_THOUSAND, evaluations, 400) == 200


def test_a_teacher_may_come_back_if_that_is_asked_for():
  config = method_config.WeaningConfig(steps=1_000, absorbing=False)
  evaluations = [(100, 0.5), (200, 1.5), (300, 0.25), (1_000, 0.5)]
  assert _decays(evaluations, config) == [1, 0.5, 0, 0.75, 0]
  assert weaning.weaned_at(config, evaluations[:3], 999) is None
  assert weaning.weaned_at(config, evaluations, 1_000) == 1_000


def test_a_student_above_the_teacher_is_weaned_not_pushed_away():
  assert _decays([(100, 1.7)]) == [1, 0]


def test_the_limit_of_steps_ends_it():
  evaluations = [(900, 0.25), (999, 0.25), (1_000, 0.25), (1_100, 0.0)]
  assert _decays(evaluations) == [1, 0.75, 0.75, 0, 0]
  assert weaning.weaned_at(_THOUSAND, evaluations[:2], 999) is None
  assert weaning.weaned_at(_THOUSAND, evaluations, 1_100) == 1_000
  # Reaching the teacher after that is nothing new.
  assert weaning.weaned_at(_THOUSAND, [(1_100, 2.0)], 1_100) == 1_000


def test_it_may_fall_in_steps_alone():
  config = method_config.WeaningConfig(schedule='linear', steps=800)
  # Scores do not count.
  assert _decays([(200, 1.0), (600, 1.0), (800, 0.0)], config) == [
      1, 0.75, 0.25, 0,
  ]
  assert weaning.weaned_at(config, [(200, 1.0)], 799) is None
  assert weaning.weaned_at(config, [], 900) == 800


def test_it_may_be_constant():
  never = method_config.WeaningConfig(schedule='constant', steps=None)
  assert _decays([(100, 1.0), (10**9, 2.0)], never) == [1, 1, 1]
  assert weaning.weaned_at(never, [(100, 1.0)], 10**9) is None
  until = method_config.WeaningConfig(schedule='constant', steps=500)
  assert _decays([(499, 1.0), (500, 0.0)], until) == [1, 1, 0]
  at_once = method_config.WeaningConfig(schedule='constant', steps=0)
  assert weaning.decay(at_once, 1.0, 0) == 0


@hypothesis.given(
    st.lists(
        st.tuples(st.integers(1, 50), st.floats(-2, 2)), max_size=12
    ),
    st.integers(0, 400),
)
def test_schedule_equals_the_authors_loop(pairs, limit):
  """As in record_score of their qdagger_dqn_agent.py, in other words."""
  expected, steps, evaluations = 1.0, 0, []
  for length, score in pairs:
    steps += length
    if expected > 0:
      expected = max(1 - score, 0)
      if steps >= limit:
        expected = 0.0
    evaluations.append((steps, score))
  hypothesis.assume(steps or limit)
  config = method_config.WeaningConfig(steps=limit)
  found = weaning.decay(
      config, weaning.score_decay(config, [s for _, s in evaluations]), steps
  )
  assert found == expected
  at = weaning.weaned_at(config, evaluations, steps)
  assert (at is None) == (expected > 0)
  if at is not None:
    reached = [s for s, score in evaluations if score >= 1]
    assert at == min([limit, *reached])


@pytest.mark.parametrize(
    'decay, expected',
    [(1.0, 1e-4), (0.0, 1e-5), (0.5, 5.5e-5), (0.25, 3.25e-5), (1.5, 1e-4)],
)
def test_the_learning_rate_is_mixed_by_the_decay(decay, expected):
  assert weaning.learning_rate(decay, 1e-4, 1e-5) == pytest.approx(expected)
