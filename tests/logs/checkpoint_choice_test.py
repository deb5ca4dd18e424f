"""Tests of choosing checkpoints."""

import pytest

from rrl_pipeline.logs import checkpoint_choice
from rrl_pipeline.logs import reader


def _choose_complete(checkpoints, present, sentinels):
  return checkpoint_choice.choose_complete(
      checkpoints, present, sentinels, '/log'
  )


@pytest.mark.parametrize(
    'checkpoints,expected',
    [
        ('latest', (12,)),
        ('all', (0, 3, 12)),
        ('12,0', (0, 12)),
        ('3,3', (3,)),
    ],
)
def test_choice(checkpoints, expected):
  assert checkpoint_choice.choose(checkpoints, (0, 3, 12), '/log') == expected


def test_absent_checkpoint():
  with pytest.raises(
      reader.LogError, match='^/log has no checkpoint 1; it has 0, 3, 12$'
  ):
    checkpoint_choice.choose('0,1', (0, 3, 12), '/log')


@pytest.mark.parametrize('checkpoints', ['newest', '', '1,', '-1', '1.5', '0x1'])
def test_what_is_no_choice(checkpoints):
  with pytest.raises(ValueError, match="expected 'latest', 'all' or numbers"):
    checkpoint_choice.check(checkpoints)


def test_latest_is_the_newest_complete_one():
  assert _choose_complete('latest', (0, 1), {0, 1}) == ((1,), ())
  numbers, (warning,) = _choose_complete('latest', (0, 1, 2), {0})
  assert numbers == (0,)
  assert warning == (
      'checkpoints [1, 2] have no sentinel, so they are incomplete; reading 0'
  )


def test_incomplete_checkpoint_is_refused():
  for checkpoints in ('all', '2'):
    with pytest.raises(
        reader.LogError,
        match='checkpoint 2 of /log was not written to its end: '
        'sentinel_checkpoint_complete.2 is missing; .*--checkpoints=0,1',
    ):
      _choose_complete(checkpoints, (0, 1, 2), {0, 1})
  with pytest.raises(reader.LogError, match='has no complete checkpoint: sent'):
    _choose_complete('latest', (0, 1), {7})


def test_without_any_sentinel_all_are_read():
  numbers, (warning,) = _choose_complete('all', (0, 1), frozenset())
  assert numbers == (0, 1)
  assert warning.startswith('/log has no sentinel files')
