"""Tests of what the groups of settings of a method refuse."""

import pytest

from rrl_pipeline.agents import config
from rrl_pipeline.agents import method_config


@pytest.mark.parametrize(
    'cls, settings, message',
    [
        (method_config.WeaningConfig, {'schedule': 'steps'},
         "schedule must be one of score, linear, constant, got 'steps'"),
        (method_config.WeaningConfig, {'ratio': 'clipped'},
         "ratio must be one of normalised, raw, got 'clipped'"),
        (method_config.WeaningConfig, {'steps': -1},
         'steps must not be negative, got -1'),
        (method_config.WeaningConfig, {'schedule': 'linear', 'steps': None},
         "at least 1 where schedule is 'linear', got None"),
        (method_config.WeaningConfig, {'max_decay': 0.0},
         'max_decay must be positive, got 0.0'),
        (method_config.RollInConfig, {'horizon': -1},
         'horizon must not be negative'),
        (method_config.RollInConfig, {'shrinkage': 1.1},
         r'shrinkage must be in \[0, 1\], got 1.1'),
        (method_config.RehearsalConfig, {'ratio': 1.0},
         r'ratio must be in \[0, 1\), got 1.0'),
        (method_config.SwitchConfig, {'optimizer': 'new'},
         "optimizer must be one of kept, fresh, got 'new'"),
        (method_config.SwitchConfig, {'target': 'online'},
         'target must be one of copied, kept'),
        (method_config.SwitchConfig, {'replay': 'mixed'},
         'replay must be one of empty, logs'),
    ],
)
def test_impossible_settings_are_refused(cls, settings, message):
  with pytest.raises(ValueError, match=message):
    cls(**settings)


def test_settings_that_contradict_each_other_are_refused():
  with pytest.raises(ValueError, match='rehearsal.ratio 0.5 asks for data'):
    config.AgentConfig(
        prioritized_replay=True,
        rehearsal=method_config.RehearsalConfig(ratio=0.5),
    )
  logs = method_config.SwitchConfig(replay='logs')
  with pytest.raises(ValueError, match="which logs do not have; use rehearsal"):
    config.AgentConfig(switch=logs)
  config.AgentConfig(switch=logs, distillation_weight=0.0)


def test_needs_follow_from_settings():
  never = method_config.WeaningConfig(schedule='constant', steps=None)
  alone = config.AgentConfig(distillation_weight=0.0, weaning=never)
  assert not alone.needs_teacher and not alone.needs_data

  def agent(**settings):
    return config.AgentConfig(
        **{'distillation_weight': 0.0, 'weaning': never} | settings
    )

  assert agent(distillation_weight=1.0).learns_from_teacher
  assert agent(margin_weight=1.0).learns_from_teacher
  roll_in = agent(roll_in=method_config.RollInConfig(horizon=1))
  assert roll_in.needs_teacher and not roll_in.learns_from_teacher
  assert agent(weaning=method_config.WeaningConfig()).needs_teacher
  for settings in (
      {'rehearsal': method_config.RehearsalConfig(ratio=0.1)},
      {'switch': method_config.SwitchConfig(replay='logs')},
  ):
    assert agent(**settings).needs_data
    assert not agent(**settings).needs_teacher
