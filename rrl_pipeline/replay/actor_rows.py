"""Rows of several actors, on their way to one learner through one queue.

Whatever the number of actors, the learner reads each row once and counts the
steps itself; so the ratio of updates to steps is exact, as with one actor. The
rows of an actor come in order, those of several come as they please: each says
whose it is and its number, by which a gap is noticed.
"""

import secrets
from typing import NamedTuple

import dm_env
import numpy as np
import reverb

from rrl_pipeline.replay import adders
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import step_items
from rrl_pipeline.replay import tables

_NUM_COLUMNS = len(frame_store.Rows._fields)
_LAYOUT = np.dtype([
    *((name, step_items.ROW[name]) for name in step_items.ROW.names),
    ('actor', '<i4'),
    ('number', '<i8'),
    ('learner_steps', '<i8'),
])

ActorRow = NamedTuple(
    'ActorRow',
    [
        *((name, np.ndarray) for name in frame_store.Rows._fields),
        ('actor', np.ndarray),
        ('number', np.ndarray),
        ('learner_steps', np.ndarray),
    ],
)
ActorRow.__doc__ = """One row of `frame_store.Rows`, and where it comes from.

  Attributes:
    actor: int32, who wrote it.
    number: int64, one more than that of the row that the same process wrote
      before. The first is drawn at random, so that the rows of a process do not
      seem to go on those of one before it.
    learner_steps: int64, of the weights that chose the action.
"""


def row(item: ActorRow) -> frame_store.Rows:
  """What a frame store takes of it, without the axis of rows."""
  return frame_store.Rows(*item[:_NUM_COLUMNS])


def queue(
    observation_spec: dm_env.specs.Array, num_actions: int, max_unread: int
) -> reverb.Table:
  """The table of steps for several actors; see `tables.step_queue`."""
  return tables.step_queue(
      step_items.signature(observation_spec, num_actions, _LAYOUT), max_unread
  )


def read(client: reverb.Client, count: int) -> list[ActorRow]:
  """The next rows; waits until there are so many."""
  return [
      _unpack(step_items.StepItem(*sample.data))
      for sample in client.sample(
          tables.STEPS, num_samples=count, emit_timesteps=False
      )
  ]


def _unpack(item: step_items.StepItem) -> ActorRow:
  (record,) = step_items.unpack(item.record, _LAYOUT)
  return ActorRow(
      observation=item.observation[0],
      teacher_values=item.teacher_values[0],
      **{name: record[name] for name in _LAYOUT.names},
  )


class ActorStepAdder(adders.StepAdder):
  """Writes the rows of one of several actors.

  Attributes:
    learner_steps: of the weights that the actor has now.
  """

  def __init__(self, client: reverb.Client, num_actions: int, actor: int):
    super().__init__(client, num_actions)
    self.learner_steps = 0
    self._actor = actor
    self._first_number = secrets.randbelow(2**62)

  def _record(self, row: tuple) -> np.ndarray:
    number = self._first_number + self.num_written
    return step_items.pack(
        (*row, self._actor, number, self.learner_steps), _LAYOUT
    )
