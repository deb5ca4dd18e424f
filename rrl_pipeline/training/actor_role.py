"""An actor of a distributed run: plays with the learner's latest weights.

It plays several environments at once, each an actor of its own to the learner.
"""

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

# Environments that share a batch of the network, to which four observations are
# little more than one. They are single ones: ALE's vector environment rounds a
# pixel of every 26th frame the other way, and an episode of it cannot be
# started by its number.
NUM_ENVIRONMENTS = 4
# Steps of each between looks at the learner's counters.
_PULL_PERIOD = 6


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
  policy, stopwatch = acting.GreedyPolicy(network), timing.Stopwatch()
  actors = []
  first = NUM_ENVIRONMENTS * index
  for number in range(first, first + NUM_ENVIRONMENTS):
    environment = factory.make(
        environment_config, seeding.derive(seed, agent, 'environment', number)
    )
    adder = actor_rows.ActorStepAdder(
        link.client, environment.action_spec().num_values, number
    )
    adder.learner_steps = state.learner_steps
    actors.append(
        actor_lib.Actor(
            environment,
            environment_config,
            policy,
            agent_config,
            adder,
            seeding.derive(seed, agent, 'exploration', number),
            teacher,
            stopwatch,
            exploration.make(environment_config, agent_config.marco_polo_share),
        )
    )
    # One that is started anew plays other episodes than before it died: no
    # episode is shorter than a step.
    actors[-1].episode = int(state.actor_steps)
  while not link.is_finished:
    counters = link.counters()
    if counters and counters.learner_steps != state.learner_steps:
      state = link.update_policy(network.variables)
      for actor in actors:
        actor.adder.learner_steps = state.learner_steps
    for actor in actors:
      actor.horizon = int(state.horizon)
    for _ in range(_PULL_PERIOD):
      actor_lib.step_together(
          actors, int(state.actor_steps), bool(state.asks_teacher)
      )
