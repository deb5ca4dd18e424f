"""Tests of which dataset a log becomes."""

import dataclasses

import pytest

from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.beam_jobs import conversion_target
from rrl_pipeline.logs import reader

_ACTIONS = {'action_meanings': ['DOWN', 'STAY', 'UP']}
_BALLOON = {**_ACTIONS, 'agent': 'station seeker', 'environment': {
    'kind': 'balloon'}}
_MINATAR = {**_ACTIONS, 'environment': {'kind': 'minatar', 'game': 'Freeway'}}


def _choose(shape, dtype='uint8', metadata=None, **options):
  index = reader.LogIndex(
      spans=(), accounting=reader.Accounting(0, 0, 0, 0), checkpoints=(),
      sources={}, frame_shape=shape, frame_dtype=dtype, ends_marked=True,
      metadata=metadata or {}, warnings=(),
  )
  config = conversion_config.BuildRldsConfig('LOG', 'DATA', **options)
  return conversion_target.choose(config, index)


@pytest.mark.parametrize(
    'shape, dtype, metadata, options, expected',
    [
        (
            (84, 84), 'uint8', {}, {},
            ('atari_replay', 'Pong_run_1', 'png', 6, 4),
        ),
        (
            (84, 84), 'uint8', {'environment': {'kind': 'atari'}},
            {'game': 'Breakout', 'run': 3, 'frame_encoding': 'raw'},
            ('atari_replay', 'Breakout_run_3_raw', 'raw', 4, 4),
        ),
        (
            (1099,), 'float32', _BALLOON, {},
            ('balloon_replay', 'station_seeker_run_1', 'zlib', 3, 1),
        ),
        (
            (1099,), 'float32', _BALLOON,
            {'name': 'P44', 'frame_encoding': 'raw', 'num_actions': 7},
            ('balloon_replay', 'P44_run_1_raw', 'raw', 7, 1),
        ),
        (
            (10, 10, 7), 'uint8', _MINATAR, {'run': 2},
            ('minatar_replay', 'Freeway_run_2', 'zlib', 3, 1),
        ),
        (
            (4,), 'float64', {**_ACTIONS, 'agent': 'dqn'},
            {'dataset': 'cartpole_replay'},
            ('cartpole_replay', 'dqn_run_1', 'zlib', 3, 1),
        ),
        (
            (40, 40), 'uint8', {**_ACTIONS, 'agent': 'dqn'},
            {'dataset': 'small_replay', 'stack_size': 2},
            ('small_replay', 'dqn_run_1', 'png', 3, 2),
        ),
    ],
)
def test_the_dataset_of_a_log(shape, dtype, metadata, options, expected):
  target = _choose(shape, dtype, metadata, **options)
  observation = target.dataset.observation
  assert (observation.shape, observation.dtype) == (shape, dtype)
  assert expected == (
      target.dataset.name, target.dataset.config, observation.encoding,
      target.num_actions, target.stack_size,
  )
  assert (target.compressor is None) == (observation.encoding != 'png')
  assert target.dataset.name in target.reason


@pytest.mark.parametrize(
    'shape, dtype, metadata, options, message',
    [
        ((7,), 'float32', {}, {}, 'give a name to the dataset'),
        (
            (40, 40), 'uint8', {}, {},
            r'the frames of LOG are \(40, 40\); atari_replay holds frames of',
        ),
        (
            (7,), 'float32', _BALLOON, {},
            r'float32 \(7,\); balloon_replay/station_seeker_run_1 holds',
        ),
        (
            (7,), 'float32', _ACTIONS, {'dataset': 'own_replay'},
            'does not say whose it is',
        ),
        (
            (7,), 'float32', {'agent': 'a'}, {'dataset': 'own_replay'},
            'does not say how many actions there are; give --num_actions',
        ),
        (
            (84, 84), 'uint8', {}, {'game': 'NoGame'},
            'how many actions has the game NoGame',
        ),
        (
            (7,), 'float32', _BALLOON, {'frame_encoding': 'png'},
            "'png'; expected 'zlib' or 'raw'",
        ),
        (
            (84, 84), 'uint8', {}, {'frame_encoding': 'zlib'},
            "'zlib'; expected 'png' or 'raw'",
        ),
    ],
)
def test_what_cannot_be_told_is_said(shape, dtype, metadata, options, message):
  with pytest.raises(ValueError, match=message):
    _choose(shape, dtype, metadata, **options)


def test_a_name_of_a_dataset_is_checked_at_once():
  with pytest.raises(ValueError, match='expected lower case'):
    conversion_config.BuildRldsConfig('LOG', 'DATA', dataset='My-Replay')


def test_arrays_are_not_held_against_the_rules_of_frames():
  index_limits = {
      shape: _choose(shape, dtype, metadata, dataset='own_replay').limits(
          reader.LogIndex(
              (), reader.Accounting(0, 0, 0, 0), (), {}, shape, False, {}, ()
          )
      )
      for shape, dtype, metadata in (
          ((7,), 'float32', {**_ACTIONS, 'agent': 'a'}),
          ((84, 84), 'uint8', {**_ACTIONS, 'agent': 'a'}),
      )
  }
  assert dataclasses.asdict(index_limits[7,]) == {
      'num_actions': 3, 'stack_size': 1, 'ends_marked': False, 'frames': False
  }
  assert index_limits[84, 84].frames and index_limits[84, 84].stack_size == 4
