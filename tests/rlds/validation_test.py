"""Tests of the rules that episodes must keep, one failing input each."""

import dataclasses

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import validation

LIMITS = validation.Limits(num_actions=6, stack_size=4, ends_marked=True)
GOOD = schema.EncodedEpisode(
    span=reader.EpisodeSpan(0, 0, 3, 8, 3, types.EpisodeEnd.TERMINAL, True),
    frames=[b'png'] * 8,
    actions=np.array([0, 1, 2, 3, 4, 5, 0, 0], np.int32),
    rewards=np.array([0, 1, -1, 0, 0, 0, 0, 0], np.float32),
    checksums=np.arange(8, dtype=np.uint32),
    is_blank=np.zeros(8, bool),
    content_sha256='',
)


def _violations(limits=LIMITS, **changes):
  return validation.violations(dataclasses.replace(GOOD, **changes), limits)


def _with(array, position, value):
  changed = array.copy()
  changed[position] = value
  return changed


def test_good_episode():
  assert not _violations()


@pytest.mark.parametrize(
    'changes,rule,message',
    [
        (
            dict(frames=[b'png'] * 7),
            'lengths_agree',
            'it has 7 frames, 8 actions, 8 rewards; expected 8 frames, 8 '
            'actions, 8 rewards',
        ),
        (
            dict(rewards=GOOD.rewards[:5]),
            'lengths_agree',
            'it has 8 frames, 8 actions, 5 rewards; expected 8 frames, 8 '
            'actions, 8 rewards',
        ),
        (
            dict(actions=GOOD.actions.astype(np.float32)),
            'dtypes_fit',
            'its actions are float32; expected integers',
        ),
        (
            dict(rewards=GOOD.rewards.astype(bool)),
            'dtypes_fit',
            'its rewards are bool; expected real numbers',
        ),
        (
            dict(rewards=_with(GOOD.rewards, [2, 4], np.nan)),
            'rewards_are_finite',
            '2 of its rewards are not finite: the first, of step 2, is nan',
        ),
        (
            dict(rewards=_with(GOOD.rewards, 7, -np.inf)),
            'rewards_are_finite',
            '1 of its rewards are not finite: the first, of step 7, is -inf',
        ),
        (
            dict(rewards=_with(GOOD.rewards.astype(np.float64), 5, 1e300)),
            'rewards_are_finite',
            '1 of its rewards are not finite: the first, of step 5, is 1e+300',
        ),
        (
            dict(is_finite=_with(np.ones(8, bool), [3, 6], False)),
            'observations_are_finite',
            '2 of its observations hold numbers that are not finite: the first '
            'is of step 3',
        ),
        (
            dict(actions=_with(GOOD.actions, 3, 6)),
            'actions_are_in_range',
            '1 of its actions are out of range: the first, of step 3, is 6; '
            'expected 0 to 5',
        ),
        (
            dict(actions=_with(GOOD.actions, 0, -1)),
            'actions_are_in_range',
            '1 of its actions are out of range: the first, of step 0, is -1; '
            'expected 0 to 5',
        ),
        (
            dict(is_blank=_with(GOOD.is_blank, 0, True)),
            'starts_without_padding',
            'its first step looks like padding (a frame of zeros, action 0, '
            'reward 0): was the log written with a stack of more than 4 '
            'frames? Give it with --stack_size',
        ),
    ],
)
def test_broken_rule(changes, rule, message):
  assert _violations(**changes) == {rule: message}


def test_black_frame_with_an_action_is_no_padding():
  assert not _violations(is_blank=_with(GOOD.is_blank, 1, True))


def test_fragment_may_begin_with_a_black_frame():
  span = dataclasses.replace(GOOD.span, complete_start=False)
  assert not _violations(span=span, is_blank=_with(GOOD.is_blank, 0, True))


def _quiet(blank):
  return dict(
      actions=np.zeros(8, np.int32),
      rewards=np.zeros(8, np.float32),
      is_blank=_with(GOOD.is_blank, blank, True),
  )


def test_hidden_start_of_an_episode_is_found():
  unmarked = dataclasses.replace(LIMITS, ends_marked=False)
  assert _violations(unmarked, **_quiet([4, 5, 6])) == {
      'has_no_padding_inside': (
          'it holds 3 entries that look like padding from step 4 on: an end '
          'that the log does not mark'
      )
  }


@pytest.mark.parametrize('blank', [[4, 5], [2, 3, 5, 6]])
def test_shorter_black_phases_are_no_padding(blank):
  unmarked = dataclasses.replace(LIMITS, ends_marked=False)
  assert not _violations(unmarked, **_quiet(blank))


def test_black_phase_is_allowed_where_all_ends_are_marked():
  assert not _violations(LIMITS, **_quiet([3, 4, 5, 6]))


def test_final_observation_is_one_more_frame():
  span = dataclasses.replace(GOOD.span, has_final_observation=True)
  whole = dict(
      span=span,
      frames=[b'png'] * 9,
      checksums=np.arange(9, dtype=np.uint32),
      is_blank=np.zeros(9, bool),
  )
  assert not _violations(**whole)
  assert _violations(**{**whole, 'frames': GOOD.frames}) == {
      'lengths_agree': (
          'it has 8 frames, 8 actions, 8 rewards; expected 9 frames, 8 '
          'actions, 8 rewards'
      )
  }


def test_episode_without_steps_is_refused():
  span = dataclasses.replace(GOOD.span, length=0)
  none = np.zeros(0, np.float32)
  assert list(
      _violations(span=span, frames=[], actions=none, rewards=none)
  ) == ['lengths_agree']


def _cautions(**changes):
  return validation.cautions(dataclasses.replace(GOOD, **changes), LIMITS)


def test_black_frames_are_odd_but_no_fault():
  changes = dict(is_blank=_with(GOOD.is_blank, [2, 5], True))
  assert not _violations(**changes)
  assert _cautions(**changes) == {
      'frames_are_not_black': (
          '2 of its frames are black: the first is of step 2'
      )
  }


def test_observations_beyond_their_range_are_odd_but_no_fault():
  changes = dict(is_outside=_with(np.zeros(8, bool), [1, 4], True))
  assert not _violations(**changes)
  assert _cautions(**changes) == {
      'observations_are_in_range': (
          '2 of its observations are not in the range that the environment '
          'declares: the first is of step 1'
      )
  }
  assert not _cautions(is_outside=np.zeros(8, bool))


def test_only_frames_are_padded_black_or_frozen():
  arrays = dataclasses.replace(LIMITS, frames=False, ends_marked=False)
  for changes in (
      _quiet([0]), _quiet([4, 5, 6]), _frozen(0, validation.FROZEN_STEPS)
  ):
    episode = dataclasses.replace(GOOD, **changes)
    assert not validation.violations(episode, arrays)
    assert not validation.cautions(episode, arrays)


def _frozen(start, count, length=400):
  """An episode that shows one frame `count` times."""
  checksums = np.arange(length, dtype=np.uint32)
  checksums[start : start + count] = start
  return dict(
      span=dataclasses.replace(GOOD.span, length=length),
      frames=[b'png'] * length,
      actions=np.zeros(length, np.int32),
      rewards=np.zeros(length, np.float32),
      checksums=checksums,
      is_blank=np.zeros(length, bool),
  )


@pytest.mark.parametrize('start', [0, 17, 250])
def test_frozen_frames_are_odd_but_no_fault(start):
  changes = _frozen(start, validation.FROZEN_STEPS)
  assert not _violations(**changes)
  assert _cautions(**changes) == {
      'frames_change': (
          f'it shows the same frame 150 times in a row from step {start} on'
      )
  }


@pytest.mark.parametrize('start', [0, 17, 251])
def test_short_stops_are_usual(start):
  assert not _cautions(**_frozen(start, validation.FROZEN_STEPS - 1))
  assert not _cautions()


def test_every_rule_is_applied():
  functions = {
      value
      for name, value in vars(validation).items()
      if callable(value)
      and getattr(value, '__module__', '') == validation.__name__
      and not name.startswith('_')
  } - {validation.Limits, validation.violations, validation.cautions}
  assert {*validation.RULES, *validation.CAUTIONS} == functions
