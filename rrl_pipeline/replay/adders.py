"""Writes an actor's steps to Reverb."""

import dm_env
import numpy as np
import reverb

from acme.adders import base
from rrl_pipeline.replay import step_items
from rrl_pipeline.replay import tables

# Items that a writer may have under way. It would buffer without bound, and the
# table's limit would hold back nobody; waiting for each item to be confirmed
# would cost a round trip per item.
_MAX_UNCONFIRMED = 4


class StepAdder(base.Adder):
  """An Acme adder of single steps, frames unstacked and stored once.

  Rewards are stored raw; they are clipped when transitions are made of steps.

  Attributes:
    num_written: rows that were sent.
  """

  def __init__(
      self, client: reverb.Client, num_actions: int, rows_per_item: int = 1
  ):
    """Makes an adder.

    Args:
      client: of a server with a table of steps.
      num_actions: A.
      rows_per_item: rows that are collected before they are sent. An item of
        several costs little more than one of a single row.
    """
    self._rows_per_item = rows_per_item
    self._num_pending = 0
    self._no_values = np.zeros(num_actions, np.float32)
    self._writer = client.trajectory_writer(rows_per_item)
    for column in step_items.StepItem._fields:
      # A chunk of several rows would be sent when it is full, not when an item
      # of fewer asks for it.
      self._writer.configure(
          (column,), num_keep_alive_refs=rows_per_item, max_chunk_length=1
      )
    self._observation = None
    self._is_first = True
    self.num_written = 0

  def reset(self) -> None:
    """Forgets the step in hand; no row that was added is taken back."""
    self._observation = None

  def add_first(self, timestep: dm_env.TimeStep) -> None:
    self._observation = timestep.observation
    self._is_first = True

  def add(
      self,
      action: int,
      next_timestep: dm_env.TimeStep,
      extras: np.ndarray | None = None,
  ) -> None:
    """Adds the step that led to `next_timestep`.

    Args:
      action: taken at the observation of the timestep before.
      next_timestep: what it led to.
      extras: float32 [A], the teacher's values at the observation before; None
        where no teacher was asked.
    """
    self._write(
        self._no_values if extras is None else extras,
        action=action,
        reward=next_timestep.reward,
    )
    self._observation = next_timestep.observation
    self._is_first = False
    if next_timestep.last():
      self._write(
          self._no_values,
          is_last=True,
          is_terminal=next_timestep.discount == 0,
      )
      self.reset()

  def flush(self) -> None:
    """Sends the rows that were added and not sent yet, as one item."""
    if not self._num_pending:
      return
    self._writer.create_item(
        tables.STEPS,
        priority=1.0,
        trajectory=step_items.StepItem(
            *(column[-self._num_pending :] for column in self._writer.history)
        ),
    )
    self._writer.flush(block_until_num_items=_MAX_UNCONFIRMED)
    self.num_written += self._num_pending
    self._num_pending = 0

  def close(self) -> None:
    """Waits until all rows have arrived."""
    self.flush()
    # The writer alone would drop what is still under way.
    self._writer.flush()
    self._writer.close()

  def _write(
      self,
      teacher_values: np.ndarray,
      action: int = 0,
      reward: float = 0.0,
      is_last: bool = False,
      is_terminal: bool = False,
  ) -> None:
    """Writes a row; `action` and `reward` are zero in an episode's last."""
    is_padded = True
    row = (action, reward, self._is_first, is_last, is_terminal, is_padded)
    self._writer.append(
        step_items.StepItem(
            self._observation, teacher_values, self._record(row)
        )
    )
    self._num_pending += 1
    if self._num_pending == self._rows_per_item:
      self.flush()

  def _record(self, row: tuple) -> np.ndarray:
    """The bytes of a row's numbers, which are in the order of the layout."""
    return step_items.pack(row)
