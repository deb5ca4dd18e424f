"""Tests of the presets."""

import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline import settings
from rrl_pipeline.launch import presets


@pytest.mark.parametrize('name', sorted(presets.PRESETS))
def test_preset_is_a_valid_configuration(name):
  preset = presets.PRESETS[name]
  config = preset.make()
  value = settings.to_json_value(config)
  assert settings.from_json_value(config_lib.PipelineConfig, value) == config
  assert preset.make() == config
  assert preset.summary.endswith('.')
  assert '\n' not in preset.summary


def test_quick_pong_plays_pong_with_sticky_actions():
  environment = presets.PRESETS['pong_quick'].make().environment
  assert environment.game == 'Pong'
  assert environment.sticky_actions == 0.25
