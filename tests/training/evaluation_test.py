"""Tests of evaluations and of the file of their records."""

import dataclasses
import json

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.environments import atari
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import seeding

_RECORD = types.EvaluationRecord(
    agent='student', stage='online', seed=1, learner_steps=2, actor_steps=3,
    frames=12, episode=0, episode_return=-20.5, episode_length=900,
    terminal=True,
)


def _record(learner_steps, actor_steps, episode=0, episode_return=0.0):
  return dataclasses.replace(
      _RECORD, learner_steps=learner_steps, actor_steps=actor_steps,
      episode=episode, episode_return=episode_return,
  )


def _evaluate(seed=4, policy=None, num_episodes=3, epsilon=0.3):
  config = config_lib.EvaluationConfig(epsilon=epsilon, num_parallel=2)
  return evaluation.evaluate(
      atari.AtariConfig(max_episode_steps=25),
      config,
      policy or (lambda observations: np.full(len(observations), 3)),
      evaluation.Progress('student', 'offline', seed, 70, 500),
      num_episodes,
  )


def test_records_say_what_was_played(monkeypatch):
  episodes = [
      rollouts.PlayedEpisode(
          number, np.empty(0), np.zeros(length), np.array(rewards, np.float32),
          terminal,
      )
      for number, length, rewards, terminal in (
          (0, 5, [3.0, -1.0, 8.0], True),
          (1, 2, [-20.0], False),
      )
  ]
  asked = {}

  def play(
      config, policy, numbers, seed, epsilon, num_parallel, num_workers
  ):
    asked.update(numbers=list(numbers), seed=seed, epsilon=epsilon(0),
                 num_parallel=num_parallel, num_workers=num_workers)
    return iter(episodes)

  monkeypatch.setattr(evaluation.rollouts, 'play', play)
  records = _evaluate(num_episodes=2)
  assert asked == {
      'numbers': [0, 1], 'seed': seeding.derive(4, 'evaluation'),
      'epsilon': 0.3, 'num_parallel': 2, 'num_workers': 0,
  }
  common = {'agent': 'student', 'stage': 'offline', 'seed': 4,
            'learner_steps': 70, 'actor_steps': 500, 'frames': 2_000}
  assert records == [
      types.EvaluationRecord(**common, episode=0, episode_return=10.0,
                             episode_length=5, terminal=True),
      types.EvaluationRecord(**common, episode=1, episode_return=-20.0,
                             episode_length=2, terminal=False),
  ]
  assert evaluation.mean_return(records) == -5.0


def test_every_evaluation_of_a_run_plays_the_same_episodes():
  seen = []

  def policy(observations):
    seen.append(observations.sum())
    return np.full(len(observations), 3)

  first, again = _evaluate(policy=policy), _evaluate(policy=policy)
  assert first == again
  assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
  count = len(seen)
  _evaluate(seed=5, policy=policy)
  assert seen[count:] != seen[:count // 2]


def test_records_survive_the_file(tmp_path):
  log = evaluation.EvaluationLog(tmp_path / 'new' / 'folder')
  log.append([_RECORD, _record(2, 3, episode=1, episode_return=0.1)])
  log.append([_record(5, 6)])
  path = tmp_path / 'new' / 'folder' / 'evaluations.jsonl'
  assert evaluation.read_records(path) == log.records
  assert evaluation.EvaluationLog(path.parent).records == log.records
  lines = path.read_text().splitlines()
  assert len(lines) == 3
  assert json.loads(lines[0]) == dataclasses.asdict(_RECORD)


def test_a_file_that_is_not_there_has_no_records(tmp_path):
  assert not evaluation.read_records(tmp_path / 'evaluations.jsonl')
  assert not evaluation.EvaluationLog(tmp_path).evaluations()


def test_records_are_grouped_by_evaluation(tmp_path):
  log = evaluation.EvaluationLog(tmp_path)
  groups = [
      [_record(0, 10, 0), _record(0, 10, 1)],
      [_record(0, 20, 0), _record(0, 20, 1)],  # Nothing was learned between.
      [_record(7, 20, 0)],
  ]
  for group in groups:
    log.append(group)
  assert log.evaluations() == groups


def test_what_will_be_evaluated_again_is_dropped(tmp_path):
  log = evaluation.EvaluationLog(tmp_path)
  log.append([_record(10, 100), _record(20, 200), _record(20, 300),
              _record(30, 300)])
  log.truncate_after(20, 250)
  assert log.records == [_record(10, 100), _record(20, 200)]
  assert evaluation.EvaluationLog(tmp_path).records == log.records
  log.truncate_after(20, 200)  # What is just as old stays.
  assert len(log.records) == 2
  log.truncate_after(-1, -1)
  assert not evaluation.EvaluationLog(tmp_path).records


def test_an_evaluation_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
  log = evaluation.EvaluationLog(tmp_path)
  log.append([_record(1, 1)])

  def crash(*unused_args):
    raise KeyboardInterrupt

  monkeypatch.setattr(evaluation.os, 'replace', crash)
  with pytest.raises(KeyboardInterrupt):
    log.append([_record(2, 2, 0), _record(2, 2, 1)])
  monkeypatch.undo()
  again = evaluation.EvaluationLog(tmp_path)
  assert again.records == [_record(1, 1)]
  again.append([_record(2, 2, 0), _record(2, 2, 1)])
  assert len(evaluation.EvaluationLog(tmp_path).records) == 3
