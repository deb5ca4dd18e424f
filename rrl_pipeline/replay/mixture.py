"""Draws the transitions of each batch from several sources by weight."""

from typing import Sequence

from acme import types
import numpy as np

from rrl_pipeline.replay import random_streams
from rrl_pipeline.replay import transition_source


class Mixture:
  """Several sources as one.

  Each transition of a batch comes from source i with probability w_i / Σ w,
  independently of the others; or each batch has exactly these shares.
  """

  def __init__(
      self,
      sources: Sequence[transition_source.TransitionSource],
      weights: Sequence[float],
      is_exact: bool = False,
  ):
    """Makes a mixture.

    Args:
      sources: at least one.
      weights: w, of each source, positive.
      is_exact: whether the shares are the same in every batch, rounded: of
        those that are cut off most, each gets one transition more.

    Raises:
      ValueError: if there is not one positive weight for each source.
    """
    if len(weights) != len(sources) or not all(w > 0 for w in weights):
      raise ValueError(
          f'{len(sources)} sources need as many positive weights, got'
          f' {tuple(weights)}.'
      )
    self._streams = random_streams.RandomStreams()
    self._sources = tuple(sources)
    self._probabilities = np.array(weights, np.float64) / np.sum(weights)
    self._is_exact = is_exact

  def sample(
      self, batch_size: int, n_step: int, discount: float, seed: int, index: int
  ) -> types.Transition:
    """Batch `index` of the stream of `seed`; see `TransitionSource`.

    The transitions of one source stand together in the batch.
    """
    generator = self._streams.at(seed, index)
    if self._is_exact:
      counts = _shares(batch_size, self._probabilities)
    else:
      counts = generator.multinomial(batch_size, self._probabilities)
    # No two sources may draw with the same random numbers.
    seeds = generator.integers(2**63, size=len(counts))
    parts = [
        source.sample(int(count), n_step, discount, int(part_seed), index)
        for source, count, part_seed in zip(
            self._sources, counts, seeds, strict=True
        )
        if count
    ]
    if len(parts) == 1:
      return parts[0]
    first = parts[0]._replace(observation=None, next_observation=None)
    return types.Transition(**{
        name: _join_stacks([getattr(part, name) for part in parts])
        if value is None
        else np.concatenate([getattr(part, name) for part in parts])
        for name, value in first._asdict().items()
    })


def _shares(batch_size: int, probabilities: np.ndarray) -> np.ndarray:
  """Whole numbers that sum up to `batch_size`, in these proportions."""
  exact = batch_size * probabilities
  counts = np.floor(exact).astype(np.int64)
  missing = batch_size - counts.sum()
  counts[np.argsort(counts - exact, kind='stable')[:missing]] += 1
  return counts


def _join_stacks(stacks: Sequence[np.ndarray]) -> np.ndarray:
  """Joins batches in the order in which they lie in memory, frame by frame."""
  frames = np.concatenate([np.moveaxis(stack, -1, 1) for stack in stacks])
  return np.moveaxis(frames, 1, -1)
