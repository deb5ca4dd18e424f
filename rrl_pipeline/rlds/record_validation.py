"""Rules that a finished record must keep, one function each.

They hold for every RLDS dataset of this schema, and do not depend on how the
record was made: each says what is wrong, or None.
"""

from typing import Any, Mapping, Optional

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.rlds import schema


def columns_agree(record: Mapping[str, Any]) -> Optional[str]:
  """Every field of the steps has a value for each step."""
  lengths = {
      name: len(column) for name, column in record[schema.STEPS].items()
  }
  if set(lengths.values()) == {int(record[schema.NUM_STEPS])}:
    return None
  found = ', '.join(f'{count} of {name}' for name, count in lengths.items())
  return f'it has {found}; expected {record[schema.NUM_STEPS]} of each'


def flags_are_consistent(record: Mapping[str, Any]) -> Optional[str]:
  """The flags of the steps fit each other and the episode's own fields.

  Only the first step may be `is_first`, exactly the last one is `is_last`, only
  that one may be `is_terminal`, and the discount is 0 there and in the step
  that led there, 1 elsewhere.
  """
  steps = record[schema.STEPS]
  count = int(record[schema.NUM_STEPS])
  terminal = record[schema.END_KIND] == types.EpisodeEnd.TERMINAL.value
  position = np.arange(count)
  is_last = position == count - 1
  discount = np.ones(count, np.float32)
  if terminal:
    discount[-2:] = 0
  for name, expected in (
      (schema.IS_FIRST, (position == 0) & bool(record[schema.COMPLETE_START])),
      (schema.IS_LAST, is_last),
      (schema.IS_TERMINAL, is_last & terminal),
      (schema.DISCOUNT, discount),
  ):
    wrong = np.flatnonzero(np.asarray(steps[name]) != expected)
    if wrong.size:
      return (
          f'{name} of step {wrong[0]} of {count} is {steps[name][wrong[0]]}; '
          f'expected {expected[wrong[0]]} in an episode with the end '
          f'{record[schema.END_KIND]}'
      )
  return None


def rewards_add_up(record: Mapping[str, Any]) -> Optional[str]:
  """The return is the sum of the rewards, a dropped one included."""
  rewards = np.append(
      record[schema.STEPS][schema.REWARD], record[schema.DROPPED_FINAL_REWARD]
  ).astype(np.float64)
  total = rewards.sum()
  # Returns are float32, and sums of fractions depend on their order.
  if np.isclose(
      total, record[schema.EPISODE_RETURN], 1e-6, 1e-6 * np.abs(rewards).sum()
  ):
    return None
  return (
      f'its return is {record[schema.EPISODE_RETURN]}, but its rewards add up '
      f'to {total}'
  )


RULES = (columns_agree, flags_are_consistent, rewards_add_up)


def violations(record: Mapping[str, Any]) -> dict[str, str]:
  """What is wrong with a record, by the name of the rule it breaks."""
  broken = columns_agree(record)
  if broken is not None:  # The other rules compare columns.
    return {columns_agree.__name__: broken}
  found = ((rule.__name__, rule(record)) for rule in RULES)
  return {name: message for name, message in found if message is not None}
