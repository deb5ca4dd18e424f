"""Finds out over how many steps the transitions of a buffer reach.

Dopamine 4.1 and later sums the rewards of n steps before it stores them
(`update_horizon`, 1 for DQN, 3 for Rainbow) and does not say which n it was. An
element's next state is the state of the n-th element after it.
"""

import collections

import numpy as np

from rrl_pipeline.logs import dopamine_msgpack_files as files
from rrl_pipeline.logs import reader

_ELEMENTS = 64  # To look at; more than any horizon in use.


def check(stream: files.ElementStream) -> None:
  """Looks at a checkpoint's first elements.

  Args:
    stream: at the oldest element; some will have been read.

  Raises:
    reader.LogError: if their rewards are sums over several steps.
  """
  count = min(_ELEMENTS, stream.end_add - stream.position)
  elements = [stream.read() for _ in range(count)]
  states = [element.state_frames() for element in elements]
  votes = collections.Counter()
  for i, element in enumerate(elements):
    next_state = element.next_frames()
    for steps in range(1, count - i):
      if np.array_equal(next_state, states[i + steps]):
        votes[steps] += 1
        break  # Where nothing moves, later states are equal as well.
  (steps, _), *_ = votes.most_common(1) or [(1, 0)]
  if steps > 1:
    raise reader.LogError(
        f'{stream.path} holds transitions over {steps} steps '
        f'(update_horizon={steps}): its rewards are discounted sums, not those '
        'of single steps. Only logs with update_horizon=1 can be converted'
    )
