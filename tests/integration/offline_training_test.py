"""Offline training on a small real store: exact, repeatable and resumable."""

import dataclasses

import numpy as np
import pytest

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import frame_store
from rrl_pipeline.testing import interruptions
from rrl_pipeline.testing import random_play
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import offline
from rrl_pipeline.training import seeding

_ENVIRONMENT = atari.AtariConfig(frame_size=40, max_episode_steps=30)
_NUM_ACTIONS, _SEED = 6, 5
_AGENT = dataclasses.replace(
    methods.METHODS['qdagger'].agent, batch_size=8, target_update_period=9
)
_OFFLINE = config_lib.OfflineConfig(
    num_learner_steps=70, evaluation_period=30, checkpoint_period=20,
    log_period=8,
)
_EVALUATION = config_lib.EvaluationConfig(
    num_episodes=2, num_parallel=2, epsilon=0.1
)


@pytest.fixture(scope='module', name='store')
def fixture_store():
  """Three episodes of random play, with random values of a teacher."""
  store = frame_store.FrameStore(3 * 31, (40, 40), _NUM_ACTIONS, 4)
  generator = np.random.default_rng(0)
  for episode in random_play.episodes(_ENVIRONMENT, 3):
    shape = (len(episode.frames), _NUM_ACTIONS)
    values = generator.normal(0, 0.2, shape).astype(np.float32)
    store.extend(random_play.rows(episode, values))
  assert store.num_added == 93
  return store


def _learner() -> learning.Learner:
  return builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      _AGENT,
      (40, 40, 4),
      'uint8',
      _NUM_ACTIONS,
      seeding.derive(_SEED, 'network'),
  )


def _trainer(directory, store):
  return offline.OfflineTrainer(
      directory, _ENVIRONMENT, _AGENT, _OFFLINE, _EVALUATION, _learner(), store,
      _SEED,
  )


def _end_state(directory, trainer) -> dict[str, object]:
  state = trainer._learner.state
  return {
      f'{part} {i}': variable.numpy()
      for part in ('network', 'target_network')
      for i, variable in enumerate(state[part].variables)
  } | {
      f'optimizer {i}': value
      for i, value in enumerate(state['optimizer'].get_weights())
  } | {
      'evaluations': (directory / 'evaluations.jsonl').read_text(),
      'metrics': (directory / 'metrics.csv').read_text(),
  }


@pytest.fixture(scope='module', name='undisturbed')
def fixture_undisturbed(tmp_path_factory, store):
  directory = tmp_path_factory.mktemp('undisturbed')
  trainer = _trainer(directory, store)
  trainer.run()
  return directory, trainer


def test_the_same_seed_gives_the_same_run(undisturbed, store, tmp_path):
  trainer = _trainer(tmp_path, store)
  trainer.run()
  interruptions.assert_same(
      _end_state(*undisturbed), _end_state(tmp_path, trainer)
  )


def test_steps_are_those_of_the_learner_on_draws_of_the_store(
    undisturbed, store
):
  learner = _learner()
  for step in range(1, 71):
    learner.step(
        store.sample(
            8, 3, 0.99, seeding.derive(_SEED, 'student', 'offline'), step
        ),
        distillation_weight=3.0,
        learning_rate=1e-4,
    )
  for a, b in zip(
      learner.network.variables,
      undisturbed[1]._learner.network.variables,
      strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_evaluations_and_metrics_come_at_their_periods_and_at_the_end(
    undisturbed
):
  directory, trainer = undisturbed
  records = evaluation.read_records(directory / 'evaluations.jsonl')
  assert [(r.learner_steps, r.actor_steps, r.episode) for r in records] == [
      (step, 0, episode) for step in (30, 60, 70) for episode in (0, 1)
  ]
  assert {(r.agent, r.stage, r.seed) for r in records} == {
      ('student', 'offline', _SEED)
  }
  rows = metric_log.read_rows(directory / 'metrics.csv')
  # Every eighth step, and with each checkpoint.
  assert [row['step'] for row in rows] == [
      8, 16, 20, 24, 32, 40, 48, 56, 60, 64, 70
  ]
  for row in rows:
    assert (row['distillation_weight'], row['learning_rate']) == (3.0, 1e-4)
    assert row['loss'] == pytest.approx(
        row['td_loss'] + 3 * row['distillation_loss'], rel=1e-5
    )
    assert 0 <= row['teacher_agreement'] <= 1
  assert {'replay', 'learner', 'evaluation'} == set(trainer.stopwatch.seconds)
  kept = {path.name for path in offline.checkpoints(directory).iterdir()}
  assert kept == {'60', '70'}


# Where the process ends; see online_training_test.py.
_MOMENTS = (
    (learning.Learner, 'update', 13, 'before'),
    (checkpointing.tf.train.Checkpoint, 'write', 2, 'after'),
    (evaluation.EvaluationLog, 'append', 1, 'after'),
    (metric_log.MetricLog, 'write', 2, 'after'),
    (checkpointing.Checkpointer, 'save', 1, 'after'),
)


def test_a_run_killed_five_times_ends_like_an_undisturbed_one(
    undisturbed, store, tmp_path, monkeypatch
):
  reached = []
  for moment in _MOMENTS:
    trainer = _trainer(tmp_path, store)
    reached.append(int(trainer._learner.num_steps))
    with monkeypatch.context() as patch:
      interruptions.kill_at(patch, *moment)
      with pytest.raises(interruptions.Killed):
        trainer.run()
  assert reached == [0, 0, 20, 20, 20]
  trainer = _trainer(tmp_path, store)
  assert int(trainer._learner.num_steps) == 40
  trainer.run()
  interruptions.assert_same(
      _end_state(*undisturbed), _end_state(tmp_path, trainer)
  )
