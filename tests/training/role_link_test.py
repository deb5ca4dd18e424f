"""Tests of what roles say to each other, through a real server."""

import socket

import numpy as np
import pytest
import tensorflow as tf

from rrl_pipeline import types
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import eager_tensors
from rrl_pipeline.testing import blocks_left
from rrl_pipeline.training import patience
from rrl_pipeline.training import role_link

_STATE = role_link.PolicyState(120, 30, True, 7)


def _variables(value: float) -> list[tf.Variable]:
  return [tf.Variable(tf.fill(shape, value)) for shape in ((3, 2), (2,))]


@pytest.fixture(name='links')
def fixture_links():
  interface = factory.interface(atari.AtariConfig(frame_size=40))
  server = role_link.make_server(interface, _variables(0.0), max_unread=8)
  address = f'localhost:{server.port}'
  yield role_link.RoleLink(address), role_link.RoleLink(address)
  server.stop()


def _record(episode: int) -> types.EvaluationRecord:
  return types.EvaluationRecord(
      agent='student', stage='online', seed=1, learner_steps=30,
      actor_steps=120, frames=480, episode=episode, episode_return=1.5,
      episode_length=9, terminal=True,
  )


def test_weights_come_with_their_state(links):
  learner, actor = links
  assert not actor.has_policy
  learner.push_policy(_STATE, _variables(1.0))
  learner.push_policy(_STATE._replace(learner_steps=31), _variables(2.0))
  learner.push_offer(_STATE, [v.numpy() for v in _variables(3.0)])
  variables = _variables(0.0)
  assert actor.update_policy(variables) == _STATE._replace(learner_steps=31)
  assert [np.unique(v.numpy()).tolist() for v in variables] == [[2.0], [2.0]]
  assert actor.update_offer(variables) == _STATE
  assert [np.unique(v.numpy()).tolist() for v in variables] == [[3.0], [3.0]]


def test_weights_leave_no_memory_behind(links):
  eager_tensors.stop_leak()
  learner, actor = links
  variables = _variables(1.0)

  def exchange(i):
    learner.push_policy(_STATE._replace(actor_steps=i), variables)
    actor.update_policy(variables)

  # Each tensor of the four numbers and two weights would leave one at least on
  # either side. The thread of a call leaves one with TensorFlow, too.
  assert blocks_left.per_call(exchange, 100) < 8


def test_counters_are_the_latest(links):
  learner, actor = links
  assert actor.counters() is None
  for steps in (4, 8):
    learner.push_counters(role_link.Counters(steps, steps // 4, 2**61))
  assert actor.counters() == role_link.Counters(8, 2, 2**61)
  assert actor.counters() == role_link.Counters(8, 2, 2**61)


def test_all_are_told_of_the_end(links):
  learner, actor = links
  assert not actor.is_finished
  learner.finish()
  assert actor.is_finished


def test_evaluations_arrive_once(links):
  learner, evaluator = links
  assert not learner.read_evaluations()
  evaluations = [
      role_link.Evaluation(2**61, [_record(0), _record(1)]),
      role_link.Evaluation(7, [_record(2)]),
  ]
  for evaluation in evaluations:
    evaluator.send_evaluation(evaluation)
  assert learner.read_evaluations() == evaluations
  assert not learner.read_evaluations()


def test_a_server_that_is_not_there_is_named(monkeypatch):
  with socket.socket() as taken:
    taken.bind(('localhost', 0))  # Nobody listens.
    address = f'localhost:{taken.getsockname()[1]}'
    monkeypatch.setattr(patience, 'PATIENCE_SECONDS', 0.3)
    with pytest.raises(
        patience.UnreachableError, match=f'at {address} has not .*refused'
    ):
      role_link.RoleLink(address)
