"""Tests of what the datasets of replay logs are called and hold."""

import pytest

from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema


@pytest.mark.parametrize(
    'dataset, config, expected',
    [
        ('atari_replay', 'Pong_run_1', ('Pong', 1, False)),
        ('atari_replay', 'Pong_run_12_raw', ('Pong', 12, True)),
        ('atari_replay', 'station_seeker_run_1', None),
        ('minatar_replay', 'breakout_run_1', None),
        ('balloon_replay', 'station_seeker_run_3', ('station_seeker', 3, False)),
        ('own_replay', 'a_run_1_run_2_raw', ('a_run_1', 2, True)),
        ('own_replay', 'a_run_', None),
        ('own_replay', 'Pong-v5_run_1', None),
    ],
)
def test_the_parts_of_names(dataset, config, expected):
  found = replay_datasets.parse_config(dataset, config)
  if expected is None:
    assert found is None
  else:
    assert found == replay_datasets.ConfigName(*expected)
    assert str(found) == config


@pytest.mark.parametrize(
    'dataset, config, shape, dtype, encoding',
    [
        ('atari_replay', 'Pong_run_1', (84, 84), 'uint8', 'png'),
        ('atari_replay', 'Pong_run_1_raw', (84, 84), 'uint8', 'raw'),
        ('balloon_replay', 'a_run_1', (1099,), 'float32', 'zlib'),
        ('minatar_replay', 'Seaquest_run_1_raw', (10, 10, 10), 'uint8', 'raw'),
    ],
)
def test_known_datasets(dataset, config, shape, dtype, encoding):
  found = replay_datasets.known_dataset(dataset, config)
  assert found.observation == observations.ObservationFormat(
      shape, encoding, dtype
  )
  assert (schema.EPISODE_METADATA in found.features()) == (
      dataset != 'atari_replay'
  )


def test_features_of_atari_are_as_ever():
  found = replay_datasets.known_dataset('atari_replay', 'Pong_run_1')
  assert repr(found.features()) == repr(schema.atari_features())


@pytest.mark.parametrize(
    'dataset, config, shape, message',
    [
        ('balloon_replay', 'a_run_1', (7,), r'float32 \(7,\); .* \(1099,\)'),
        ('minatar_replay', 'Pong_run_1', (10, 10, 4), "no game 'Pong'"),
        ('own_replay', 'a', (7,), "'a'; expected <name>_run_<number>"),
        ('Own', 'a_run_1', (7,), "'Own'; expected lower case"),
    ],
)
def test_what_does_not_fit_is_refused(dataset, config, shape, message):
  observation = observations.ObservationFormat(shape, 'zlib', 'float32')
  with pytest.raises(ValueError, match=message):
    replay_datasets.ReplayDataset(dataset, config, observation)
