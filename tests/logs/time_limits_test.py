"""Tests of telling time limits from terminal ends by the length."""

import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import time_limits

TERMINAL = types.EpisodeEnd.TERMINAL
TRUNCATED = types.EpisodeEnd.TRUNCATED
LOG_END = types.EpisodeEnd.LOG_END


def _span(length, end=TERMINAL, complete_start=True):
  return reader.EpisodeSpan(
      checkpoint_id=0,
      episode_id=0,
      first_add=0,
      length=length,
      padding=3,
      end=end,
      complete_start=complete_start,
  )


def _ends(spans, limits):
  return [span.end for span in time_limits.recognise(spans, limits)[0]]


def test_exact_length_is_a_time_limit():
  spans = [_span(n) for n in (26999, 27000, 27001, 25000, 25000)]
  assert _ends(spans, (27000, 25000)) == [
      TERMINAL, TRUNCATED, TERMINAL, TRUNCATED, TRUNCATED
  ]
  assert _ends(spans, (27000,)) == [
      TERMINAL, TRUNCATED, TERMINAL, TERMINAL, TERMINAL
  ]
  assert _ends(spans, ()) == [TERMINAL] * 5


def test_hits_are_counted():
  spans = [_span(n) for n in (25000, 27000, 27000, 5)]
  _, (warning,) = time_limits.recognise(spans, (27000, 25000))
  assert warning == (
      '3 of 4 episodes are stored as terminal after exactly 25000 or 27000 '
      'steps: taken for ends by a time limit (see --time_limit_steps)'
  )
  assert not time_limits.recognise(spans, (1,))[1]


@pytest.mark.parametrize(
    'span', [_span(100, complete_start=False), _span(100, LOG_END)]
)
def test_other_episodes_are_left_alone(span):
  assert time_limits.recognise([span], (100,)) == ((span,), ())


def test_log_that_marks_time_limits_is_believed():
  spans = (_span(100), _span(100, TRUNCATED))
  assert time_limits.recognise(spans, (100,)) == (spans, ())
