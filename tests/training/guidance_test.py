"""Tests of what a teacher is to a student."""

import pytest

from rrl_pipeline import scores
from rrl_pipeline.training import guidance as guidance_lib


def _guidance(random, teacher):
  return guidance_lib.Guidance(None, scores.Scale(random, teacher))


def test_ratios_are_normalised_or_raw():
  guidance = _guidance(10.0, 60.0)
  assert guidance.ratio(35.0, 'normalised') == 0.5
  assert guidance.ratio(45.0, 'raw') == 0.75
  # Below random play, one is negative and the other is not.
  assert guidance.ratio(6.0, 'normalised') == pytest.approx(-0.08)
  assert guidance.ratio(6.0, 'raw') == 0.1


def test_a_raw_ratio_to_a_negative_return_is_refused():
  guidance = _guidance(-20.7, -3.0)
  assert guidance.ratio(-3.0, 'normalised') == 1
  with pytest.raises(ValueError, match='-3, so that raw.*ratio=normalised'):
    guidance.ratio(-10.0, 'raw')


@pytest.mark.parametrize('mean_return, warns', [(-20.7, True), (-20.6, False)])
def test_a_teacher_no_better_than_random_play_is_pointed_out(
    mean_return, warns, capsys
):
  guidance_lib.warn_of_weak_teacher(mean_return, -20.7)
  assert ('is not above random' in capsys.readouterr().err) == warns
  guidance_lib.warn_of_weak_teacher(mean_return, None)
  assert not capsys.readouterr().err
