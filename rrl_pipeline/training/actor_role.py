"""An actor of a distributed run: plays with the learner's latest weights."""

from typing import Optional

import tensorflow as tf

from rrl_pipeline.agents import acting
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.replay import actor_rows
from rrl_pipeline.teachers import teacher as teacher_lib
from rrl_pipeline.training import actor as actor_lib
from rrl_pipeline.training import exploration
from rrl_pipeline.training import role_link
from rrl_pipeline.training import seeding
from rrl_pipeline.training import timing

# Own steps between looks at the learner's counters.
_PULL_PERIOD = 25


def act(
    link: role_link.RoleLink,
    agent: str,
    index: int,
    environment_config: environment_config_lib.EnvironmentConfig,
    agent_config: agent_config_lib.AgentConfig,
    network: tf.keras.Model,
    seed: int,
    teacher: Optional[teacher_lib.Teacher],
) -> None:
  """Plays until the learner needs no more steps.

  Args:
    link: to the other roles.
    agent: name of the agent in the records.
    index: of this actor; no two have the same.
    environment_config: what it plays.
    agent_config: how it explores.
    network: Q-values; its weights are replaced by the learner's.
    seed: of the run.
    teacher: needed where the agent's method asks for one.
  """
  state = link.update_policy(network.variables)
  environment = factory.make(
      environment_config, seeding.derive(seed, agent, 'environment', index)
  )
  adder = actor_rows.ActorStepAdder(
      link.client, environment.action_spec().num_values, index
  )
  adder.learner_steps = state.learner_steps
  actor = actor_lib.Actor(
      environment,
      environment_config,
      acting.GreedyPolicy(network),
      agent_config,
      adder,
      seeding.derive(seed, agent, 'exploration', index),
      teacher,
      timing.Stopwatch(),
      exploration.make(environment_config, agent_config.marco_polo_share),
  )
  # An actor that is started anew plays other episodes than before it died: no
  # episode is shorter than a step.
  actor.episode = int(state.actor_steps)
  while not link.is_finished:
    counters = link.counters()
    if counters and counters.learner_steps != state.learner_steps:
      state = link.update_policy(network.variables)
      adder.learner_steps = state.learner_steps
    actor.horizon = int(state.horizon)
    for _ in range(_PULL_PERIOD):
      actor.step(int(state.actor_steps), bool(state.asks_teacher))
