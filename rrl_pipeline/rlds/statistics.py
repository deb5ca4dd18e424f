"""The statistics of episodes, in parts that are combined in any order.

An episode is summarised once, wherever it is read; summaries are collected in
accumulators, which may be merged in any order and grouping. All that is added
up is counts, and minima and maxima, so nothing depends on the order. What needs
sums of floats is computed at the end (`statistics_file`), from one row for each
episode, in the dataset's order.

In the void last step of an episode (see `schema`) only the observation counts,
unless that was made up, too. Rewards that a conversion had to drop are part of
`episode_return`, but of nothing else.
"""

import collections
import dataclasses
from typing import Any, Iterable, Mapping, Optional

import numpy as np

from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import stored_episodes

@dataclasses.dataclass(frozen=True)
class EpisodeRow:
  """What is kept of each episode; about 200 bytes.

  Attributes:
    shard: index of its shard among all of the dataset.
    position: of the record in the shard.
    uid: its name; its place in the files if it has none.
    checkpoint_id: of the log; 0 if it is not known.
    first_add: position of its first step in the log; None if not known.
    episode_return: sum of its rewards.
    length: T, logged actions.
    num_steps: N, RLDS steps.
    end_kind: how it ended.
    complete_start: whether its first steps are there.
    synthetic_frame: whether the last observation was made up.
    num_bytes: size of the record.
    content_sha256: hash of what was logged, computed from the record.
  """

  shard: int
  position: int
  uid: str
  checkpoint_id: int
  first_add: Optional[int]
  episode_return: float
  length: int
  num_steps: int
  end_kind: str
  complete_start: bool
  synthetic_frame: bool
  num_bytes: int
  content_sha256: str


@dataclasses.dataclass
class Accumulator:
  """The statistics of some episodes, in parts that can be merged.

  Attributes:
    rows: one for each episode, in any order.
    actions: how often each action was taken.
    rewards: how often each reward was given. Memory grows with the number of
      different ones, which is small wherever rewards are points.
    ranges: minimum and maximum of each numeric field of steps.
  """

  rows: list[EpisodeRow] = dataclasses.field(default_factory=list)
  actions: collections.Counter = dataclasses.field(
      default_factory=collections.Counter
  )
  rewards: collections.Counter = dataclasses.field(
      default_factory=collections.Counter
  )
  ranges: dict[str, tuple[float, float]] = dataclasses.field(
      default_factory=dict
  )

  def add(self, other: 'Accumulator') -> None:
    """Takes in the episodes of another accumulator, which stays as it is."""
    self.rows.extend(other.rows)
    self.actions.update(other.actions)
    self.rewards.update(other.rewards)
    for name, (low, high) in other.ranges.items():
      own_low, own_high = self.ranges.get(name, (low, high))
      self.ranges[name] = min(low, own_low), max(high, own_high)

  def to_json(self) -> dict[str, Any]:
    """A value that JSON can hold, from which `from_json` makes an equal one."""
    return {
        'rows': [dataclasses.asdict(row) for row in self.rows],
        # The names of an object's members would be strings.
        'actions': sorted(self.actions.items()),
        'rewards': sorted(self.rewards.items()),
        'ranges': self.ranges,
    }

  @classmethod
  def from_json(cls, value: Mapping[str, Any]) -> 'Accumulator':
    """What `to_json` was called on."""
    return cls(
        rows=[EpisodeRow(**row) for row in value['rows']],
        actions=collections.Counter(dict(value['actions'])),
        rewards=collections.Counter(dict(value['rewards'])),
        ranges={name: tuple(ends) for name, ends in value['ranges'].items()},
    )


def merge(accumulators: Iterable[Accumulator]) -> Accumulator:
  """A new accumulator of all episodes of some."""
  merged = Accumulator()
  for accumulator in accumulators:
    merged.add(accumulator)
  return merged


def summarise(
    episode: stored_episodes.StoredEpisode,
    fields: Mapping[str, dataset_files.Field],
    shard: dataset_files.Shard,
    position: int,
) -> Accumulator:
  """The statistics of one episode; decodes all of its frames.

  Args:
    episode: the episode.
    fields: of the dataset, by name.
    shard: that holds it.
    position: of its record in the shard.

  Raises:
    stored_episodes.EpisodeError: if a frame cannot be decoded or a reward is
      not finite.
  """
  taken = slice(0, episode.num_steps - 1)
  rewards = episode.rewards[taken].astype(np.float64)
  bad = np.flatnonzero(~np.isfinite(rewards))
  if bad.size:
    raise stored_episodes.EpisodeError(
        f'{episode.where}: the reward of step {bad[0]} is {rewards[bad[0]]}; '
        'expected a number'
    )
  ranges = _ranges(episode, fields)
  low, high = [], []

  def blocks():
    for block in episode.frame_blocks():
      low.append(float(block.min()))
      high.append(float(block.max()))
      yield block

  content_sha256 = episode.content_sha256(blocks())
  ranges[schema.OBSERVATION] = (min(low), max(high))
  values = {
      name: episode.value(name)
      for name in (
          schema.UID,
          schema.CHECKPOINT_ID,
          schema.FIRST_ADD_INDEX,
          schema.EPISODE_RETURN,
          schema.EPISODE_LENGTH,
          schema.COMPLETE_START,
      )
  }
  uid = values[schema.UID]
  episode_return = values[schema.EPISODE_RETURN]
  length = values[schema.EPISODE_LENGTH]
  complete = values[schema.COMPLETE_START]
  return Accumulator(
      rows=[
          EpisodeRow(
              shard=shard.index,
              position=position,
              uid=f'{shard.name}#{position}' if uid is None else uid,
              checkpoint_id=values[schema.CHECKPOINT_ID] or 0,
              first_add=values[schema.FIRST_ADD_INDEX],
              episode_return=float(
                  rewards.sum() if episode_return is None else episode_return
              ),
              length=episode.num_steps - 1 if length is None else length,
              num_steps=episode.num_steps,
              end_kind=episode.end_kind,
              # Datasets by others do not say that a start is missing.
              complete_start=True if complete is None else bool(complete),
              synthetic_frame=episode.has_synthetic_frame,
              num_bytes=episode.num_bytes,
              content_sha256=content_sha256,
          )
      ],
      actions=count(episode.actions[taken]),
      rewards=count(rewards),
      ranges=ranges,
  )


def count(values: np.ndarray) -> collections.Counter:
  """How often each value occurs."""
  unique, counts = np.unique(values, return_counts=True)
  return collections.Counter(dict(zip(unique.tolist(), counts.tolist())))


def _ranges(
    episode: stored_episodes.StoredEpisode,
    fields: Mapping[str, dataset_files.Field],
) -> dict[str, tuple[float, float]]:
  """Of all numeric fields of steps but the observation."""
  found = {}
  for path, field in fields.items():
    group, _, name = path.rpartition('/')
    if (
        group != schema.STEPS
        or name == schema.OBSERVATION
        or field.encoding != 'none'
        or field.dtype in ('string', 'bool')
    ):
      continue
    values = episode.column(name).reshape(episode.num_steps, -1)[:-1]
    if values.size:
      found[name] = (float(values.min()), float(values.max()))
  return found
