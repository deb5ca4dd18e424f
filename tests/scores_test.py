"""Tests of teacher-normalised scores."""

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from rrl_pipeline import scores
from rrl_pipeline.environments import random_returns


def test_random_is_zero_and_the_teacher_is_one():
  scale = scores.Scale(random=-20.7, teacher=15.3)
  assert scale.normalise(-20.7) == 0
  assert scale.normalise(15.3) == 1


def test_scores_by_hand():
  scale = scores.Scale(random=-20, teacher=16)  # 36 points apart.
  np.testing.assert_allclose(
      scale.normalise(np.array([[-2.0, 7.0], [-29.0, 34.0]])),
      [[0.5, 0.75], [-0.25, 1.5]],
  )


@hypothesis.given(
    strategies.floats(-1e6, 1e6),
    strategies.floats(-1e4, 1e4),
    strategies.floats(0.1, 1e4),
)
def test_denormalising_inverts(value, random, gap):
  scale = scores.Scale(random, random + gap)
  np.testing.assert_allclose(
      scale.denormalise(scale.normalise(value)), value, rtol=1e-9, atol=1e-6
  )


@pytest.mark.parametrize('teacher', (-20.7, -21.0))
def test_a_teacher_that_is_no_better_than_random_is_refused(teacher):
  with pytest.raises(ValueError, match='is not above random play'):
    scores.Scale(random_returns.random_return('Pong'), teacher)


def test_a_teacher_without_a_finite_score_is_refused():
  with pytest.raises(ValueError, match='must be finite.*teacher nan'):
    scores.Scale(0.0, float('nan'))
