"""Tests of dialects: what rlu_atari means, against TFDS's own code for it."""

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import dialects
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.testing import replay_logs
from rrl_pipeline.testing import rlu_atari

_ENCODER = png.PngEncoder(schema.ATARI_FRAME_SHAPE, png.ZLIB)
TERMINAL = types.EpisodeEnd.TERMINAL
TRUNCATED = types.EpisodeEnd.TRUNCATED


def _episode(length=7, end=TERMINAL, seed=0):
  return replay_logs.random_episode(
      np.random.default_rng(seed), length, end=end
  )


def _rlu_record(episode):
  return rlu_atari.record(episode, 3, 17)


def _native(episode, final=None):
  """The same episode, converted from a log."""
  span = reader.EpisodeSpan(
      3, 17, -1, len(episode.actions), 0, episode.end, True,
      first_slot=-1, has_final_observation=final is not None,
  )
  blocks = [episode.observations] + ([] if final is None else [final[None]])
  encoded = encoding.encode(
      reader.EpisodeStream(
          span, episode.actions, episode.rewards, iter(blocks)
      ),
      _ENCODER,
  )
  uid = schema.uid('rlu_atari', 'Pong_run_1', span)
  return tf_example.serialize(schema.to_record(encoded, uid, _ENCODER.blank))


def _to_native(record, dialect=dialects.RLU_ATARI):
  return dialects.to_native(
      record, dialect, 'rlu_atari', 'Pong_run_1', schema.PNG, _ENCODER
  )


@pytest.mark.parametrize('end', [TERMINAL, TRUNCATED])
@pytest.mark.parametrize('length', [1, 2, 300])
def test_an_episode_of_rlu_atari_becomes_what_its_log_would_give(end, length):
  episode = _episode(length, end)
  assert _to_native(_rlu_record(episode)) == _native(episode)


def test_the_last_reward_is_kept():
  episode = _episode(5)
  episode.rewards[-1] = -1
  record = _rlu_record(episode)
  rlds = tf_example.parse(record).features.feature
  assert len(rlds['steps/reward'].float_list.value) == 5
  native = tf_example.parse(_to_native(record)).features.feature
  rewards = list(native['steps/reward'].float_list.value)
  assert rewards == [*episode.rewards, 0]
  assert list(native['steps/is_terminal'].int64_list.value) == [0] * 5 + [1]
  assert native['last_observation_synthetic'].int64_list.value[0] == 1


def _void_record(episode, final, last_reward=0.0):
  """An episode of another program that keeps to RLDS."""
  count = len(episode.actions) + 1
  is_last = np.arange(count) == count - 1
  discount = np.ones(count, np.float32)
  if episode.end is TERMINAL:
    discount[-2:] = 0
  return tf_example.serialize({
      'checkpoint_id': 3,
      'episode_id': 17,
      'episode_return': np.float32(episode.rewards.sum()),
      'steps': {
          'observation': [
              rlu_atari.encode_png(frame)
              for frame in (*episode.observations, final)
          ],
          'action': np.append(episode.actions, 4),
          'reward': np.append(episode.rewards, np.float32(last_reward)),
          'discount': discount,
          'is_first': np.arange(count) == 0,
          'is_last': is_last,
          'is_terminal': is_last & (episode.end is TERMINAL),
      },
  })


@pytest.mark.parametrize('end', [TERMINAL, TRUNCATED])
def test_a_void_last_step_keeps_its_observation(end):
  episode = _episode(6, end)
  final = _episode(1, seed=1).observations[0]
  native = _to_native(_void_record(episode, final, np.nan), dialects.RLDS)
  assert native == _native(episode, final=final)
  feature = tf_example.parse(native).features.feature
  stored = feature['steps/observation'].bytes_list.value
  decoded = observations.ObservationFormat(
      schema.ATARI_FRAME_SHAPE, schema.PNG
  ).decode(stored)
  np.testing.assert_array_equal(decoded[-1], final)
  assert feature['last_observation_synthetic'].int64_list.value[0] == 0
  assert feature['episode_length'].int64_list.value[0] == 6


def _ending(record):
  feature = tf_example.parse(record).features.feature
  rewards = np.array(feature['steps/reward'].float_list.value)
  return dialects.Ending(
      feature['episode_return'].float_list.value[0],
      float(rewards.sum()),
      float(rewards[-1]),
  )


def _with_last_reward(value, seed=0):
  episode = _episode(9, seed=seed)
  episode.rewards[-1] = value
  return episode


def test_dialects_are_told_by_the_return():
  final = _episode(1).observations[0]
  rlu = [
      _ending(_rlu_record(_with_last_reward(value, seed)))
      for seed, value in enumerate((1, 0, -1, 0))
  ]
  assert [ending.dialect() for ending in rlu] == [
      'rlu_atari', None, 'rlu_atari', None
  ]
  assert dialects.detect(rlu) == 'rlu_atari'
  void = [
      _ending(_void_record(_episode(9), final, last_reward))
      for last_reward in (0.0, np.nan, 2.0)
  ]
  assert [ending.dialect() for ending in void] == [None, 'rlds', 'rlds']
  assert dialects.detect(void) == 'rlds'
  with pytest.raises(
      ValueError, match='in 2 episodes the return counts .* in 2 it does not'
  ):
    dialects.detect(rlu + void)
  with pytest.raises(ValueError, match='no episode has .*--dialect=rlu_atari'):
    dialects.detect([rlu[1], void[0]])


def test_a_dialect_that_is_given_is_checked():
  rlu = [_ending(_rlu_record(_with_last_reward(1)))]
  dialects.check('rlu_atari', rlu)
  with pytest.raises(
      ValueError, match='is not of the dialect rlds: the returns of 1 episodes'
  ):
    dialects.check('rlds', rlu)


def _changed(name, kind, step, value):
  example = tf_example.parse(_rlu_record(_with_last_reward(1)))
  getattr(example.features.feature[f'steps/{name}'], kind).value[step] = value
  return example.SerializeToString()


@pytest.mark.parametrize(
    'name, kind, step, value, message',
    [
        ('is_first', 'int64_list', 3, 1, 'is_first of step 3 of 9 is True'),
        ('is_first', 'int64_list', 0, 0, 'is_first of step 0 of 9 is False'),
        ('is_last', 'int64_list', 3, 1, 'is_last of step 3 of 9 is True'),
        ('is_last', 'int64_list', 8, 0, 'is_last of step 8 of 9 is False'),
        ('is_terminal', 'int64_list', 3, 1, 'is_terminal of step 3 of 9'),
        ('discount', 'float_list', 3, 0.99, 'discount of step 3 of 9 is 0.99'),
        ('discount', 'float_list', 0, 0.0, 'discount of step 0 of 9 is 0.0'),
        ('reward', 'float_list', 3, np.nan, 'a reward is not finite'),
        ('reward', 'float_list', 3, 5.0, 'its return is .* rewards add up'),
        ('observation', 'bytes_list', 3, b'PNG', 'a frame cannot be decoded'),
    ],
)
def test_what_no_episode_of_the_dialect_has_is_refused(
    name, kind, step, value, message
):
  with pytest.raises(ValueError, match=message):
    _to_native(_changed(name, kind, step, value))


def test_columns_of_other_lengths_are_refused():
  example = tf_example.parse(_rlu_record(_episode(9)))
  del example.features.feature['steps/reward'].float_list.value[0]
  with pytest.raises(
      ValueError, match='checkpoint 3, episode 17: its 9 frames have columns'
  ):
    _to_native(example.SerializeToString())


def test_the_number_of_native_steps_is_known_beforehand():
  for end in (TERMINAL, TRUNCATED):
    episode = _episode(5, end)
    final = episode.observations[0]
    for dialect, record in (
        (dialects.RLU_ATARI, _rlu_record(episode)),
        (dialects.RLDS, _void_record(episode, final)),
    ):
      feature = [
          tf_example.parse(r).features.feature['steps/action'].int64_list.value
          for r in (record, _to_native(record, dialect))
      ]
      assert len(feature[1]) == dialects.num_native_steps(
          dialect, len(feature[0]), end is TERMINAL
      )


def test_losses_are_said():
  assert not dialects.losses(dialects.NATIVE)
  assert len(dialects.losses(dialects.RLU_ATARI)) > len(
      dialects.losses(dialects.RLDS)
  ) > 0
