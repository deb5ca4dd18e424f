"""The learner of a distributed run, fed by hand instead of by actors."""

import dataclasses
import os
import signal
import threading

import dm_env
import numpy as np
import pytest

from rrl_pipeline import scores
from rrl_pipeline import stopping
from rrl_pipeline import types
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import method_config
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import actor_rows
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import learner_role
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import patience
from rrl_pipeline.training import role_link

_ENVIRONMENT = atari.AtariConfig(frame_size=40, max_episode_steps=45)
_AGENT = dataclasses.replace(
    methods.METHODS['qdagger'].agent,
    batch_size=4, min_replay_steps=40, replay_capacity=500,
    target_update_period=7, weaning=method_config.WeaningConfig(steps=160),
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=400, evaluation_period=200, checkpoint_period=150,
    log_period=5,
)
_EPISODE = 20


class _Actors:
  """Writes rows of several actors, one step of each in turn, for ever."""

  def __init__(self, address: str, num_actors: int, teacher_value: float):
    link = role_link.RoleLink(address)
    self._adders = [
        actor_rows.ActorStepAdder(link.client, 6, i) for i in range(num_actors)
    ]
    self._teacher_values = np.full(6, teacher_value, np.float32)
    self._link = link
    threading.Thread(target=self._play, daemon=True).start()

  def _play(self):
    frame = np.zeros((40, 40), np.uint8)
    while True:
      for adder in self._adders:
        adder.add_first(dm_env.restart(frame))
      for t in range(_EPISODE):
        end = dm_env.termination if t == _EPISODE - 1 else dm_env.transition
        for adder in self._adders:
          adder.add(t % 6, end(np.float32(1), frame), self._teacher_values)


def _evaluate(address: str) -> None:
  """Answers offers as an evaluator would, that is slow."""
  link = role_link.RoleLink(address)
  variables = _learner().network.variables
  done = 0
  while not link.is_finished:
    counters = link.counters()
    if counters and counters.offer not in (0, done):
      state = link.update_offer(variables)
      record = types.EvaluationRecord(
          agent='student', stage='online', seed=0,
          learner_steps=int(state.learner_steps),
          actor_steps=int(state.actor_steps),
          frames=4 * int(state.actor_steps), episode=0,
          episode_return=-4.0, episode_length=9, terminal=True,
      )
      answer = role_link.Evaluation(counters.offer, [record])
      # Of the learner before this one, whose weights of then were others.
      stale = dataclasses.replace(record, episode_return=9.0)
      link.send_evaluation(role_link.Evaluation(counters.offer + 1, [stale]))
      link.send_evaluation(answer)
      link.send_evaluation(answer)  # Twice, as one that was started again.
      done = counters.offer


def _learner():
  return builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      _AGENT, (40, 40, 4), 'uint8', 6, seed=3,
  )


def _role(directory, agent=_AGENT, config=_ONLINE):
  guidance = guidance_lib.Guidance(None, scores.Scale(random=-4.0, teacher=1.0))
  return learner_role.LearnerRole(
      online_setup.OnlineSetup(
          directory, 'student', _ENVIRONMENT, agent, config, _learner(), 0,
          guidance,
      )
  )


@pytest.fixture(name='address')
def fixture_address():
  server = role_link.make_server(
      factory.interface(_ENVIRONMENT), _learner().network.variables, 16
  )
  yield f'localhost:{server.port}'
  server.stop()


def _run(role, address, num_actors=3, teacher_value=1.0):
  _Actors(address, num_actors, teacher_value)
  threading.Thread(target=_evaluate, args=(address,), daemon=True).start()
  role.run(role_link.RoleLink(address))


@pytest.mark.parametrize('num_actors, update_period', [(1, 4), (3, 4), (3, 7)])
def test_one_update_for_so_many_steps_of_all(
    tmp_path, address, num_actors, update_period
):
  agent = dataclasses.replace(_AGENT, update_period=update_period)
  role = _role(tmp_path, agent)
  _run(role, address, num_actors)
  rows = metric_log.read_rows(tmp_path / 'metrics.csv')
  learner_steps = rows[-1]['step']
  # The step with which learning began. Episodes of 20 steps are handed on when
  # they end, which the row behind the last step says.
  first = (400 // update_period - learner_steps + 1) * update_period
  assert 40 < first <= 40 + _EPISODE * num_actors + update_period
  if num_actors == 1:
    assert first == 44
  for row in rows:
    assert row['actor_steps'] // update_period == (
        row['step'] - 1 + first // update_period
    )
    assert row['training_return'] == _EPISODE
  assert role.actor_steps == 400
  records = role._run.evaluations.records
  assert [record.actor_steps for record in records] == [200, 400]
  assert {record.episode_return for record in records} == {-4.0}
  # Nothing is left of what a run may be resumed with, and it is finished.
  again = _role(tmp_path, agent)
  assert again.actor_steps == 400 and not len(again._snapshots)
  assert int(again._learner.num_steps) == learner_steps


def _rows(client, adder, steps):
  """An episode's rows: of its start and of (reward, teacher's value) each."""
  frame = np.zeros((40, 40), np.uint8)
  adder.add_first(dm_env.restart(frame))
  for number, (reward, value) in enumerate(steps, 1):
    end = dm_env.termination if number == len(steps) else dm_env.transition
    adder.add(0, end(np.float32(reward), frame), np.full(6, value, np.float32))
  return actor_rows.read(client, len(steps) + 1)


def test_rows_without_the_teacher_are_not_learned_from(tmp_path, address):
  link = role_link.RoleLink(address)
  role = _role(tmp_path)
  role._link = link
  adder = actor_rows.ActorStepAdder(link.client, 6, 0)
  for row in _rows(link.client, adder, [(0, 1), (0, 0), (0, 1)]):
    role._take(row)
  # The student is not weaned, so the second one is from before a restart.
  assert role.actor_steps == 2


def test_rows_that_come_twice_count_once(tmp_path, address):
  link = role_link.RoleLink(address)
  role = _role(tmp_path)
  role._link = link
  adder = actor_rows.ActorStepAdder(link.client, 6, 0)
  rows = _rows(link.client, adder, 3 * [(1, 1)])
  for row in (*rows[:2], *rows[:2], rows[2], rows[3], rows[2]):
    role._take(row)
  assert role.actor_steps == role._run.stored_steps == 3
  assert role._run.training_return == 3
  # The reward of a lost row is missed, and so is the return.
  rows = _rows(link.client, adder, 3 * [(5, 1)])
  for row in (rows[0], *rows[2:]):
    role._take(row)
  assert role.actor_steps == 5
  assert role._run.training_return == 3


def test_a_learner_without_a_server_leaves_a_checkpoint(
    tmp_path, address, monkeypatch
):
  role = _role(tmp_path)
  link = role_link.RoleLink(address)
  reads = []

  def read_steps(max_rows):
    if len(reads) == 2:
      raise patience.UnreachableError('gone')
    reads.append(actor_rows.read(link.client, 10))
    return reads[-1]

  monkeypatch.setattr(link, 'read_steps', read_steps)
  _Actors(address, 1, 1.0)
  with pytest.raises(patience.UnreachableError):
    role.run(link)
  assert role.actor_steps == 20
  assert _role(tmp_path).actor_steps == 20


def test_a_learner_that_is_stopped_after_its_server_leaves_a_checkpoint(
    tmp_path, address, monkeypatch
):
  """As where a scheduler ends all roles at once, and the server is quicker."""
  role = _role(tmp_path)
  link = role_link.RoleLink(address)
  reads = []

  def read_steps(max_rows):
    if reads:
      os.kill(os.getpid(), signal.SIGTERM)
      return link.patience.retry(gone)
    reads.append(actor_rows.read(link.client, 10))
    return reads[-1]

  def gone():
    raise RuntimeError('closed')

  monkeypatch.setattr(link, 'read_steps', read_steps)
  _Actors(address, 1, 1.0)
  with pytest.raises(stopping.Stopped):
    role.run(link)
  assert _role(tmp_path).actor_steps == role.actor_steps == 10


def test_episodes_cannot_be_recorded(tmp_path):
  config = dataclasses.replace(_ONLINE, record_episodes=True)
  with pytest.raises(ValueError, match='online.record_episodes is for one'):
    _role(tmp_path, config=config)
