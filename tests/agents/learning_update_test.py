"""Tests of the learner's update: every algorithm, every term, every option."""

import dataclasses

from acme import types
import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import losses
from rrl_pipeline.agents import optimizer_config
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.testing import blocks_left
import tensorflow as tf

_BATCH, _ACTIONS, _SHAPE = 8, 3, (10, 10, 4)
_CONFIG = config_lib.AgentConfig(batch_size=_BATCH, target_update_period=3)
_ALGORITHMS = [
    algorithm_config.DqnConfig(),
    algorithm_config.DqnConfig(double_q=True),
    algorithm_config.C51Config(num_atoms=11, v_max=2.0),
    algorithm_config.QuantileConfig(num_quantiles=7),
    algorithm_config.IqnConfig(5, 4, 3, 8),
]
_AUGMENTATION = config_lib.AugmentationConfig(padding=2, intensity_scale=0.05)
_IDS = ('dqn', 'double', 'c51', 'quantile', 'iqn')


def _learner(seed=0, teacher_kind='q_values', **settings):
  return builder.make_learner(
      network_config.MinatarConfig(channels=2, hidden_units=8),
      dataclasses.replace(_CONFIG, **settings),
      _SHAPE,
      'uint8',
      _ACTIONS,
      seed,
      teacher_kind,
  )


def _batch(seed=0):
  generator = np.random.default_rng(seed)
  observations = generator.integers(0, 256, (2, _BATCH, *_SHAPE), np.uint8)
  return types.Transition(
      observation=observations[0],
      action=generator.integers(0, _ACTIONS, _BATCH).astype(np.int32),
      reward=generator.normal(0, 1, _BATCH).astype(np.float32),
      discount=np.where(np.arange(_BATCH) == 2, 0, 0.97).astype(np.float32),
      next_observation=observations[1],
      extras=generator.normal(0, 0.3, (_BATCH, _ACTIONS)).astype(np.float32),
  )


def _rows(batch, index):
  return types.Transition(*(column[index] for column in batch))


def _variables(learner):
  return [v.numpy() for v in learner.network.variables]


def _all_equal(first, second):
  return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize('algorithm', _ALGORITHMS, ids=_IDS)
def test_every_algorithm_learns(algorithm):
  learner = _learner(algorithm=algorithm)
  found = [learner.step(_batch(), 1.0, 1e-2) for _ in range(40)]
  # The target of the TD loss moves with the network, and a distribution's
  # loss has a floor above 0.
  for name, part in (('td_loss', 0.95), ('distillation_loss', 0.8)):
    values = [float(getattr(metrics, name)) for metrics in found]
    assert np.mean(values[-5:]) < part * np.mean(values[:5])
  assert learner._traced_step.experimental_get_tracing_count() == 1


def test_a_seed_gives_the_same_draws_and_another_one_others():
  runs = []
  for seed in (1, 1, 2):
    learner = _learner(algorithm=_ALGORITHMS[-1], augmentation=_AUGMENTATION)
    learner = learning.Learner(
        learner.state['network'],
        learner.state['target_network'],
        dataclasses.replace(
            _CONFIG, algorithm=_ALGORITHMS[-1], augmentation=_AUGMENTATION
        ),
        seed,
    )
    learner.step(_batch(), 1.0, 1e-3)
    runs.append(_variables(learner))
  assert _all_equal(runs[0], runs[1])
  assert not _all_equal(runs[0], runs[2])


# One that draws nothing but augmentations, and one that draws fractions too.
@pytest.mark.parametrize(
    'algorithm', [_ALGORITHMS[0], _ALGORITHMS[-1]], ids=('dqn', 'iqn')
)
def test_a_restored_learner_draws_what_it_would_have_drawn(algorithm, tmp_path):
  settings = {'algorithm': algorithm, 'augmentation': _AUGMENTATION}
  whole = _learner(**settings)
  for i in range(4):
    whole.step(_batch(i), 1.0, 1e-3)
  path = tf.train.Checkpoint(**whole.state).write(str(tmp_path / 'a'))
  resumed = _learner(**settings)
  tf.train.Checkpoint(**resumed.state).read(path).assert_consumed()
  for learner in (whole, resumed):
    for i in range(4, 7):
      learner.step(_batch(i), 1.0, 1e-3)
  assert _all_equal(_variables(whole), _variables(resumed))


def test_the_optimizer_has_a_slot_for_every_variable_and_is_reset():
  for config in (
      optimizer_config.AdamConfig(),
      optimizer_config.RmspropConfig(),
  ):
    learner = _learner(optimizer=config)
    initial = _variables(learner)
    learner.step(_batch(), 1.0, 1e-3)
    once = _variables(learner)
    learner.reset_optimizer()
    for variable, value in zip(learner.network.variables, initial):
      variable.assign(value)
    assert not any(
        v.numpy().any() for v in learner.state['optimizer'].variables()
    )
    learner.step(_batch(), 1.0, 1e-3)
    assert _all_equal(_variables(learner), once)
    assert int(learner.num_steps) == 2


# Not with IQN: for another batch it draws other fractions.
@pytest.mark.parametrize('algorithm', _ALGORITHMS[:-1], ids=_IDS[:-1])
def test_one_transition_alone_counts_like_one_of_importance_batch_size(
    algorithm,
):
  weights = learning.LossWeights(td=1.0, distillation=2.0)
  alone, weighted = (_learner(algorithm=algorithm) for _ in range(2))
  update = alone.update(_rows(_batch(), slice(4, 5)), weights, 1e-3)
  importance = np.zeros(_BATCH, np.float32)
  importance[4] = _BATCH
  other = weighted.update(_batch(), weights, 1e-3, importance)
  for name in ('loss', 'td_loss', 'distillation_loss'):
    assert float(getattr(update.metrics, name)) == pytest.approx(
        float(getattr(other.metrics, name)), rel=1e-4
    )
  for a, b in zip(_variables(alone), _variables(weighted), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
  # Priorities are those of the transitions, whatever they weigh.
  assert other.priorities.shape == (_BATCH,)
  assert float(other.priorities[4]) == pytest.approx(
      float(update.priorities[0]), rel=1e-4
  )


def test_priorities_are_of_the_td_term_only():
  found = [
      _learner().update(
          _batch(), learning.LossWeights(distillation=weight), 1e-3
      ).priorities
      for weight in (0.0, 50.0)
  ]
  np.testing.assert_array_equal(*found)


def test_each_term_counts_by_its_weight():
  learner = _learner(margin_weight=1.0, conservative_weight=1.0)
  batch = _batch()
  q = learner.network(batch.observation)
  expected = {
      'distillation': losses.distillation(q, tf.constant(batch.extras), 0.1),
      'margin': losses.margin(
          q, tf.argmax(batch.extras, axis=1), 1.0, 'elementwise'
      ),
      'conservative': losses.conservative(q, tf.constant(batch.action), 0.1),
  }
  expected = {k: float(np.mean(v)) for k, v in expected.items()}
  weights = learning.LossWeights(0.5, 2.0, 3.0, 0.25)
  metrics = learner.update(batch, weights, 0.0).metrics
  for name, value in expected.items():
    assert float(getattr(metrics, f'{name}_loss')) == pytest.approx(value, 1e-4)
  assert float(metrics.loss) == pytest.approx(
      0.5 * float(metrics.td_loss)
      + sum(getattr(weights, name) * v for name, v in expected.items()),
      rel=1e-4,
  )


def test_a_step_has_the_weights_of_the_configuration():
  settings = {'td_weight': 0.0, 'margin_weight': 2.0, 'margin_form': 'max'}
  metrics = _learner(**settings).step(_batch(), 1.5, 0.0)
  assert metrics.conservative_loss is None
  assert float(metrics.loss) == pytest.approx(
      1.5 * float(metrics.distillation_loss) + 2.0 * float(metrics.margin_loss)
  )


@pytest.mark.parametrize(
    'kind, function',
    [
        ('q_values', losses.distillation),
        ('logits', losses.logit_distillation),
        ('action', losses.action_distillation),
    ],
)
def test_a_teachers_values_are_read_by_its_kind(kind, function):
  learner, batch = _learner(teacher_kind=kind), _batch()
  q = learner.network(batch.observation)
  loss = float(learner.step(batch, 1.0, 0.0).distillation_loss)
  expected = np.mean(function(q, tf.constant(batch.extras), 0.1))
  assert loss == pytest.approx(expected, rel=1e-4)


def test_gradients_are_compared_every_few_steps_while_there_is_a_teacher():
  learner, batch = _learner(diagnostics_period=3), _batch()
  present = [
      learner.step(batch, weight, 1e-3).gradient_cosine is not None
      for weight in (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0)
  ]
  assert present == [i == 2 or i == 8 for i in range(9)]


def test_compared_gradients_equal_those_of_the_losses():
  learner, batch = _learner(diagnostics_period=1), _batch()
  q_t = learner.state['target_network'].values(batch.next_observation)
  variables = learner.network.trainable_variables
  with tf.GradientTape(persistent=True) as tape:
    q = learner.network(batch.observation)
    errors = losses.n_step_td_errors(
        q, *(tf.constant(x) for x in batch[1:4]), q_t, q_t
    )
    td = tf.reduce_mean(losses.huber(errors))
    kl = tf.reduce_mean(losses.distillation(q, tf.constant(batch.extras), 0.1))
  a, b = (
      np.concatenate([g.numpy().ravel() for g in tape.gradient(x, variables)])
      for x in (td, kl)
  )
  metrics = learner.step(batch, 3.0, 1e-3)
  norms = np.linalg.norm(a), np.linalg.norm(b)
  assert float(metrics.td_gradient_norm) == pytest.approx(norms[0], rel=1e-4)
  assert float(metrics.distillation_gradient_norm) == pytest.approx(
      norms[1], rel=1e-4
  )
  assert float(metrics.gradient_cosine) == pytest.approx(
      a @ b / norms[0] / norms[1], rel=1e-3, abs=1e-5
  )


def test_comparing_gradients_changes_nothing():
  learners = [_learner(diagnostics_period=period) for period in (1, 1_000)]
  for learner in learners:
    for i in range(3):
      learner.step(_batch(i), 3.0, 1e-3)
  assert _all_equal(*map(_variables, learners))


def test_states_and_next_states_are_augmented_differently():
  learner = _learner(augmentation=_AUGMENTATION)
  batch = _batch()
  batch = batch._replace(
      next_observation=batch.observation,
      reward=np.zeros(_BATCH, np.float32),
      discount=np.ones(_BATCH, np.float32),
      action=learner.network(batch.observation).numpy().argmax(axis=1),
  )
  batch = batch._replace(action=batch.action.astype(np.int32))
  # Of the same images, the greedy actions' errors would be zero.
  plain = _learner().update(batch, learning.LossWeights(), 0.0).priorities
  np.testing.assert_allclose(plain, np.zeros(_BATCH), atol=1e-6)
  augmented = learner.update(batch, learning.LossWeights(), 0.0).priorities
  assert (augmented.numpy() > 1e-3).sum() > _BATCH // 2


def test_vectors_are_learned_from():
  learner = builder.make_learner(
      network_config.MlpConfig(hidden_sizes=(6, 5)),
      dataclasses.replace(_CONFIG, algorithm=_ALGORITHMS[3]),
      (9,), 'float32', _ACTIONS, 0,
  )
  observations = np.random.default_rng(0).normal(size=(2, _BATCH, 9))
  batch = _batch()._replace(
      observation=observations[0].astype(np.float32),
      next_observation=observations[1].astype(np.float32),
  )
  assert np.isfinite(learner.step(batch, 1.0, 1e-3).loss)


def test_bfloat16_learns_about_the_same():
  exact, mixed = _learner(), _learner(precision='bfloat16')
  for i in range(20):
    found = [l.step(_batch(i % 2), 1.0, 1e-3) for l in (exact, mixed)]
  assert float(found[1].loss) == pytest.approx(float(found[0].loss), rel=0.1)
  assert float(found[1].loss) != float(found[0].loss)


def test_the_update_is_traced_once_whatever_the_weights():
  learner = _learner(diagnostics_period=2)
  for i in range(6):
    learner.update(
        _batch(i), learning.LossWeights(1.0, 3.0 / (i + 1)), 1e-3 / (i + 1),
        np.full(_BATCH, 1.0 + i, np.float32),
    )
  assert learner._traced_step.experimental_get_tracing_count() == 1
  assert learner._compare_gradients.experimental_get_tracing_count() == 1


def test_an_update_leaves_no_memory_behind():
  learner, batch = _learner(), _batch()

  def update(i):
    learner.update(batch, learning.LossWeights(1.0, i / 9), 1e-3 * i)

  # It would leave one for each tensor it makes, and one for the learning rate.
  assert blocks_left.per_call(update, 300) < 0.5
