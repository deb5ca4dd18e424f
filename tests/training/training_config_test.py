"""Tests of the settings of the stages: what is refused."""

import pytest

from rrl_pipeline.training import config


@pytest.mark.parametrize(
    'make, field',
    [
        (config.EvaluationConfig, 'num_episodes'),
        (config.EvaluationConfig, 'num_final_episodes'),
        (config.EvaluationConfig, 'num_parallel'),
        (config.OnlineConfig, 'num_actor_steps'),
        (config.OnlineConfig, 'evaluation_period'),
        (config.OnlineConfig, 'checkpoint_period'),
        (config.OnlineConfig, 'log_period'),
        (config.OfflineConfig, 'evaluation_period'),
        (config.OfflineConfig, 'checkpoint_period'),
        (config.OfflineConfig, 'log_period'),
        (config.CollectConfig, 'num_steps'),
        (config.CollectConfig, 'checkpoint_period'),
        (config.CollectConfig, 'num_parallel'),
    ],
)
def test_counts_must_be_positive(make, field):
  with pytest.raises(ValueError, match=f'^{field} must be at least 1, got 0.$'):
    make(**{field: 0})


def test_the_exploration_of_evaluations_must_be_a_probability():
  with pytest.raises(ValueError, match='epsilon must be a probability, got 2'):
    config.EvaluationConfig(epsilon=2)


@pytest.mark.parametrize('epsilons', [(), (0.5, 1.1), (-0.1,)])
def test_exploration_rates_must_be_probabilities(epsilons):
  with pytest.raises(ValueError, match='epsilons must be probabil') as error:
    config.CollectConfig(epsilons=epsilons)
  assert str(epsilons) in str(error.value)


@pytest.mark.parametrize(
    ('make', 'field'),
    [
        (config.OfflineConfig, 'num_learner_steps'),
        (config.EvaluationConfig, 'num_workers'),
        (config.CollectConfig, 'num_workers'),
    ],
)
def test_counts_that_may_be_zero_must_not_be_negative(make, field):
  assert getattr(make(**{field: 0}), field) == 0
  with pytest.raises(ValueError, match=f'^{field} must not be negative'):
    make(**{field: -1})
