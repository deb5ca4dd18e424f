"""The records of a log for TFDS's own writers, with Beam or without.

`build_rlds.py` writes shards itself. TFDS's builders are handed records as
Python values instead, with keys that give their order; those made here are the
same ones.
"""

import dataclasses
from typing import Any, Iterator, Sequence

import apache_beam as beam

from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import conversion_target
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import record_validation
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import validation


@dataclasses.dataclass(frozen=True)
class LogPart:
  """Consecutive episodes of one checkpoint and split.

  Attributes:
    first_key: key of the first of them; the others follow.
    spans: the episodes.
  """

  first_key: int
  spans: tuple[reader.EpisodeSpan, ...]


class LogRecords:
  """The records of a log, episode by episode.

  Attributes:
    parts: for each split, its episodes in units of work.
  """

  def __init__(self, config: conversion_config.BuildRldsConfig):
    """Reads the log's index.

    Args:
      config: of the conversion that gives the same records.

    Raises:
      reader.LogError: if the log cannot be read.
      ValueError: if the log does not fit the dataset, or the number of actions
        is not known.
    """
    log = config.log()
    detection = formats.detect(log.directory)
    if log.log_format == formats.AUTO:
      log = dataclasses.replace(log, log_format=detection.log_format)
    index = formats.open_reader(log).index()
    # By number: a checkpoint that is written meanwhile changes nothing.
    self._log = dataclasses.replace(
        log, checkpoints=','.join(map(str, index.checkpoints))
    )
    self._target = conversion_target.choose(config, index)
    self._limits = self._target.limits(index)
    self._bounds = index.bounds
    self.parts = _plan(
        self._target.dataset.name, index.spans, config.split_by_checkpoint
    )

  def read(self, part: LogPart) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields keys and records.

    Raises:
      reader.LogError: if the log is damaged.
      ValueError: at the first episode that breaks a rule.
    """
    dataset = self._target.dataset
    observation = dataset.observation
    encoder = encoding.make_encoder(observation, self._target.compressor)
    streams = formats.open_reader(self._log).read(part.spans)
    for key, stream in enumerate(streams, part.first_key):
      episode = encoding.encode(
          stream, encoder, self._bounds, dataset.holds_metadata
      )
      broken = validation.violations(episode, self._limits)
      unique_id = schema.uid(dataset.name, dataset.config, stream.span)
      if not broken:
        record = schema.to_record(episode, unique_id, encoder.blank)
        broken = record_validation.violations(record)
      if broken:
        raise ValueError(
            f'{stream.span}: {"; ".join(broken.values())}. build_rlds.py can '
            'leave such episodes out (--max_rejected_fraction)'
        )
      if observation.encoding != schema.PNG:
        steps = record[schema.STEPS]
        # TFDS takes PNG files as they are, but everything else only as arrays.
        steps[schema.OBSERVATION] = list(
            observation.as_example(
                observation.decode(steps[schema.OBSERVATION])
            )
        )
      yield key, record


def _plan(
    dataset: str,
    spans: Sequence[reader.EpisodeSpan], split_by_checkpoint: bool
) -> dict[str, list[LogPart]]:
  """Divides episodes as `build_rlds.py` does; keys are dense in each split."""
  layout = conversion_plan.ShardLayout(
      dataset, record_files.TFRECORD, split_by_checkpoint
  )
  parts = {}
  for unit in conversion_plan.plan_units(spans, None, layout, ''):
    split = parts.setdefault(unit.split, [])
    first = split[-1].first_key + len(split[-1].spans) if split else 0
    split.append(LogPart(first, unit.spans))
  return parts


class ReadRecords(beam.PTransform):
  """The start of a pipeline → keys and records of some parts of a log."""

  def __init__(self, records: LogRecords, parts: Sequence[LogPart]):
    super().__init__()
    self._records = records
    self._parts = tuple(parts)

  def expand(self, pipeline: Any) -> beam.PCollection:
    return (
        pipeline
        | 'CreateParts' >> beam.Create(self._parts)
        # Some engines would otherwise give all parts to one worker.
        | 'SpreadParts' >> beam.Reshuffle()
        | 'ReadRecords' >> beam.FlatMap(self._records.read)
    )
