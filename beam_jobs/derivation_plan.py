"""Divides the episodes of a source into the shards of a derived dataset."""

import itertools
from typing import Any, Optional, Sequence

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import shard_division
from rrl_pipeline.beam_jobs import source_dataset

_STEPS_PER_SHARD = 500_000


def keep_shards(
    episodes: Sequence[source_dataset.Episode],
) -> list[list[source_dataset.Episode]]:
  """One group for each file of the source."""
  return [
      list(group)
      for _, group in itertools.groupby(episodes, lambda e: (e.split, e.shard))
  ]


def divide(
    episodes: Sequence[source_dataset.Episode], num_shards: Optional[int]
) -> list[tuple[source_dataset.Episode, ...]]:
  """Groups of consecutive episodes of one split, of about equal length.

  Args:
    episodes: in their order, those of a split together.
    num_shards: groups to make; None for one per half million steps. Each split
      gets a share of them by its length.

  Raises:
    ValueError: if there are fewer episodes, or more splits, than groups.
  """
  splits = [
      list(group)
      for _, group in itertools.groupby(episodes, lambda e: e.split)
  ]
  return shard_division.divide(
      splits, lambda e: e.num_steps, num_shards, _STEPS_PER_SHARD, 'splits'
  )


def checkpoint_slices(
    episodes: Sequence[source_dataset.Episode],
) -> dict[str, dict[str, Any]]:
  """Where each checkpoint of the log is in the dataset, as TFDS names it.

  Checkpoints whose episodes are not side by side are left out, and so are all
  if the records do not say.

  Args:
    episodes: of the derived dataset, in their order.
  """
  slices, scattered = {}, set()
  for split, of_split in itertools.groupby(episodes, lambda e: e.split):
    first = 0
    for checkpoint, group in itertools.groupby(
        of_split, lambda e: e.checkpoint_id
    ):
      group = list(group)
      name = str(checkpoint)
      if checkpoint is None or name in slices:
        scattered.add(name)
      slices[name] = {
          'first': first,
          'episodes': len(group),
          'transitions': sum(e.num_transitions for e in group),
          'split': f'{split}[{first}:{first + len(group)}]',
      }
      first += len(group)
  return {name: s for name, s in slices.items() if name not in scattered}


def make_units(
    groups: Sequence[Sequence[source_dataset.Episode]],
    dataset: str,
    file_format: str,
    job_fingerprint: str,
) -> list[derived_units.DerivedUnit]:
  """One unit for each group.

  Args:
    groups: of episodes of one split, with the counts they will have.
    dataset: name of the derived dataset.
    file_format: of its files.
    job_fingerprint: of the source and the options.
  """
  units = []
  for split, groups_of_split in itertools.groupby(
      groups, lambda group: group[0].split
  ):
    of_split = list(groups_of_split)
    for number, group in enumerate(of_split):
      shard = (
          f'{dataset}-{split}.{file_format}-'
          f'{number:05d}-of-{len(of_split):05d}'
      )
      parts = tuple(
          derived_units.Part(name, tuple(e.position for e in part))
          for name, part in itertools.groupby(group, lambda e: e.shard)
      )
      units.append(
          derived_units.DerivedUnit(
              index=len(units),
              split=split,
              shard=shard,
              parts=parts,
              num_steps=sum(e.num_steps for e in group),
              num_bytes=sum(e.num_bytes for e in group),
              fingerprint=conversion_plan.fingerprint(
                  job_fingerprint,
                  shard,
                  [(part.shard, part.positions) for part in parts],
              ),
          )
      )
  return units
