"""Sorts the rows of several actors into runs of one episode each.

A frame store wants the rows of an episode one behind the other. Waiting for the
end of each episode would keep the steps of a long one from the learner for
minutes; so the rows of each actor are handed on in pieces. Pieces of the same
episode overlap by as many rows as a transition reaches over, less one: each
transition is whole in exactly one of them.
"""

from typing import Optional

import numpy as np

from rrl_pipeline.replay import actor_rows
from rrl_pipeline.replay import frame_store

# The numbers of two processes are farther apart.
_MAX_AGE = 2**20


class _Piece:
  """Rows of one episode that lie one behind the other."""

  def __init__(self, starts_episode: bool):
    self.rows: list[frame_store.Rows] = []
    self.num_new = 0
    self.num_new_steps = 0
    self._starts_episode = starts_episode

  def add(self, item: actor_rows.ActorRow) -> None:
    self.rows.append(actor_rows.row(item))
    self.num_new += 1
    self.num_new_steps += not item.is_last

  def take(self) -> frame_store.Rows:
    """The rows as a frame store wants them, all of them no longer new."""
    rows = frame_store.Rows(*map(np.stack, zip(*self.rows, strict=True)))
    self.num_new = self.num_new_steps = 0
    is_first = np.zeros(len(self.rows), bool)
    is_first[0] = True
    return rows._replace(
        is_first=is_first,
        # What came before the first row of a later piece is not zero.
        is_padded=np.full(len(self.rows), self._starts_episode),
    )

  def continued(self, overlap: int) -> '_Piece':
    piece = _Piece(starts_episode=False)
    piece.rows = self.rows[-overlap:]
    return piece


class EpisodePieces:
  """The rows of all actors that no piece was made of yet.

  Attributes:
    num_given: steps in all pieces so far, each counted once.
  """

  def __init__(self, n_step: int, stack_size: int, max_rows: int = 100):
    """Makes one that holds nothing.

    Args:
      n_step: n of the transitions.
      stack_size: frames in a stacked observation.
      max_rows: of a piece; more, if a transition reaches over nearly as many.
    """
    self._overlap = n_step + stack_size - 1
    self._max_rows = max(max_rows, 2 * self._overlap)
    self._pieces: dict[int, _Piece] = {}
    # Of the newest row of each actor.
    self._numbers: dict[int, int] = {}
    self.num_given = 0

  def is_repeated(self, item: actor_rows.ActorRow) -> bool:
    """Whether a row came before, or one did that was written after it.

    A writer that loses its connection sends all rows again of which it does not
    know whether they arrived, in any order.
    """
    newest = self._numbers.get(int(item.actor))
    return newest is not None and 0 <= newest - int(item.number) < _MAX_AGE

  def continues(self, item: actor_rows.ActorRow) -> bool:
    """Whether a row is the one behind the newest of its actor."""
    return self._numbers.get(int(item.actor)) == int(item.number) - 1

  def add(self, item: actor_rows.ActorRow) -> list[frame_store.Rows]:
    """Takes a row that is no repeated one; returns what is ready with it."""
    ready = []
    actor = int(item.actor)
    piece = self._pieces.get(actor)
    if piece is None or item.is_first or not self.continues(item):
      # Whoever played the piece before gave it up, or rows of it were lost.
      ready += self._take(piece)
      piece = self._pieces[actor] = _Piece(bool(item.is_first))
    piece.add(item)
    self._numbers[actor] = int(item.number)
    if item.is_last:
      ready += self._take(piece)
      del self._pieces[actor]
    elif len(piece.rows) >= self._max_rows:
      ready += self._take(piece)
      self._pieces[actor] = piece.continued(self._overlap)
    return ready

  def _take(self, piece: Optional[_Piece]) -> list[frame_store.Rows]:
    if piece is None or not piece.num_new:
      return []
    self.num_given += piece.num_new_steps
    return [piece.take()]
