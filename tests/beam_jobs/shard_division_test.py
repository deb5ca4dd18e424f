"""Tests of dividing episodes into shards, against a plain loop."""

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline.beam_jobs import shard_division

_LENGTHS = st.lists(st.integers(1, 30_000), min_size=1, max_size=12)


def _divide(groups, num_shards, steps_per_shard=1):
  return shard_division.divide(
      groups, lambda length: length, num_shards, steps_per_shard, 'groups'
  )


@hypothesis.given(_LENGTHS, st.data())
def test_a_shard_ends_as_soon_as_its_share_is_reached(lengths, data):
  count = data.draw(st.integers(1, len(lengths)))
  expected = [[]]
  steps = 0
  for i, length in enumerate(lengths):
    expected[-1].append(length)
    steps += length
    shards_to_come = count - len(expected)
    is_full = steps * count >= sum(lengths) * len(expected)
    is_needed = len(lengths) - i - 1 == shards_to_come
    if shards_to_come and (is_full or is_needed):
      expected.append([])
  assert _divide([lengths], count) == [tuple(shard) for shard in expected]


def test_groups_get_shards_by_their_length():
  groups = [[10] * 6, [10] * 2, [1]]
  assert _divide(groups, 5) == [(10, 10), (10, 10), (10, 10), (10, 10), (1,)]
  assert _divide(groups, None, 30) == [(10,) * 3, (10,) * 3, (10, 10), (1,)]


@pytest.mark.parametrize('num_shards', [1, 5])
def test_number_of_shards_that_cannot_be(num_shards):
  with pytest.raises(
      ValueError, match=r'at least 2 \(the groups\) and at most 4 \(the episod'
  ):
    _divide([[1, 2, 3], [4]], num_shards)
