"""What a teacher is to the rest of the pipeline."""

from typing import Protocol

import numpy as np
import tensorflow as tf


class Teacher(Protocol):
  """A fixed policy that can be asked at any observation.

  Its policy is softmax(values / τ); it may be an agent of any kind, since
  nothing but these values is ever needed of it.

  Attributes:
    kind: what the values are: 'q_values', 'logits', or 'action' (one-hot).
    num_actions: A.
  """

  kind: str
  num_actions: int

  def values(self, observation: np.ndarray) -> tf.Tensor:
    """uint8 [B, H, W, stack] → float32 [B, A]."""
