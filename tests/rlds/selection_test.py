"""Tests of choosing episodes."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline.rlds import selection


@hypothesis.given(
    ranges=st.lists(
        st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9)), max_size=3
    ),
    limits=st.tuples(*[st.none() | st.integers(-3, 3)] * 2),
    episodes=st.lists(st.tuples(st.integers(0, 9), st.integers(-4, 4))),
)
def test_every_condition_is_met(ranges, limits, episodes):
  low, high = limits
  if low is not None and high is not None and low > high:
    low, high = high, low
  text = ','.join(
      str(a) if b is None else f'{a}-{b}' for a, b in ranges
  ) or 'all'
  checkpoints = np.array([c for c, _ in episodes], int)
  returns = np.array([r for _, r in episodes], float)
  kept = selection.EpisodeFilter(text, low, high).keeps(checkpoints, returns)
  chosen = {
      c for a, b in ranges for c in range(a, (a if b is None else b) + 1)
  }
  assert kept.tolist() == [
      (text == 'all' or c in chosen)
      and (low is None or r >= low)
      and (high is None or r <= high)
      for c, r in episodes
  ]


@pytest.mark.parametrize('text', ['', 'last', '1,', '-3', '1-', '1--2', '1 2'])
def test_other_texts_are_refused(text):
  with pytest.raises(ValueError, match="checkpoints must be 'all' or numbers"):
    selection.EpisodeFilter(text)


def test_limits_in_the_wrong_order_are_refused():
  with pytest.raises(ValueError, match='min_return is 2, above max_return 1'):
    selection.EpisodeFilter(min_return=2, max_return=1)
