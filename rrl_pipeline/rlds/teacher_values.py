"""How a dataset holds a teacher's values, and how it says whose they are.

Each step of such a dataset has `teacher_values`, float32 [A]: what the teacher
gives for the stacked observation that ends in this step's frame. The dataset's
metadata describe the teacher under `teacher`; its `sha256` is that of the
teacher's bundle, so a learner can tell whether the values are its teacher's.
"""

from typing import Any, Mapping, Optional, Sequence

import numpy as np
import tensorflow_datasets as tfds

STEP_FIELD = 'teacher_values'
METADATA_KEY = 'teacher'

# None of these depends on a temperature τ: the values are stored as they are,
# and whoever learns from them takes softmax(values / τ) with a τ of his own.
_MEANINGS = {
    'q_values': (
        'estimated discounted return of each action; the policy at temperature '
        'τ is softmax(values / τ)'
    ),
    'logits': (
        "unnormalised log-probability of each action; softmax(values) is the "
        "teacher's own policy"
    ),
    'action': 'one-hot: 1 for the action that the teacher takes',
}


def step_feature(num_actions: int) -> tfds.features.Tensor:
  """The feature of a step."""
  return tfds.features.Tensor(
      shape=(num_actions,),
      dtype=np.float32,
      doc=(
          "The teacher's values for the stack of frames that ends here; zeros "
          'where an earlier frame of the stack is not in the dataset.'
      ),
  )


def describe(
    sha256: str,
    kind: str,
    action_meanings: Sequence[str],
    observation_shape: Sequence[int],
) -> dict[str, Any]:
  """What the metadata say of a teacher.

  Args:
    sha256: of its bundle.
    kind: of its values: 'q_values', 'logits' or 'action'.
    action_meanings: name of each action, in the order of the values.
    observation_shape: of one stacked observation, (H, W, stack).
  """
  return {
      'sha256': sha256,
      'kind': kind,
      'meaning': _MEANINGS[kind],
      'action_meanings': list(action_meanings),
      'observation_shape': list(observation_shape),
  }


def sha256_of(metadata: Optional[Mapping[str, Any]]) -> Optional[str]:
  """Whose values a dataset holds; None if it holds none, or does not say."""
  teacher = (metadata or {}).get(METADATA_KEY)
  return teacher.get('sha256') if isinstance(teacher, Mapping) else None
