"""What a learner asks for transitions, wherever they are kept."""

from typing import Protocol

from acme import types


class TransitionSource(Protocol):
  """Gives batches of transitions by their number."""

  def sample(
      self, batch_size: int, n_step: int, discount: float, seed: int, index: int
  ) -> types.Transition:
    """Batch `index` of the stream that `seed` names.

    It depends on the arguments and on the data only, not on what was asked for
    before. So a run that was interrupted goes on with its very next batch, and
    nothing of the source needs to be in a checkpoint.

    Args:
      batch_size: B.
      n_step: n of the n-step return.
      discount: γ.
      seed: of the stream of batches.
      index: number of the batch in that stream.

    Returns:
      Transitions as `frame_store.FrameStore.sample` describes them.

    Raises:
      ValueError: if no transition can be sampled.
    """
