"""Which episodes of a dataset a derived one keeps."""

import dataclasses
import hashlib
from typing import Optional, Sequence

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.rlds import selection


@dataclasses.dataclass(frozen=True)
class EpisodeChoice:
  """Conditions, and a random sample of what meets them.

  The sample depends on the seed and on what the source holds, not on the
  conditions or on the machine; a smaller one is a part of a larger one.

  Attributes:
    checkpoints: 'all', or numbers and ranges such as '0,3' or '40-49'.
    min_return: least episode return, as logged; None for no limit.
    max_return: greatest episode return; None for no limit.
    end_kinds: 'all', or some of 'terminal', 'truncated' and 'log_end' with
      commas.
    fraction: of the episodes that meet all conditions, how many to keep.
    max_steps: how many RLDS steps to keep at most; None for no limit.
    seed: of the sample.
  """

  checkpoints: str = 'all'
  min_return: Optional[float] = None
  max_return: Optional[float] = None
  end_kinds: str = 'all'
  fraction: float = 1.0
  max_steps: Optional[int] = None
  seed: int = 0

  def __post_init__(self):
    self._filter()  # Checks its fields.
    known = [end.value for end in types.EpisodeEnd]
    strangers = set(self._ends()) - set(known)
    if strangers:
      raise ValueError(
          f'end_kinds has {sorted(strangers)}; expected all, or some of '
          f'{", ".join(known)}'
      )
    if not 0 < self.fraction <= 1:
      raise ValueError(
          f'fraction is {self.fraction}; expected more than 0 and at most 1'
      )
    if self.max_steps is not None and self.max_steps < 1:
      raise ValueError(f'max_steps is {self.max_steps}; expected at least 1')

  @property
  def is_everything(self) -> bool:
    """Whether no episode can be left out, whatever the seed."""
    return dataclasses.replace(self, seed=0) == EpisodeChoice()

  def apply(
      self, episodes: Sequence[source_dataset.Episode]
  ) -> list[source_dataset.Episode]:
    """The episodes to keep, in their order.

    Raises:
      ValueError: if none is left, or if a condition asks for what the records
        do not say.
    """
    if self.checkpoints != 'all' and any(
        episode.checkpoint_id is None for episode in episodes
    ):
      raise ValueError(
          'the dataset does not say which checkpoint an episode is from, so '
          f'checkpoints cannot be {self.checkpoints!r}'
      )
    kept = self._filter().keeps(
        np.array([episode.checkpoint_id or 0 for episode in episodes]),
        np.array([episode.episode_return for episode in episodes]),
    )
    ends = self._ends()
    left = [
        episode
        for episode, keep in zip(episodes, kept)
        if keep and (not ends or episode.end_kind in ends)
    ]
    if not left:
      raise ValueError(
          f'none of the {len(episodes)} episodes meets the conditions'
      )
    drawn = sorted(left, key=self._draw)[
        : max(1, round(self.fraction * len(left)))
    ]
    if self.max_steps is not None:
      steps = np.cumsum([episode.num_steps for episode in drawn])
      drawn = drawn[: np.searchsorted(steps, self.max_steps, side='right')]
      if not drawn:
        raise ValueError(
            f'max_steps is {self.max_steps}, but the first episode drawn has '
            f'{steps[0]} steps'
        )
    chosen = {(episode.shard, episode.position) for episode in drawn}
    return [e for e in left if (e.shard, e.position) in chosen]

  def _filter(self) -> selection.EpisodeFilter:
    return selection.EpisodeFilter(
        self.checkpoints, self.min_return, self.max_return
    )

  def _ends(self) -> list[str]:
    return [] if self.end_kinds == 'all' else self.end_kinds.split(',')

  def _draw(self, episode: source_dataset.Episode) -> bytes:
    """The place of an episode in the lottery."""
    text = f'{self.seed}/{episode.shard}/{episode.position}'
    return hashlib.sha256(text.encode()).digest()
