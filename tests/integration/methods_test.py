"""Every method online on a small real game: repeatable, resumable, and itself.

Each method runs for a few dozen updates, as it is but for its schedules. What
is its own is then looked for in what it did.
"""

import collections
import dataclasses

import numpy as np
import pytest

from rrl_pipeline import scores
from rrl_pipeline.agents import acting
from rrl_pipeline.agents import algorithm_config
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
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import seeding
from rrl_pipeline.training import teacher_data

_ENVIRONMENT = atari.AtariConfig(frame_size=40, max_episode_steps=45)
_NUM_ACTIONS, _SEED, _STEPS = 6, 7, 150
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=_STEPS, evaluation_period=50, checkpoint_period=30,
    log_period=1,
)
_EVALUATION = config_lib.EvaluationConfig(
    num_episodes=1, num_parallel=1, epsilon=0.1
)
_LOGGED_EPISODES = 2
_LOGGED_ROWS = _LOGGED_EPISODES * 46


def _agent(name):
  """A method with schedules for a hundred steps."""
  agent = methods.METHODS[name].agent
  changes = {}
  if agent.weaning.steps:
    changes['weaning'] = dataclasses.replace(agent.weaning, steps=100)
  if agent.roll_in.horizon:
    changes['roll_in'] = dataclasses.replace(agent.roll_in, horizon=20)
  if agent.algorithm.kind == 'c51':
    changes['algorithm'] = algorithm_config.C51Config(num_atoms=5)
  return dataclasses.replace(
      agent,
      conservative_weight=0.0,  # As in the online stage.
      min_replay_steps=40,
      replay_capacity=110,  # The ring wraps.
      target_update_period=5,
      epsilon_decay_steps=min(agent.epsilon_decay_steps, 100),
      diagnostics_period=10,
      **changes,
  )


class _Teacher:
  """Values that depend on the observation; notes what it is asked."""

  kind, num_actions = 'q_values', _NUM_ACTIONS

  def __init__(self):
    self.frames = []

  def values(self, observation):
    self.frames.append(observation[0, ..., -1].copy())
    stripes = np.array_split(observation[..., -1] / 255, _NUM_ACTIONS, axis=1)
    return np.stack(
        [stripe.mean(axis=(1, 2)) for stripe in stripes], axis=1
    ).astype(np.float32)


@pytest.fixture(scope='module', name='episodes')
def fixture_episodes():
  """Two episodes of random play, as the rows of a dataset."""
  return [
      random_play.rows(
          episode, np.zeros((len(episode.frames), _NUM_ACTIONS), np.float32)
      )
      for episode in random_play.episodes(_ENVIRONMENT, _LOGGED_EPISODES)
  ]


class _Source:
  """The teacher's data; notes how many transitions of it are asked for."""

  def __init__(self, episodes):
    self.counts = []
    self._store = frame_store.FrameStore(
        _LOGGED_ROWS, (40, 40), _NUM_ACTIONS, 4, reward_limit=1.0
    )
    for rows in episodes:
      self._store.extend(rows)

  def sample(self, batch_size, *arguments):
    self.counts.append(batch_size)
    return self._store.sample(batch_size, *arguments)


def _trainer(directory, name, episodes):
  agent = _agent(name)
  guidance = data = None
  if agent.needs_teacher:
    # Far above what a student reaches by chance.
    guidance = guidance_lib.Guidance(
        _Teacher(), scores.Scale(random=-20.0, teacher=20.0)
    )
  data = teacher_data.TeacherData(
      _Source(episodes) if agent.rehearsal.ratio else None,
      teacher_data.NewestEpisodes(_LOGGED_ROWS, lambda: iter(episodes))
      if agent.switch.replay == 'logs'
      else None,
  )
  learner = builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      agent,
      (40, 40, 4),
      'uint8',
      _NUM_ACTIONS,
      seeding.derive(_SEED, 'network'),
  )
  setup = online_setup.OnlineSetup(
      directory, 'student', _ENVIRONMENT, agent, _ONLINE, learner, _SEED,
      guidance, data,
  )
  trainer = online.OnlineTrainer(setup, _EVALUATION)
  trainer.teacher = guidance and guidance.teacher
  trainer.source = data.source
  return trainer


def _end_state(directory, trainer):
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
  if trainer._replay._sampler is not None:
    variables |= trainer._replay._sampler.state()
  return variables | {
      'evaluations': (directory / 'evaluations.jsonl').read_text(),
      'metrics': (directory / 'metrics.csv').read_text(),
      **store.rows(store.oldest, store.num_added)._asdict(),
  }


Run = collections.namedtuple('Run', 'directory trainer rows weights')


@pytest.fixture(scope='module', name='run_of')
def fixture_run_of(tmp_path_factory, episodes):
  """The undisturbed run of a method, by name."""
  runs = {}

  def run_of(name):
    if name not in runs:
      directory = tmp_path_factory.mktemp(name)
      weights = []
      with pytest.MonkeyPatch.context() as patch:
        original = learning.Learner.update

        def spy(learner, transitions, *arguments):
          weights.append(arguments)
          return original(learner, transitions, *arguments)

        patch.setattr(learning.Learner, 'update', spy)
        trainer = _trainer(directory, name, episodes)
        trainer.run()
      runs[name] = Run(
          directory, trainer,
          metric_log.read_rows(directory / 'metrics.csv'), weights,
      )
    return runs[name]

  return run_of


@pytest.mark.parametrize('name', methods.METHODS)
def test_a_killed_run_ends_like_an_undisturbed_one(
    name, run_of, episodes, tmp_path, monkeypatch
):
  trainer = _trainer(tmp_path, name, episodes)
  with monkeypatch.context() as patch:
    # The replay is saved a second time, the checkpoint that needs it is not.
    interruptions.kill_at(
        patch, checkpointing.Checkpointer, 'save', 2, 'before'
    )
    with pytest.raises(interruptions.Killed):
      trainer.run()
  trainer = _trainer(tmp_path, name, episodes)
  assert 40 < trainer.actor_steps < _STEPS
  trainer.run()
  undisturbed = run_of(name)
  interruptions.assert_same(
      _end_state(undisturbed.directory, undisturbed.trainer),
      _end_state(tmp_path, trainer),
  )


@pytest.mark.parametrize('name', methods.METHODS)
def test_rates_and_weights_are_those_of_the_method(name, run_of):
  run, agent = run_of(name), _agent(name)
  groups = run.trainer.evaluations.evaluations()
  scored = [(g[0].actor_steps, (g[0].episode_return + 20) / 40) for g in groups]
  first = 4 if agent.switch.replay == 'logs' else 40
  assert len(run.weights) == len(range(first, _STEPS + 1, 4))
  for steps, (weights, rate, *_) in zip(
      range(first, _STEPS + 1, 4), run.weights, strict=True
  ):
    decay = 1.0
    if agent.weaning.schedule == 'score':
      for at, score in scored:
        if at < steps:
          decay = 1 - score
    if agent.weaning.steps is not None and steps >= agent.weaning.steps:
      decay = 0.0
    assert weights.td == agent.td_weight
    assert weights.distillation == pytest.approx(
        agent.distillation_weight * decay
    )
    assert weights.margin == pytest.approx(agent.margin_weight * decay)
    assert weights.conservative == 0
    assert rate == pytest.approx(
        decay * agent.learning_rate + (1 - decay) * agent.weaned_learning_rate
    )


@pytest.mark.parametrize('name', methods.METHODS)
def test_what_is_logged_belongs_to_the_method(name, run_of):
  run, agent = run_of(name), _agent(name)
  weaned = agent.learns_from_teacher and agent.weaning.steps is not None
  for row in run.rows:
    guides = agent.learns_from_teacher and not (
        weaned and row['actor_steps'] >= 100
    )
    assert ('teacher_agreement' in row) == guides
    assert ('margin_loss' in row) == bool(guides and agent.margin_weight)
    assert ('margin_weight' in row) == bool(agent.margin_weight)
    assert ('weaned_at' in row) == (weaned and row['actor_steps'] >= 100)
    assert ('roll_in_horizon' in row) == bool(agent.roll_in.horizon)
    assert 'conservative_loss' not in row
    assert ('return_entropy' in row) == (agent.algorithm.kind == 'c51')
    if row['actor_steps'] > 45:
      assert row['overestimation'] == pytest.approx(
          row['mean_q'] - row['realised_value']
      )
  assert {row['weaned_at'] for row in run.rows if 'weaned_at' in row} <= {100}


@pytest.mark.parametrize('name', methods.METHODS)
def test_the_teacher_is_run_no_more_than_the_method_asks(name, run_of):
  run, agent = run_of(name), _agent(name)
  if agent.learns_from_teacher:
    steps = 100 if agent.weaning.steps else _STEPS
    assert len(run.trainer.teacher.frames) == steps
  elif not agent.roll_in.horizon:
    assert run.trainer.teacher is None


def test_jsrl_rolls_in_with_the_teachers_actions_ever_more_briefly(run_of):
  run, agent = run_of('jsrl'), _agent('jsrl')
  horizons = [20, 16, 12, 9]
  for row in run.rows:
    evaluations = (row['actor_steps'] - 1) // 50
    assert row['roll_in_horizon'] == horizons[int(evaluations)]
  # Episodes of 45 steps begin at these steps, after so many evaluations.
  lengths = []
  for episode, start in enumerate(range(0, _STEPS, 45)):
    generator = np.random.Generator(
        np.random.Philox(
            key=[seeding.derive(_SEED, 'student', 'exploration'), episode]
        )
    )
    lengths.append(
        min(
            acting.roll_in_steps(horizons[start // 50], generator),
            _STEPS - start,
        )
    )
  assert len(run.trainer.teacher.frames) == sum(lengths)
  store = run.trainer._replay.store
  rows = store.rows(store.oldest, store.num_added)
  # Of the last two whole episodes all is held: whoever played the first steps
  # took the teacher's action.
  for episode in (2, 3):
    start = 46 * episode - store.oldest
    for t in range(lengths[episode]):
      values = _Teacher().values(rows.observation[start + t][None, ..., None])
      assert rows.action[start + t] == values.argmax()
  assert agent.roll_in.horizon == 20 and max(lengths) <= 20


@pytest.mark.parametrize(
    'name, least, most', [('rehearsal', 0, 8), ('symmetric_sampling', 16, 16)]
)
def test_data_is_rehearsed_in_its_share(name, least, most, run_of):
  run = run_of(name)
  counts = run.trainer.source.counts
  assert counts and all(least <= count <= most for count in counts)
  if name == 'rehearsal':
    # 28 batches of 32, a sixteenth each: 56 ± 7.2.
    assert 56 - 4 * 7.2 < sum(counts) < 56 + 4 * 7.2
  else:
    assert len(counts) == len(run.weights)


@pytest.mark.parametrize(
    'name', ['fine_tuning', 'reload_original_lr', 'fine_tuning_rmsprop']
)
def test_a_reloaded_agent_begins_with_the_logs_and_without_a_warm_up(
    name, run_of
):
  run = run_of(name)
  assert run.rows[0]['actor_steps'] == 4
  assert {row['epsilon'] for row in run.rows} == {0.01}
  # What it played itself comes behind the logs.
  assert run.trainer._replay.store.num_added == _LOGGED_ROWS + _STEPS + 3


def test_rainbow_weighs_by_importance_and_others_do_not(run_of):
  for _, _, importance in run_of('qdagger_rainbow').weights:
    assert importance.max() == 1 and (importance > 0).all()
  assert any(
      importance.min() < 1
      for _, _, importance in run_of('qdagger_rainbow').weights
  )
  assert all(w[2] is None for w in run_of('qdagger').weights)


def test_a_warm_start_plays_by_what_it_learned_until_the_first_update(run_of):
  run = run_of('warm_start')
  assert run.rows[0]['actor_steps'] == 40
  assert {row['epsilon'] for row in run.rows} == {0.01}


@pytest.mark.parametrize(
    'name, message',
    [
        ('jsrl', "'student' needs a teacher, but has none: .*horizon 20"),
        ('dqfd', "'student' needs a teacher, but has none: .*margin_weight 1"),
        ('rehearsal', "rehearsal.ratio is 0.0625, but there is no data"),
        ('fine_tuning', "switch.replay is logs, but there is no data"),
    ],
)
def test_what_a_method_needs_must_be_there(name, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    setup = online_setup.OnlineSetup(
        tmp_path, 'student', _ENVIRONMENT, _agent(name), _ONLINE,
        builder.make_learner(
            network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
            _agent(name), (40, 40, 4), 'uint8', _NUM_ACTIONS, 0,
        ),
        _SEED,
    )
    online.OnlineTrainer(setup, _EVALUATION)
