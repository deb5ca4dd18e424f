"""The evaluator of a distributed run: plays with the weights it is offered."""

import time

import tensorflow as tf

from rrl_pipeline.agents import acting
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import role_link

_POLL_SECONDS = 0.5


def evaluate(
    link: role_link.RoleLink,
    agent: str,
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.EvaluationConfig,
    network: tf.keras.Model,
    seed: int,
) -> None:
  """Evaluates what the learner offers, until it is finished.

  Args:
    link: to the other roles.
    agent: name of the agent in the records.
    environment_config: what is played.
    config: how.
    network: Q-values; its weights are replaced by those that are offered.
    seed: of the run.
  """
  policy = acting.GreedyPolicy(network)
  done = 0
  while not link.is_finished:
    counters = link.counters()
    if counters is None or counters.offer in (0, done):
      time.sleep(_POLL_SECONDS)
      continue
    state = link.update_offer(network.variables)
    progress = evaluation.Progress(
        agent=agent,
        stage='online',
        seed=seed,
        learner_steps=int(state.learner_steps),
        actor_steps=int(state.actor_steps),
    )
    records = evaluation.evaluate(
        environment_config, config, policy, progress, config.num_episodes
    )
    link.send_evaluation(role_link.Evaluation(counters.offer, records))
    done = counters.offer
