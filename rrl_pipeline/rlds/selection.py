"""Which episodes of a dataset are learned from."""

import dataclasses
import re
from typing import Optional

import numpy as np

_RANGES = re.compile(r'\d+(-\d+)?(,\d+(-\d+)?)*')


@dataclasses.dataclass(frozen=True)
class EpisodeFilter:
  """Keeps the episodes that meet every condition.

  Attributes:
    checkpoints: 'all', or numbers and ranges such as '0,3' or '40-49': parts of
      the log, and so of the teacher's training.
    min_return: least episode return, as logged (clipped if the log is); None
      for no limit.
    max_return: greatest episode return; None for no limit.
  """

  checkpoints: str = 'all'
  min_return: Optional[float] = None
  max_return: Optional[float] = None

  def __post_init__(self):
    if self.checkpoints != 'all' and not _RANGES.fullmatch(self.checkpoints):
      raise ValueError(
          "checkpoints must be 'all' or numbers and ranges such as '0,3' or"
          f" '40-49', got {self.checkpoints!r}"
      )
    if (
        self.min_return is not None
        and self.max_return is not None
        and self.min_return > self.max_return
    ):
      raise ValueError(
          f'min_return is {self.min_return}, above max_return'
          f' {self.max_return}: no episode can be both'
      )

  def keeps(
      self, checkpoints: np.ndarray, returns: np.ndarray
  ) -> np.ndarray:
    """Whether each episode is kept.

    Args:
      checkpoints: [N] number of the checkpoint that each comes from.
      returns: [N] return of each.

    Returns:
      [N] bool.
    """
    kept = np.ones(len(returns), bool)
    if self.checkpoints != 'all':
      kept[...] = False
      for part in self.checkpoints.split(','):
        first, _, last = part.partition('-')
        is_in = checkpoints >= int(first)
        kept |= is_in & (checkpoints <= int(last or first))
    if self.min_return is not None:
      kept &= returns >= self.min_return
    if self.max_return is not None:
      kept &= returns <= self.max_return
    return kept
