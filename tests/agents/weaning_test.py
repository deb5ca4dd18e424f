"""Tests of the weaning schedule by hand-made sequences of evaluations."""

import pytest

from rrl_pipeline.agents import weaning


def _decays(evaluations, weaning_steps=1_000):
  """The decay before and after each evaluation."""
  return [
      weaning.decay(evaluations[:i], weaning_steps)
      for i in range(len(evaluations) + 1)
  ]


def test_it_is_one_until_the_first_evaluation():
  assert weaning.decay([], weaning_steps=1) == 1.0


def test_it_follows_the_score_down_and_up_while_positive():
  evaluations = [(100, 0.25), (200, 0.75), (300, 0.5), (400, 0.9)]
  assert _decays(evaluations) == pytest.approx([1, 0.75, 0.25, 0.5, 0.1])


def test_a_student_below_random_is_held_more_than_fully():
  assert _decays([(100, -0.5)]) == pytest.approx([1, 1.5])


def test_zero_is_final():
  # The student reaches the teacher, then falls behind.
  assert _decays([(100, 0.5), (200, 1.0), (300, 0.1), (400, -1.0)]) == [
      1, 0.5, 0, 0, 0,
  ]
  assert weaning.decay_after(0.0, 0.1, 100, 1_000) == 0


def test_a_student_above_the_teacher_is_weaned_not_pushed_away():
  assert _decays([(100, 1.7)]) == [1, 0]


def test_the_limit_of_steps_ends_it():
  evaluations = [(900, 0.25), (999, 0.25), (1_000, 0.25), (1_100, 0.0)]
  assert _decays(evaluations) == [1, 0.75, 0.75, 0, 0]


@pytest.mark.parametrize(
    'decay, expected',
    [(1.0, 1e-4), (0.0, 1e-5), (0.5, 5.5e-5), (0.25, 3.25e-5), (1.5, 1e-4)],
)
def test_the_learning_rate_is_mixed_by_the_decay(decay, expected):
  assert weaning.learning_rate(decay, 1e-4, 1e-5) == pytest.approx(expected)
