"""Reverb tables from which a learner samples transitions.

For a learner whose replay lives in a server of its own, fed by many actors. A
single process draws from a `FrameStore` instead, because Reverb's selectors
seed themselves: what is drawn here cannot be repeated.
"""

import dataclasses
import math
from typing import Any

import dm_env
import numpy as np
import reverb
import tensorflow as tf

from rrl_pipeline.replay import windows

UNIFORM = 'uniform_replay'
PRIORITIZED = 'prioritized_replay'


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
  """How much a table keeps, and how fast it may be sampled.

  Attributes:
    capacity: items kept; the oldest give way.
    min_items: items inserted before the first is sampled.
    samples_per_insert: items that a learner samples for each that is inserted
      after those: 8 for a batch of 32 at every fourth step.
    batch_size: items that the learner asks for at once.
  """

  capacity: int
  min_items: int
  samples_per_insert: float
  batch_size: int

  def __post_init__(self):
    for name in dataclasses.asdict(self):
      if getattr(self, name) <= 0:
        raise ValueError(f'{name} must be positive, got {getattr(self, name)}.')
    if self.min_items > self.capacity:
      raise ValueError(
          f'min_items ({self.min_items}) must fit capacity ({self.capacity}),'
          ' or nothing would ever be sampled.'
      )

  def max_ahead(self) -> int:
    """Items by which inserting may be ahead of sampling: one batch's worth."""
    return max(1, math.ceil(self.batch_size / self.samples_per_insert))


def uniform_table(
    observation_spec: dm_env.specs.Array,
    num_actions: int,
    config: SamplingConfig,
) -> reverb.Table:
  """A table whose items are all as likely to be sampled."""
  return _table(
      UNIFORM,
      reverb.selectors.Uniform(),
      observation_spec,
      num_actions,
      config,
  )


def prioritized_table(
    observation_spec: dm_env.specs.Array,
    num_actions: int,
    config: SamplingConfig,
) -> reverb.Table:
  """A table whose items are sampled in proportion to their priorities.

  The priorities are those of `replay.prioritized`, roots of TD losses already,
  so that the exponent is 1. The learner sets them with
  `Client.mutate_priorities`, and has the weights of a batch from
  `prioritized.importance_weights` of `SampleInfo.priority`.
  """
  return _table(
      PRIORITIZED,
      reverb.selectors.Prioritized(priority_exponent=1.0),
      observation_spec,
      num_actions,
      config,
  )


def window_signature(
    observation_spec: dm_env.specs.Array, num_actions: int
) -> windows.Window:
  """Shapes and dtypes of an item; lengths differ at both ends of an episode."""
  return windows.Window(
      observation=tf.TensorSpec(
          (None, *observation_spec.shape),
          observation_spec.dtype,
          'observation',
      ),
      action=tf.TensorSpec((), np.int32, 'action'),
      reward=tf.TensorSpec((None,), np.float32, 'reward'),
      is_terminal=tf.TensorSpec((), np.bool_, 'is_terminal'),
      teacher_values=tf.TensorSpec(
          (num_actions,), np.float32, 'teacher_values'
      ),
  )


def _table(
    name: str,
    sampler: Any,
    observation_spec: dm_env.specs.Array,
    num_actions: int,
    config: SamplingConfig,
) -> reverb.Table:
  """A table whose ratio of samples to inserts is exact.

  With i items inserted and s sampled, r = samples_per_insert and d = r (i -
  min_items) - s: sampling waits while d would fall below 0, inserting while d
  would rise above r max_ahead. So s never exceeds its share, and lags behind
  it by less than a batch and an insert.
  """
  ratio = config.samples_per_insert
  owed = ratio * config.min_items
  return reverb.Table(
      name=name,
      sampler=sampler,
      remover=reverb.selectors.Fifo(),
      max_size=config.capacity,
      rate_limiter=reverb.rate_limiters.RateLimiter(
          samples_per_insert=ratio,
          min_size_to_sample=config.min_items,
          min_diff=owed,
          max_diff=owed + ratio * config.max_ahead(),
      ),
      signature=window_signature(observation_spec, num_actions),
  )
