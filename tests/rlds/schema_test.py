"""Tests of the RLDS schema, against hand-made records."""

import numpy as np
import pytest
import rlds
import tensorflow_datasets as tfds
from tensorflow_datasets.rl_unplugged import atari_utils

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import schema


def _episode(
    end, complete_start=True, rewards=(1.0, 0.0, -1.0), final_observation=False
):
  length = len(rewards)
  num_frames = length + final_observation
  return schema.EncodedEpisode(
      span=reader.EpisodeSpan(
          checkpoint_id=2,
          episode_id=5,
          first_add=103,
          length=length,
          padding=3,
          end=end,
          complete_start=complete_start,
          source='observations.gz',
          first_slot=77,
          has_final_observation=final_observation,
      ),
      frames=[b'o%d' % t for t in range(num_frames)],
      actions=np.array([4, 5, 3][:length], np.int32),
      rewards=np.array(rewards, np.float32),
      checksums=np.zeros(num_frames, np.uint32),
      is_blank=np.zeros(num_frames, bool),
      content_sha256='ab12',
  )


def _record(*args, **kwargs):
  return schema.to_record(_episode(*args, **kwargs), 'name', b'blank')


def test_field_names_are_those_of_rlds():
  for name in (
      'STEPS', 'OBSERVATION', 'ACTION', 'REWARD', 'DISCOUNT', 'IS_FIRST',
      'IS_LAST', 'IS_TERMINAL',
  ):
    assert getattr(schema, name) == getattr(rlds, name)


def test_fields_of_rlu_atari_are_there():
  theirs = atari_utils.features_dict()
  ours = schema.atari_features()
  for name, feature in theirs.items():
    if name == schema.STEPS:
      continue
    assert repr(ours[name].get_tensor_info()) == repr(feature.get_tensor_info())
  steps = theirs[schema.STEPS].feature
  assert set(steps) == set(ours[schema.STEPS].feature)
  for name, feature in steps.items():
    own = ours[schema.STEPS].feature[name]
    assert repr(own.get_tensor_info()) == repr(feature.get_tensor_info())
  observation = ours[schema.STEPS].feature[schema.OBSERVATION]
  assert observation.get_tensor_info().shape == (84, 84, 1)


def test_terminal_episode_has_one_more_step():
  record = _record(types.EpisodeEnd.TERMINAL)
  steps = record[schema.STEPS]
  assert steps[schema.OBSERVATION] == [b'o0', b'o1', b'o2', b'blank']
  assert steps[schema.ACTION].tolist() == [4, 5, 3, 0]
  assert steps[schema.REWARD].tolist() == [1, 0, -1, 0]
  assert steps[schema.DISCOUNT].tolist() == [1, 1, 0, 0]
  assert steps[schema.IS_FIRST].tolist() == [True, False, False, False]
  assert steps[schema.IS_LAST].tolist() == [False, False, False, True]
  assert steps[schema.IS_TERMINAL].tolist() == [False, False, False, True]
  assert record[schema.EPISODE_LENGTH] == 3
  assert record[schema.NUM_STEPS] == 4
  assert record[schema.EPISODE_RETURN] == 0
  assert record[schema.END_KIND] == 'terminal'
  assert record[schema.LAST_OBSERVATION_SYNTHETIC]
  assert record[schema.DROPPED_FINAL_ACTION] == schema.NO_ACTION
  assert record[schema.DROPPED_FINAL_REWARD] == 0


@pytest.mark.parametrize(
    'end', [types.EpisodeEnd.TRUNCATED, types.EpisodeEnd.LOG_END]
)
def test_cut_episode_ends_in_its_last_real_observation(end):
  record = _record(end, rewards=(1.0, 1.0, -1.0))
  steps = record[schema.STEPS]
  assert steps[schema.OBSERVATION] == [b'o0', b'o1', b'o2']
  assert steps[schema.ACTION].tolist() == [4, 5, 0]
  assert steps[schema.REWARD].tolist() == [1, 1, 0]
  assert steps[schema.DISCOUNT].tolist() == [1, 1, 1]
  assert steps[schema.IS_LAST].tolist() == [False, False, True]
  assert not steps[schema.IS_TERMINAL].any()
  assert record[schema.EPISODE_LENGTH] == 3
  assert record[schema.NUM_STEPS] == 3
  assert record[schema.EPISODE_RETURN] == 1  # The dropped reward included.
  assert record[schema.END_KIND] == end.value
  assert not record[schema.LAST_OBSERVATION_SYNTHETIC]
  assert record[schema.DROPPED_FINAL_ACTION] == 3
  assert record[schema.DROPPED_FINAL_REWARD] == -1


@pytest.mark.parametrize('end', list(types.EpisodeEnd))
def test_logged_final_observation_is_the_last_step(end):
  """Then nothing is made up and nothing dropped."""
  record = _record(end, final_observation=True)
  steps = record[schema.STEPS]
  is_terminal = end is types.EpisodeEnd.TERMINAL
  assert steps[schema.OBSERVATION] == [b'o0', b'o1', b'o2', b'o3']
  assert steps[schema.ACTION].tolist() == [4, 5, 3, 0]
  assert steps[schema.REWARD].tolist() == [1, 0, -1, 0]
  assert steps[schema.DISCOUNT].tolist() == (
      [1, 1, 0, 0] if is_terminal else [1, 1, 1, 1]
  )
  assert steps[schema.IS_LAST].tolist() == [False, False, False, True]
  assert steps[schema.IS_TERMINAL].tolist() == [False] * 3 + [is_terminal]
  assert record[schema.NUM_STEPS] == 4
  assert not record[schema.LAST_OBSERVATION_SYNTHETIC]
  assert record[schema.DROPPED_FINAL_ACTION] == schema.NO_ACTION
  assert record[schema.DROPPED_FINAL_REWARD] == 0


def test_encodings_differ_only_in_how_a_frame_is_stored():
  as_png = schema.atari_features('png')
  raw = schema.atari_features('raw')
  assert repr(raw.get_tensor_info()) == repr(as_png.get_tensor_info())
  assert isinstance(
      raw[schema.STEPS].feature[schema.OBSERVATION], tfds.features.Tensor
  )
  assert repr(schema.atari_features()) == repr(as_png)
  with pytest.raises(ValueError, match="'jpeg'; expected 'png' or 'raw'"):
    schema.atari_features('jpeg')


def test_episode_without_its_start_has_no_first_step():
  record = _record(types.EpisodeEnd.TERMINAL, complete_start=False)
  assert not record[schema.STEPS][schema.IS_FIRST].any()
  assert not record[schema.COMPLETE_START]
  assert _record(types.EpisodeEnd.TERMINAL)[schema.COMPLETE_START]


@pytest.mark.parametrize('end,steps', [
    (types.EpisodeEnd.TERMINAL, 2), (types.EpisodeEnd.TRUNCATED, 1),
])
def test_single_action(end, steps):
  record = _record(end, rewards=(1.0,))
  assert len(record[schema.STEPS][schema.OBSERVATION]) == steps
  assert record[schema.STEPS][schema.IS_LAST].sum() == 1
  assert record[schema.EPISODE_RETURN] == 1


def test_provenance():
  record = _record(types.EpisodeEnd.TERMINAL)
  assert record[schema.CHECKPOINT_ID] == 2
  assert record[schema.EPISODE_ID] == 5
  assert record[schema.FIRST_ADD_INDEX] == 103
  assert record[schema.SOURCE] == 'observations.gz'
  assert record[schema.FIRST_SLOT] == 77
  assert record[schema.CONTENT_SHA256] == 'ab12'
  assert record[schema.UID] == 'name'
  assert schema.uid('atari_replay', 'Pong_run_1', _episode(
      types.EpisodeEnd.TERMINAL).span) == 'atari_replay/Pong_run_1/02/000005'


def test_episode_itself_is_left_as_it_is():
  episode = _episode(types.EpisodeEnd.TRUNCATED)
  schema.to_record(episode, 'name', b'blank')
  assert episode.actions.tolist() == [4, 5, 3]
  assert episode.rewards.tolist() == [1, 0, -1]
  assert len(episode.frames) == 3


def test_config_name():
  assert schema.config_name('SpaceInvaders', 3) == 'SpaceInvaders_run_3'
  assert schema.config_name('Pong', 1, 'raw') == 'Pong_run_1_raw'
  match = schema.CONFIG_NAME_PATTERN.match('Pong_run_1_raw')
  assert match.groupdict() == {'game': 'Pong', 'run': '1', 'encoding': 'raw'}


@pytest.mark.parametrize(
    'game,run', [('space_invaders', 1), ('', 1), ('Pong ', 1), ('Pong', -1)]
)
def test_bad_config_name(game, run):
  with pytest.raises(ValueError, match='expected CamelCase'):
    schema.config_name(game, run)
