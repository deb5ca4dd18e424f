"""What differs between two datasets: fields, and episodes by their contents."""

import dataclasses
from typing import Iterator

from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import stored_episodes


@dataclasses.dataclass(frozen=True)
class Difference:
  """What two datasets, A and B, do not have in common.

  Episodes are named by split or, where the log's numbers are known, by
  checkpoint, and their number there.

  Attributes:
    fields: one line for each field that only one of them has, or that differs.
    only_a: episodes that only A has.
    only_b: episodes that only B has.
    changed: episodes that both have, with other contents.
    same: number of episodes that are the same.
  """

  fields: tuple[str, ...]
  only_a: tuple[str, ...]
  only_b: tuple[str, ...]
  changed: tuple[str, ...]
  same: int

  def __bool__(self) -> bool:
    return bool(self.fields or self.only_a or self.only_b or self.changed)


def compare(
    a: dataset_files.Dataset, b: dataset_files.Dataset
) -> Difference:
  """Compares two datasets.

  What an episode holds is told by its hash of frames, actions and rewards: how
  they are stored and in which file does not matter, nor what was added to them,
  such as a teacher's values. A hash that the record carries is believed;
  `verification.damage` checks it.

  Raises:
    ValueError: if a file is damaged.
  """
  hashes_a = dict(_hashes(a))
  hashes_b = dict(_hashes(b))
  both = [name for name in hashes_a if name in hashes_b]
  changed = tuple(name for name in both if hashes_a[name] != hashes_b[name])
  return Difference(
      fields=tuple(_fields(a, b)),
      only_a=tuple(name for name in hashes_a if name not in hashes_b),
      only_b=tuple(name for name in hashes_b if name not in hashes_a),
      changed=changed,
      same=len(both) - len(changed),
  )


def _hashes(dataset: dataset_files.Dataset) -> Iterator[tuple[str, str]]:
  """The name of each episode and the hash of its contents."""
  for shard in dataset.shards:
    for number, episode in enumerate(
        dataset.episodes(shard), shard.first_episode
    ):
      yield _name(episode, shard.split, number), _hash(episode)


def _name(
    episode: stored_episodes.StoredEpisode, split: str, number: int
) -> str:
  checkpoint = episode.value(schema.CHECKPOINT_ID)
  in_checkpoint = episode.value(schema.EPISODE_ID)
  if checkpoint is None or in_checkpoint is None:
    return f'split {split}, episode {number}'
  return f'checkpoint {checkpoint}, episode {in_checkpoint}'


def _hash(episode: stored_episodes.StoredEpisode) -> str:
  stored = episode.value(schema.CONTENT_SHA256)
  if stored is not None:
    return stored
  return episode.content_sha256(episode.frame_blocks())


def _fields(
    a: dataset_files.Dataset, b: dataset_files.Dataset
) -> Iterator[str]:
  for name in sorted({*a.fields, *b.fields}):
    if name not in b.fields:
      yield f'only A has the field {name}'
    elif name not in a.fields:
      yield f'only B has the field {name}'
    else:
      types = [
          f'{field.dtype} {list(field.shape)} stored as {field.encoding}'
          for field in (a.fields[name], b.fields[name])
      ]
      if types[0] != types[1]:
        yield f'{name} is {types[0]} in A, {types[1]} in B'
