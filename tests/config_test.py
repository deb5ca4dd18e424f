"""Tests of the settings of a whole run."""

import json
import re

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline import overrides
from rrl_pipeline import run_directory
from rrl_pipeline import settings

_DEFAULTS = settings.flatten(config_lib.PipelineConfig())


def test_file_holds_the_settings_exactly(tmp_path):
  config = overrides.apply(
      config_lib.PipelineConfig(),
      ['seed=7', 'agent.n_step=1', 'logs.checkpoints=0,2', 'dataset.run=4'],
  )
  path = tmp_path / 'config.json'
  run_directory.write_json(path, settings.to_json_value(config))
  assert config_lib.read(path) == config
  stored = json.loads(path.read_text())
  assert stored['agent']['n_step'] == 1
  assert stored['logs']['checkpoints'] == '0,2'


@hypothesis.given(st.sampled_from(sorted(_DEFAULTS)))
def test_every_setting_can_be_set_to_what_it_is(name):
  value = _DEFAULTS[name]
  if value is None:
    text = 'none'
  elif isinstance(value, list):
    text = ','.join(map(str, value))
  else:
    text = str(value)
  config = overrides.apply(config_lib.PipelineConfig(), [f'{name}={text}'])
  assert config == config_lib.PipelineConfig()


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('seed=-1', 'seed must not be negative, got -1'),
        (
            'logs.checkpoints=newest',
            "logs: checkpoints must be 'latest', 'all' or numbers such as '0,2'"
            ", got 'newest'",
        ),
        ('logs.checkpoints=1,', "got '1,'"),
        ('dataset.run=0', 'dataset: run must be at least 1, got 0'),
        (
            'offline.checkpoints=newest',
            "offline: checkpoints must be 'all' or numbers and ranges such as"
            " '0,3' or '40-49', got 'newest'",
        ),
        (
            'offline.mixing_weights=1,0',
            'offline: mixing_weights must be positive, got (1.0, 0.0)',
        ),
        (
            'offline.max_memory_gib=0',
            'offline: max_memory_gib must be positive, got 0.0',
        ),
        (
            'offline.draws_per_row=0',
            'offline: draws_per_row must be positive, got 0.0',
        ),
    ],
)
def test_impossible_setting_is_refused(override, message):
  with pytest.raises(ValueError, match=re.escape(message)):
    overrides.apply(config_lib.PipelineConfig(), [override])


def test_each_dataset_has_its_weight():
  mixed = ['dataset.mix=a,b', 'offline.mixing_weights=3,1,0.5']
  config = overrides.apply(config_lib.PipelineConfig(), mixed)
  assert config.dataset.mix == ('a', 'b')
  assert config.offline.mixing_weights == (3.0, 1.0, 0.5)
  with pytest.raises(
      ValueError, match='mixing_weights has 3 weights, .* there are 2 datasets'
  ):
    overrides.apply(config, ['dataset.mix=a'])


def test_logs_beside_a_dataset_are_refused():
  with pytest.raises(
      ValueError, match="logs.path is 'a' and dataset.path is 'b', but logs"
  ):
    overrides.apply(
        config_lib.PipelineConfig(), ['logs.path=a', 'dataset.path=b']
    )


@pytest.mark.parametrize('checkpoints', ['latest', 'all', '0', '0,2,17'])
def test_possible_checkpoints(checkpoints):
  logs = config_lib.LogsConfig(checkpoints=checkpoints)
  assert logs.checkpoints == checkpoints


def test_settings_of_another_version_are_refused(tmp_path):
  path = tmp_path / 'config.json'
  data = settings.to_json_value(config_lib.PipelineConfig())
  data['agent']['momentum'] = 0.9
  run_directory.write_json(path, data)
  with pytest.raises(
      ValueError,
      match=r'config.json cannot be used: unknown setting agent.momentum; go on'
      ' with the version of rrl_pipeline that started the run',
  ):
    config_lib.read(path)
