"""Online training on a small real game: exact, repeatable and resumable."""

import dataclasses
import math
import os
import shutil
import signal

import numpy as np
import pytest

from rrl_pipeline import scores
from rrl_pipeline import stopping
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import method_config
from rrl_pipeline.agents import methods
from rrl_pipeline.agents import weaning
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.logs import recorder
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.testing import interruptions
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import row_log
from rrl_pipeline.training import seeding

_ENVIRONMENT = atari.AtariConfig(frame_size=40, max_episode_steps=45)
_NUM_ACTIONS, _SEED = 6, 11
_AGENT = dataclasses.replace(
    methods.METHODS['qdagger'].agent,
    batch_size=8,
    min_replay_steps=40,
    replay_capacity=100,  # The ring wraps twice.
    target_update_period=7,
    weaning=method_config.WeaningConfig(steps=160),
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=240, evaluation_period=80, checkpoint_period=60,
    log_period=5, record_episodes=True,
)
_EVALUATION = config_lib.EvaluationConfig(
    num_episodes=2, num_parallel=2, epsilon=0.1
)


class _Teacher:
  """Values that depend on the observation; counts how often it is asked."""

  kind, num_actions = 'q_values', _NUM_ACTIONS

  def __init__(self):
    self.num_asked = 0

  def values(self, observation):
    assert observation.shape == (1, 40, 40, 4) and observation.dtype == np.uint8
    self.num_asked += 1
    return teacher_values(observation)


def teacher_values(observation: np.ndarray) -> np.ndarray:
  """Means over stripes of the newest frame, as float32 [B, A]."""
  stripes = np.array_split(observation[..., -1] / 255, _NUM_ACTIONS, axis=1)
  return np.stack(
      [stripe.mean(axis=(1, 2)) for stripe in stripes], axis=1
  ).astype(np.float32)


def _guidance() -> guidance_lib.Guidance:
  # Between these a student that loses a point or two is half weaned.
  return guidance_lib.Guidance(
      _Teacher(), scores.Scale(random=-4.0, teacher=1.0)
  )


def _learner() -> learning.Learner:
  return builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      _AGENT,
      (40, 40, 4),
      'uint8',
      _NUM_ACTIONS,
      seeding.derive(_SEED, 'network'),
  )


def _trainer(
    directory, learner=None, guidance=None, agent=_AGENT, config=_ONLINE
):
  setup = online_setup.OnlineSetup(
      directory,
      'student',
      _ENVIRONMENT,
      agent,
      config,
      learner or _learner(),
      _SEED,
      guidance or _guidance(),
  )
  return online.OnlineTrainer(setup, _EVALUATION)


def _end_state(directory, trainer) -> dict[str, object]:
  """All that a resumed run must have in common with an undisturbed one."""
  state = trainer._learner.learner.state
  variables = {
      f'{part} {i}': variable.numpy()
      for part in ('network', 'target_network')
      for i, variable in enumerate(state[part].variables)
  } | {
      f'optimizer {i}': value
      for i, value in enumerate(state['optimizer'].get_weights())
  }
  store = trainer._replay.store
  return variables | {
      'evaluations': (directory / 'evaluations.jsonl').read_text(),
      'metrics': (directory / 'metrics.csv').read_text(),
      'counts': {
          name: count
          for name, count in trainer.counts().items()
          if not name.endswith('_seconds')
      },
      **store.rows(store.oldest, store.num_added)._asdict(),
      **{
          f'recording {path.name}': path.read_bytes()
          for path in (directory / 'recording').glob('[!.]*')
      },
  }


@pytest.fixture(scope='module', name='undisturbed')
def fixture_undisturbed(tmp_path_factory):
  directory = tmp_path_factory.mktemp('undisturbed')
  trainer = _trainer(directory)
  trainer.run()
  return directory, trainer


def test_the_same_seed_gives_the_same_run(undisturbed, tmp_path):
  trainer = _trainer(tmp_path)
  trainer.run()
  interruptions.assert_same(
      _end_state(*undisturbed), _end_state(tmp_path, trainer)
  )


# Where the process ends: at a call of this function, counted from 1 in each
# attempt, either before or after it did its work.
_MOMENTS = (
    # In the middle of the first episode that learns; nothing is saved yet.
    (learning.Learner, 'update', 4, 'before'),
    # The rows are saved, the checkpoint that needs them is not.
    (row_log.RowLog, 'save', 1, 'after'),
    # The second checkpoint of this attempt is half written.
    (checkpointing.Checkpointer, '_write', 2, 'after'),
    # An evaluation is recorded, but no checkpoint knows of it.
    (evaluation.EvaluationLog, 'append', 1, 'after'),
    # Rows of metrics are written that no checkpoint knows of.
    (metric_log.MetricLog, 'write', 3, 'after'),
    # An episode is recorded, but no checkpoint knows of it.
    (recorder.RecordingWriter, 'write', 1, 'after'),
)


def test_a_run_killed_six_times_ends_like_an_undisturbed_one(
    undisturbed, tmp_path, monkeypatch
):
  reached = []
  for moment in _MOMENTS:
    trainer = _trainer(tmp_path)
    reached.append(trainer.actor_steps)
    with monkeypatch.context() as patch:
      interruptions.kill_at(patch, *moment)
      with pytest.raises(interruptions.Killed):
        trainer.run()
  # It did get on in between, and did not begin anew each time.
  assert reached == sorted(reached) and reached[-1] >= 90
  trainer = _trainer(tmp_path)
  assert trainer.actor_steps < 240
  trainer.run()
  interruptions.assert_same(
      _end_state(*undisturbed), _end_state(tmp_path, trainer)
  )


@pytest.mark.parametrize('seconds, saves', [(60.0, True), (-1.0, False)])
def test_a_run_that_was_asked_to_stop_ends_like_an_undisturbed_one(
    undisturbed, tmp_path, monkeypatch, seconds, saves
):
  update = learning.Learner.update

  def signalled(self, *arguments):
    if int(self.num_steps) == 0:  # In the first episode, after 40 steps.
      os.kill(os.getpid(), signal.SIGTERM)
    return update(self, *arguments)

  with monkeypatch.context() as patch:
    patch.setattr(online, 'STOP_SECONDS', seconds)
    patch.setattr(learning.Learner, 'update', signalled)
    with pytest.raises(stopping.Stopped):
      _trainer(tmp_path).run()
  trainer = _trainer(tmp_path)
  assert trainer.actor_steps == (45 if saves else 0)
  trainer.run()
  expected, found = _end_state(*undisturbed), _end_state(tmp_path, trainer)
  # The checkpoint wrote a row of its own.
  del expected['metrics'], found['metrics']
  interruptions.assert_same(expected, found)


def test_a_finished_run_is_not_continued(undisturbed, tmp_path):
  directory, trainer = undisturbed
  shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
  again = _trainer(tmp_path)
  again.run()
  interruptions.assert_same(
      _end_state(directory, trainer), _end_state(tmp_path, again)
  )


def test_replay_holds_what_was_played(undisturbed):
  _, trainer = undisturbed
  store = trainer._replay.store
  # 240 steps are five whole episodes of 45 and 15 steps of a sixth; each of
  # the five has a last row.
  assert store.num_added == 245 and trainer.counts()['episodes'] == 6
  rows = store.rows(store.oldest, store.num_added)
  environment = factory.make(
      _ENVIRONMENT, seeding.derive(_SEED, 'student', 'environment')
  )
  expected = []
  for episode in range(6):
    start = episode * 46
    actions = {}
    for number in range(max(start, store.oldest), min(start + 46, 245)):
      actions[number - start] = rows.action[number - store.oldest]
    if len(actions) < min(46, 245 - start):
      continue  # Its first actions are overwritten.
    environment.start_at_episode(episode)
    timestep = environment.reset()
    for t, action in sorted(actions.items()):
      i = start + t - store.oldest
      np.testing.assert_array_equal(rows.observation[i], timestep.observation)
      assert rows.is_first[i] == (t == 0) and rows.is_last[i] == (t == 45)
      assert not rows.is_terminal[i]  # A time limit.
      if t < 45:
        timestep = environment.step(action)
        assert rows.reward[i] == timestep.reward
    expected.append(episode)
  assert expected == [4, 5]  # What a ring of 100 rows holds as a whole.


def test_the_teacher_is_asked_until_the_student_is_weaned(undisturbed):
  directory, trainer = undisturbed
  # At the evaluation after 160 steps; from then on it is not run at all.
  assert trainer._setup.guidance.teacher.num_asked == 160
  store = trainer._replay.store
  numbers = np.arange(store.oldest, store.num_added)
  rows = store.rows(store.oldest, store.num_added)
  # Rows are steps and the last rows of the episodes before them.
  steps = numbers - numbers // 46
  guided = (steps < 160) & ~rows.is_last
  np.testing.assert_allclose(
      rows.teacher_values[guided],
      teacher_values(rows.observation[guided][..., None]),
  )
  assert guided.sum() > 10 and not rows.teacher_values[~guided].any()
  assert metric_log.read_rows(directory / 'metrics.csv')[-1][
      'distillation_weight'
  ] == 0


def test_weaning_follows_the_evaluations(undisturbed):
  directory, trainer = undisturbed
  groups = trainer.evaluations.evaluations()
  assert [group[0].actor_steps for group in groups] == [80, 160, 240]
  assert {len(group) for group in groups} == {2}
  score = (evaluation.mean_return(groups[0]) + 4) / 5
  assert 0 < score < 1  # Else this test would show nothing.
  decays = {0: 1.0, 80: 1 - score, 160: 0.0, 240: 0.0}
  rows = metric_log.read_rows(directory / 'metrics.csv')
  for row in rows:
    # The evaluation at a step is made after the update at that step; the end
    # at t₀ does not wait for it.
    decay = decays[80 * math.ceil(row['actor_steps'] / 80) - 80]
    if row['actor_steps'] >= 160:
      decay = 0.0
      assert row['weaned_at'] == 160
    else:
      assert 'weaned_at' not in row
    assert row['distillation_weight'] == pytest.approx(3 * decay)
    assert row['learning_rate'] == pytest.approx(
        weaning.learning_rate(decay, 1e-4, 1e-5)
    )
    assert row['epsilon'] == 0.01
    assert row['frames'] == 4 * row['actor_steps']
  weights = sorted({row['distillation_weight'] for row in rows})
  assert weights == pytest.approx([0, 3 * decays[80], 3])


def test_the_learner_steps_once_in_four_steps_from_the_fortieth_on(undisturbed):
  directory, trainer = undisturbed
  assert trainer.counts()['learner_steps'] == 240 // 4 - 40 // 4 + 1
  rows = metric_log.read_rows(directory / 'metrics.csv')
  for row in rows:
    assert row['step'] == row['actor_steps'] // 4 - 9
  for group in trainer.evaluations.evaluations():
    for record in group:
      assert record.learner_steps == record.actor_steps // 4 - 9
      assert record.frames == 4 * record.actor_steps


class _IdleLearner(learning.Learner):
  """Counts steps and learns nothing."""

  def update(
      self, transitions, weights, learning_rate, importance_weights=None
  ):
    assert weights.td == 1 and importance_weights is None
    self.batch_shapes = {len(column) for column in transitions}
    self.num_steps.assign_add(1)
    return learning.Update(
        learning.LearnerMetrics(*[np.float32(0)] * 6), np.zeros(8, np.float32)
    )


@pytest.mark.parametrize(
    'update_period, min_replay_steps, steps, expected',
    [
        (1, 5, 60, 56),  # After the steps 5, 6, …, 60.
        (3, 10, 60, 17),  # After 12, 15, …, 60.
        (8, 61, 60, 0),
    ],
)
def test_the_replay_ratio_is_exact(
    tmp_path, update_period, min_replay_steps, steps, expected
):
  agent = dataclasses.replace(
      _AGENT, update_period=update_period, min_replay_steps=min_replay_steps
  )
  networks = _learner().state
  learner = _IdleLearner(
      networks['network'], networks['target_network'], agent
  )
  config = dataclasses.replace(
      _ONLINE, num_actor_steps=steps, evaluation_period=100
  )
  trainer = _trainer(tmp_path, learner, agent=agent, config=config)
  trainer.run()
  assert trainer.actor_steps == steps
  assert trainer.counts()['learner_steps'] == expected
  assert int(learner.num_steps) == expected
  if expected:
    assert learner.batch_shapes == {8}
  # What came after the last update is saved too.
  assert trainer._replay.store.num_added == steps + steps // 45


def test_rows_that_no_checkpoint_knows_of_are_not_kept(tmp_path):
  # Another machine may have written them, where it would not play the same.
  (tmp_path / 'rows').mkdir()
  (tmp_path / 'rows' / '0-46.npz').write_bytes(b'')
  _trainer(tmp_path)
  assert not list((tmp_path / 'rows').iterdir())


def test_distilling_without_a_teacher_is_refused(tmp_path):
  with pytest.raises(
      ValueError, match="'student' needs a teacher, but has none: distillation_weight is 3"
  ):
    online_setup.OnlineSetup(
        tmp_path, 'student', _ENVIRONMENT, _AGENT, _ONLINE, _learner(), _SEED
    )
