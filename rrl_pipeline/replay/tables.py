"""The Reverb table that carries an actor's steps to the learner."""

import dm_env
import reverb

from rrl_pipeline.replay import step_items

STEPS = 'steps'


def step_table(
    observation_spec: dm_env.specs.Array, num_actions: int, max_unread: int
) -> reverb.Table:
  """A queue of the steps of one actor; see `step_queue`."""
  return step_queue(
      step_items.signature(observation_spec, num_actions), max_unread
  )


def step_queue(signature: tuple, max_unread: int) -> reverb.Table:
  """A queue of steps, each read by the learner exactly once and in order.

  The rate limiter lets actors be at most `max_unread` rows ahead of the
  learner (and the few that each writer has under way), and the learner reads
  exactly `update_period` agent steps per update: so the replay ratio is exact,
  whoever of the two is faster. The learner keeps
  what it read in a `FrameStore` and draws its batches there, because Reverb's
  uniform selector seeds itself from the operating system: no run that sampled
  through it could ever be repeated or resumed to the same numbers.
  """
  return reverb.Table(
      name=STEPS,
      sampler=reverb.selectors.Fifo(),
      remover=reverb.selectors.Fifo(),
      max_size=max_unread,
      max_times_sampled=1,
      rate_limiter=reverb.rate_limiters.Queue(max_unread),
      signature=signature,
  )
