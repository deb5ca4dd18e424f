"""Divides episodes into shards of about equal length."""

import bisect
import itertools
import math
from typing import Callable, Optional, Sequence, TypeVar

_Episode = TypeVar('_Episode')


def divide(
    groups: Sequence[Sequence[_Episode]],
    length: Callable[[_Episode], int],
    num_shards: Optional[int],
    steps_per_shard: int,
    kind: str,
) -> list[tuple[_Episode, ...]]:
  """Cuts groups of episodes into shards.

  The result depends on the arguments alone, so it is the same on every runner.

  Args:
    groups: of episodes in their order; no shard holds episodes of two.
    length: of an episode, in steps.
    num_shards: shards to make, of which each group gets a share by its length;
      None to go by `steps_per_shard`.
    steps_per_shard: at the most, if all episodes were short.
    kind: of the groups, for the error.

  Returns:
    The episodes of each shard, at least one.

  Raises:
    ValueError: if there are fewer episodes, or more groups, than shards.
  """
  lengths = [sum(map(length, group)) for group in groups]
  sizes = [len(group) for group in groups]
  if num_shards is None:
    counts = [
        min(size, math.ceil(steps / steps_per_shard))
        for size, steps in zip(sizes, lengths)
    ]
  else:
    if not len(groups) <= num_shards <= sum(sizes):
      raise ValueError(
          f'num_shards is {num_shards}; expected at least {len(groups)} '
          f'(the {kind}) and at most {sum(sizes)} (the episodes)'
      )
    counts = _share_out(num_shards, lengths, sizes)
  return [
      shard
      for group, count in zip(groups, counts)
      for shard in _cut(group, length, count)
  ]


def _share_out(
    total: int, weights: Sequence[int], limits: Sequence[int]
) -> list[int]:
  """Shares of at least 1 and at most the limits, about as the weights are."""
  shares = [1] * len(weights)
  for _ in range(total - len(weights)):
    open_shares = [i for i, n in enumerate(shares) if n < limits[i]]
    largest = max(open_shares, key=lambda i: weights[i] / shares[i])
    shares[largest] += 1
  return shares


def _cut(
    episodes: Sequence[_Episode], length: Callable[[_Episode], int], count: int
) -> list[tuple[_Episode, ...]]:
  """Cuts episodes into `count` parts, none empty, of about equal length."""
  ends = list(itertools.accumulate(map(length, episodes)))
  cuts = [0]
  for i in range(1, count):
    cut = bisect.bisect_left(ends, ends[-1] * i / count) + 1
    # At least one episode before each cut, and one for each part to come.
    cuts.append(min(max(cut, cuts[-1] + 1), len(episodes) - (count - i)))
  return [
      tuple(episodes[start:stop])
      for start, stop in itertools.pairwise([*cuts, len(episodes)])
  ]
