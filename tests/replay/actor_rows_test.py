"""Tests of the queue that several actors share."""

import dm_env
from dm_env import specs
import numpy as np
import pytest
import reverb

from rrl_pipeline.replay import actor_rows

_SHAPE, _ACTIONS = (3, 2), 4


@pytest.fixture(name='client')
def fixture_client():
  observation_spec = specs.BoundedArray(_SHAPE, np.uint8, 0, 255)
  server = reverb.Server(
      [actor_rows.queue(observation_spec, _ACTIONS, max_unread=64)]
  )
  yield reverb.Client(f'localhost:{server.port}')
  server.stop()


def _frame(value: int) -> np.ndarray:
  return np.full(_SHAPE, value, np.uint8)


def test_rows_say_whose_they_are_and_their_number(client):
  adders = [actor_rows.ActorStepAdder(client, _ACTIONS, i) for i in range(2)]
  for i, adder in enumerate(adders):
    adder.add_first(dm_env.restart(_frame(10 * i)))
  for t in range(3):
    for i, adder in enumerate(adders):
      adder.learner_steps = 100 * i + t
      last = t == 2
      adder.add(
          t,
          (dm_env.termination if last else dm_env.transition)(
              np.float32(t), _frame(10 * i + t + 1)
          ),
          np.full(_ACTIONS, i, np.float32),
      )
  rows = actor_rows.read(client, 8)
  for i in range(2):
    own = [row for row in rows if row.actor == i]
    assert [int(row.observation[0, 0]) for row in own] == [
        10 * i + t for t in range(4)
    ]
    numbers = np.array([row.number for row in own])
    np.testing.assert_array_equal(numbers - numbers[0], range(4))
    assert [bool(row.is_first) for row in own] == [True, False, False, False]
    assert [bool(row.is_last) for row in own] == [False, False, False, True]
    assert [int(row.learner_steps) for row in own[:3]] == [
        100 * i + t for t in range(3)
    ]
    assert own[0].teacher_values.tolist() == [i] * _ACTIONS
  first = {int(row.actor): int(row.number) for row in rows if row.is_first}
  assert first[0] != first[1]
