"""Tests of what a student takes from its teacher's data online."""

import numpy as np
import pytest

from rrl_pipeline.training import teacher_data


class _Dataset:
  """As many episodes as there are lengths; each is its own name."""

  def __init__(self, name, lengths):
    self._name = name
    self.lengths = np.array(lengths)
    self.num_episodes = len(lengths)

  def episode(self, index, num_actions):
    assert num_actions == 6
    return f'{self._name}{index}'


@pytest.mark.parametrize(
    'capacity, num_rows, expected',
    [
        (1, 5, ['b1']),
        (5, 5, ['b1']),
        (6, 15, ['b0', 'b1']),
        (16, 19, ['a2', 'b0', 'b1']),
        (1_000, 42, ['a0', 'a1', 'a2', 'b0', 'b1']),
    ],
)
def test_the_fewest_last_episodes_that_fill_a_replay(
    capacity, num_rows, expected
):
  datasets = [_Dataset('a', [20, 3, 4]), _Dataset('b', [10, 5])]
  newest = teacher_data.newest_episodes(datasets, capacity, 6)
  assert newest.num_rows == num_rows
  for _ in range(2):  # It can be read again.
    assert list(newest.read()) == expected
