"""Divides a log into work units and says beforehand what they will cost."""

import dataclasses
import hashlib
import itertools
import json
import math
import time
from typing import Any, Mapping, Optional, Sequence

from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema

# A unit reads its checkpoint's frames from the start, since a gzip file cannot
# be entered in the middle. Halves of Dopamine's usual million keep that cheap.
_TRANSITIONS_PER_UNIT = 500_000
# Fields other than the frame, and the framing of the record.
_OTHER_BYTES_PER_TRANSITION = 25
# Reading, checking, hashing and writing, beside encoding the frames.
_SECONDS_PER_ENCODING_SECOND = 1.4
_START_SECONDS = 2.0


def shard_name(dataset: str, split: str, index: int, count: int) -> str:
  """The file name that TFDS expects of a shard."""
  return f'{dataset}-{split}.tfrecord-{index:05d}-of-{count:05d}'


def fingerprint(*values: Any) -> str:
  """Tells JSON values from others."""
  text = json.dumps(values, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def plan_units(
    spans: Sequence[reader.EpisodeSpan],
    num_shards: Optional[int],
    dataset: str,
    split: str,
    job_fingerprint: str,
) -> tuple[transforms.WorkUnit, ...]:
  """Divides episodes into units of about equal length.

  A unit holds episodes of one checkpoint only. The division depends on the log
  and `num_shards` alone, so it is the same on every runner.

  Args:
    spans: episodes in their order.
    num_shards: how many units to make; None for one per half million steps.
    dataset: name of the dataset.
    split: name of the split.
    job_fingerprint: of the log and the options.

  Raises:
    ValueError: if `num_shards` is too small or too large for the log.
  """
  groups = [
      tuple(group)
      for _, group in itertools.groupby(spans, lambda span: span.checkpoint_id)
  ]
  lengths = [sum(span.length for span in group) for group in groups]
  if num_shards is None:
    counts = [
        min(len(group), math.ceil(length / _TRANSITIONS_PER_UNIT))
        for group, length in zip(groups, lengths)
    ]
  else:
    if not len(groups) <= num_shards <= len(spans):
      raise ValueError(
          f'num_shards is {num_shards}; expected at least {len(groups)} (the '
          f'checkpoints with steps) and at most {len(spans)} (the episodes)'
      )
    counts = _share_out(num_shards, lengths, [len(group) for group in groups])
  parts = [
      part
      for group, count in zip(groups, counts)
      for part in _divide(group, count)
  ]
  return tuple(
      transforms.WorkUnit(
          index=i,
          shard=shard_name(dataset, split, i, len(parts)),
          spans=part,
          fingerprint=fingerprint(job_fingerprint, i, len(parts)),
      )
      for i, part in enumerate(parts)
  )


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


def _divide(
    spans: tuple[reader.EpisodeSpan, ...], count: int
) -> list[tuple[reader.EpisodeSpan, ...]]:
  """Cuts episodes into `count` parts, none empty, of about equal length."""
  total = sum(span.length for span in spans)
  parts = []
  first = 0
  steps = 0
  for i, span in enumerate(spans):
    steps += span.length
    to_come = count - len(parts) - 1
    is_full = steps * count >= total * (len(parts) + 1)
    if to_come and (is_full or len(spans) - i - 1 == to_come):
      parts.append(spans[first : i + 1])
      first = i + 1
  parts.append(spans[first:])
  return parts


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
    units: Sequence[transforms.WorkUnit],
    log_reader: reader.LogReader,
    sources: Mapping[int, Sequence[reader.SourceFile]],
    compressor: str,
) -> Cost:
  """Encodes a few frames of the first unit to tell what all will take."""
  encoder = png.PngEncoder(schema.ATARI_FRAME_SHAPE, compressor)
  episodes = log_reader.read(units[0].spans[:1])
  block = next(next(episodes).frames)
  episodes.close()
  start = time.process_time()
  frame_bytes = sum(len(encoder.encode(frame)) for frame in block)
  seconds = time.process_time() - start
  transitions = sum(unit.transitions for unit in units)
  return Cost(
      transitions=transitions,
      read_bytes=sum(f.size for files in sources.values() for f in files),
      write_bytes=int(
          transitions * (frame_bytes / len(block) + _OTHER_BYTES_PER_TRANSITION)
      ),
      seconds=_START_SECONDS
      + transitions * seconds / len(block) * _SECONDS_PER_ENCODING_SECOND,
  )
