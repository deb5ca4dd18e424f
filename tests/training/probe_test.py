"""Tests of the measurements that come before a stage."""

import time

from dm_env import specs
import numpy as np
import pytest

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.training import probe


def test_first_call_is_not_counted(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(time, 'perf_counter', lambda: now[0])
  durations = iter([100.0] + [2.0] * 100)
  batches = []
  interface = environment_lib.Interface(
      specs.Array((4, 5), np.uint8), (4, 5, 2), ('NOOP',)
  )

  def policy(observations):
    batches.append(observations)
    now[0] += next(durations)

  assert probe.seconds_per_batch(policy, interface, 3) == pytest.approx(2.0)
  for batch in batches:
    assert batch.shape == (3, 4, 5, 2)
    assert batch.dtype == np.uint8


def test_real_environment_and_learner_take_some_time():
  config = agent_config.AgentConfig(batch_size=2)
  learner = builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=2),
      config,
      (84, 84, 4),
      'uint8',
      6,
      seed=0,
  )
  update = probe.seconds_per_update(
      learner, config, factory.interface(atari.AtariConfig())
  )
  step = probe.seconds_per_environment_step(atari.AtariConfig())
  assert 0 < update < 5
  assert 0 < step < 1
