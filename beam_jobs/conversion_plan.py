"""Divides a log into work units and says beforehand what they will cost."""

import collections
import dataclasses
import hashlib
import itertools
import json
import time
import types
from typing import Any, Mapping, Optional, Sequence
import zlib

from rrl_pipeline.beam_jobs import shard_division
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema

# A unit reads its checkpoint's frames from the first to the last: a gzip file
# cannot be entered in the middle, and its checksum comes at its end. That takes
# an eighth of the time of converting them all, and each further unit as long.
_TRANSITIONS_PER_UNIT = 1_000_000
# Fields other than the frame, and the framing of the record.
_OTHER_BYTES_PER_TRANSITION = 25
# Reading, checking, hashing and writing, beside encoding the frames.
_OTHER_SECONDS_PER_TRANSITION = 8e-6
_START_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class ShardLayout:
  """How the shards of a dataset are named and divided into splits.

  Attributes:
    dataset: name of the dataset.
    file_format: of the shards.
    split_by_checkpoint: whether each checkpoint is a split of its own.
  """

  dataset: str
  file_format: str
  split_by_checkpoint: bool

  def split(self, checkpoint: int) -> str:
    """The split of a checkpoint's episodes, named as in `rlu_atari`."""
    if not self.split_by_checkpoint:
      return schema.SPLIT
    return f'checkpoint_{checkpoint:02d}'

  def shard(self, split: str, index: int, count: int) -> str:
    """The file name that TFDS expects of a shard of a split."""
    return (
        f'{self.dataset}-{split}.{self.file_format}-{index:05d}-of-{count:05d}'
    )


def fingerprint(*values: Any) -> str:
  """Tells JSON values from others."""
  text = json.dumps(values, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def plan_units(
    spans: Sequence[reader.EpisodeSpan],
    num_shards: Optional[int],
    layout: ShardLayout,
    job_fingerprint: str,
    duplicates: Mapping[str, Mapping[str, str]] = types.MappingProxyType({}),
) -> tuple[transforms.WorkUnit, ...]:
  """Divides episodes into units of about equal length.

  A unit holds episodes of one checkpoint only. The division depends on the log
  and `num_shards` alone, so it is the same on every runner.

  Args:
    spans: episodes in their order.
    num_shards: how many units to make; None for one per million steps.
    layout: of the dataset.
    job_fingerprint: of the log and the options.
    duplicates: by the number of a unit and the index of an episode in it, both
      as JSON has them, the name of an earlier episode that it equals.

  Raises:
    ValueError: if `num_shards` is too small or too large for the log.
  """
  groups = [
      tuple(group)
      for _, group in itertools.groupby(spans, lambda span: span.checkpoint_id)
  ]
  parts = shard_division.divide(
      groups,
      lambda span: span.length,
      num_shards,
      _TRANSITIONS_PER_UNIT,
      'checkpoints with steps',
  )
  splits = [layout.split(part[0].checkpoint_id) for part in parts]
  counts = collections.Counter(splits)
  seen = collections.Counter()
  units = []
  for i, (part, split) in enumerate(zip(parts, splits)):
    in_unit = duplicates.get(str(i), {})
    units.append(
        transforms.WorkUnit(
            index=i,
            split=split,
            shard=layout.shard(split, seen[split], counts[split]),
            spans=part,
            duplicates=tuple((int(n), name) for n, name in in_unit.items()),
            fingerprint=fingerprint(job_fingerprint, i, len(parts), in_unit),
        )
    )
    seen[split] += 1
  return tuple(units)


@dataclasses.dataclass(frozen=True)
class Cost:
  """What a conversion will take.

  Attributes:
    transitions: logged steps to convert.
    read_bytes: size of the log's files.
    write_bytes: estimated size of the shards.
    seconds: estimated time of one worker.
  """

  transitions: int
  read_bytes: int
  write_bytes: int
  seconds: float


def estimate_cost(
    job: transforms.ConversionJob,
    units: Sequence[transforms.WorkUnit],
    log_reader: reader.LogReader,
    sources: Mapping[int, Sequence[reader.SourceFile]],
) -> Cost:
  """Encodes a few frames of the first unit to tell what all will take."""
  encoder = job.encoder()
  episodes = log_reader.read(units[0].spans[:1])
  block = next(next(episodes).frames)
  episodes.close()
  start = time.process_time()
  frames = encoder.encode_block(block)
  frame_bytes = sum(map(len, frames)) / len(block)
  if job.file_format == record_files.ARRAY_RECORD:
    # It compresses by another method, which does about as well.
    frame_bytes = len(zlib.compress(b''.join(frames))) / len(block)
  seconds = (time.process_time() - start) / len(block)
  transitions = sum(unit.transitions for unit in units)
  return Cost(
      transitions=transitions,
      read_bytes=sum(f.size for files in sources.values() for f in files),
      write_bytes=int(
          transitions * (frame_bytes + _OTHER_BYTES_PER_TRANSITION)
      ),
      seconds=_START_SECONDS
      + transitions * (seconds + _OTHER_SECONDS_PER_TRANSITION),
  )
