"""Rules that an episode must keep to be written, one function each.

A rule returns what is wrong, or None. An episode that breaks a rule is left out
of the dataset and listed with the reason; whatever concerns a log as a whole is
an error of its reader instead. One that breaks only a rule of caution is kept,
and listed too.
"""

import dataclasses
from typing import Any, Callable, Optional, Sequence

import numpy as np

from rrl_pipeline.rlds import schema


# Ten seconds of play at the usual four frames of the emulator in a step.
FROZEN_STEPS = 150
# Games begin alike: episodes that were cut early may well be equal. With sticky
# actions no two are equal for twenty seconds of play, unless logged twice.
DUPLICATE_STEPS = 300


@dataclasses.dataclass(frozen=True)
class Limits:
  """What to hold episodes against.

  Attributes:
    num_actions: A; actions are 0 … A - 1.
    stack_size: frames that the agent stacked; 1 if none.
    ends_marked: whether the log marks all ends of episodes. If not, the padding
      before the next episode may be taken for steps.
    frames: whether observations are frames of a game, which are padded in logs
      and never black for long.
  """

  num_actions: int
  stack_size: int
  ends_marked: bool
  frames: bool = True


def lengths_agree(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """There is one frame, one action and one reward for each step.

  And one more frame if the log holds the observation after the last action.
  """
  del limits  # The same for all logs.
  length = episode.span.length
  columns = (
      ('frames', episode.frames, length + episode.span.has_final_observation),
      ('actions', episode.actions, length),
      ('rewards', episode.rewards, length),
  )
  if length > 0 and all(len(found) == n for _, found, n in columns):
    return None
  found = ', '.join(f'{len(found)} {name}' for name, found, _ in columns)
  expected = ', '.join(f'{n} {name}' for name, _, n in columns)
  return f'it has {found}; expected {expected}'


def dtypes_fit(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """Actions are integers and rewards are numbers.

  Rewards become float32, whatever a recorded environment gives.
  """
  del limits  # The same for all logs.
  if episode.actions.dtype.kind not in 'iu':
    return f'its actions are {episode.actions.dtype}; expected integers'
  if episode.rewards.dtype.kind not in 'iuf':
    return f'its rewards are {episode.rewards.dtype}; expected real numbers'
  return None


def rewards_are_finite(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """No reward is NaN or infinite, or becomes so as float32."""
  del limits  # The same for all logs.
  with np.errstate(over='ignore'):
    rewards = episode.rewards.astype(np.float32)
  bad = np.flatnonzero(~np.isfinite(rewards))
  if not bad.size:
    return None
  return (
      f'{bad.size} of its rewards are not finite: the first, of step {bad[0]}, '
      f'is {episode.rewards[bad[0]]}'
  )


def observations_are_finite(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """No number of an observation is NaN or infinite."""
  del limits  # The same for all logs.
  if episode.is_finite is None or episode.is_finite.all():
    return None
  bad = np.flatnonzero(~episode.is_finite)
  return (
      f'{bad.size} of its observations hold numbers that are not finite: the '
      f'first is of step {bad[0]}'
  )


def actions_are_in_range(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """Every action is one that the environment has."""
  actions = episode.actions
  bad = np.flatnonzero((actions < 0) | (actions >= limits.num_actions))
  if not bad.size:
    return None
  return (
      f'{bad.size} of its actions are out of range: the first, of step '
      f'{bad[0]}, is {actions[bad[0]]}; expected 0 to {limits.num_actions - 1}'
  )


def starts_without_padding(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """The first step is not an entry of padding.

  It would be if the log had been written with a larger stack. No Atari game of
  the Arcade Learning Environment begins with a black frame.
  """
  if not limits.frames:
    return None
  if episode.span.complete_start and _looks_like_padding(episode)[0]:
    return (
        'its first step looks like padding (a frame of zeros, action 0, reward '
        f'0): was the log written with a stack of more than '
        f'{limits.stack_size} frames? Give it with --stack_size'
    )
  return None


def has_no_padding_inside(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """No start of another episode is hidden in this one.

  Asked only of logs that do not mark every end: elsewhere a game may well show
  black frames for a while.
  """
  width = limits.stack_size - 1
  if limits.ends_marked or not width or not limits.frames:
    return None
  padding = _looks_like_padding(episode)
  runs = np.convolve(padding, np.ones(width, int), 'valid') == width
  if not runs.any():
    return None
  return (
      f'it holds {width} entries that look like padding from step '
      f'{np.argmax(runs)} on: an end that the log does not mark'
  )


def _looks_like_padding(episode: schema.EncodedEpisode) -> np.ndarray:
  """[T] bool: whether a step is all zero."""
  is_blank = episode.is_blank[: episode.span.length]
  return is_blank & (episode.actions == 0) & (episode.rewards == 0)


def frames_are_not_black(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """No frame is all zero. Some games do show black frames for a moment."""
  if not limits.frames:
    return None
  black = np.flatnonzero(episode.is_blank)
  if not black.size:
    return None
  return (
      f'{black.size} of its frames are black: the first is of step {black[0]}'
  )


def frames_change(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """The picture does not stand still for long.

  It does if the emulator or the agent hangs; a few seconds are usual, such as
  before a ball is served.
  """
  if not limits.frames:
    return None
  changes = np.flatnonzero(np.diff(episode.checksums.astype(np.int64)))
  starts = np.append(0, changes + 1)
  lengths = np.diff(np.append(starts, len(episode.checksums)))
  longest = np.argmax(lengths)
  if lengths[longest] < FROZEN_STEPS:
    return None
  return (
      f'it shows the same frame {lengths[longest]} times in a row from step '
      f'{starts[longest]} on'
  )


def observations_are_in_range(
    episode: schema.EncodedEpisode, limits: Limits
) -> Optional[str]:
  """Observations are in the range that the environment declares, if it does.

  Learning does not depend on it, and environments are not strict.
  """
  del limits  # The range is that of the log.
  if episode.is_outside is None or not episode.is_outside.any():
    return None
  bad = np.flatnonzero(episode.is_outside)
  return (
      f'{bad.size} of its observations are not in the range that the '
      f'environment declares: the first is of step {bad[0]}'
  )


RULES = (
    lengths_agree,
    dtypes_fit,
    observations_are_finite,
    rewards_are_finite,
    actions_are_in_range,
    starts_without_padding,
    has_no_padding_inside,
)
CAUTIONS = (frames_are_not_black, frames_change, observations_are_in_range)


def violations(
    episode: schema.EncodedEpisode, limits: Limits
) -> dict[str, str]:
  """What is wrong with an episode, by the name of the rule it breaks."""
  # The other rules compare columns.
  return _apply((lengths_agree,), episode, limits) or _apply(
      RULES, episode, limits
  )


def cautions(episode: schema.EncodedEpisode, limits: Limits) -> dict[str, str]:
  """What is odd about an episode that keeps all rules, in the same form."""
  return _apply(CAUTIONS, episode, limits)


def _apply(
    rules: Sequence[Callable[..., Optional[str]]], *arguments: Any
) -> dict[str, str]:
  found = ((rule.__name__, rule(*arguments)) for rule in rules)
  return {name: message for name, message in found if message is not None}
