"""Named settings to start a run with; each is one function."""

import dataclasses
from typing import Callable, Mapping, TYPE_CHECKING

# The functions import what they compose: settings live beside their components,
# which take seconds to import, and --help shall not wait for them.
if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import config as agent_config


@dataclasses.dataclass(frozen=True)
class Preset:
  """Settings with a name.

  Attributes:
    summary: what they are for, in one line.
    make: returns them.
    adapt: returns a method, as agents/methods.py has it, at their scale: with
      the schedules that fit their budgets, and otherwise as it is.
  """

  summary: str
  make: Callable[[], 'config_lib.PipelineConfig']
  adapt: Callable[['agent_config.AgentConfig'], 'agent_config.AgentConfig'] = (
      lambda agent: agent
  )


def pong_teacher() -> 'config_lib.PipelineConfig':
  """A teacher for Pong by double DQN, in an hour on two cores.

  It goes on from `pong_dqn_novice`, a bundle of this package whose lineage has
  350,000 agent steps of its own, and is what `pong_dqn` was made with.
  """
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import algorithm_config
  from rrl_pipeline.agents import method_config
  from rrl_pipeline.agents import methods
  from rrl_pipeline.agents import optimizer_config
  from rrl_pipeline.networks import config as network_config
  from rrl_pipeline.training import config as training_config

  return config_lib.PipelineConfig(
      teacher=training_config.TeacherConfig(
          initial_bundle='pong_dqn_novice',
          # A quarter of the student's convolutions: four times as fast on a
          # CPU, and a student need not be built like its teacher.
          network=network_config.NatureConfig(
              padding='valid', channels=(16, 32, 32), hidden_units=256
          ),
          # Faster schedules than Dopamine's, which are made for 200 M frames.
          # Adam's ε above all: Pong's gradients are so small that 1.5e-4 all
          # but stops the first thousands of updates. With a plain maximum the
          # values rose far above the returns, and play stopped improving. The
          # small learning rate at the end steadies the play.
          agent=dataclasses.replace(
              methods.METHODS['tabula_rasa'].agent,
              algorithm=algorithm_config.DqnConfig(double_q=True),
              learning_rate=5e-5,
              weaned_learning_rate=1e-5,
              weaning=method_config.WeaningConfig(
                  schedule='constant', steps=245_000
              ),
              optimizer=optimizer_config.AdamConfig(epsilon=1e-6),
              update_period=2,
              target_update_period=500,
              min_replay_steps=5_000,
              replay_capacity=200_000,
              epsilon_start=0.1,
              epsilon_decay_steps=20_000,
          ),
          online=training_config.OnlineConfig(
              num_actor_steps=340_000,
              evaluation_period=25_000,
              checkpoint_period=20_000,
              log_period=500,
          ),
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=5, num_final_episodes=30, num_parallel=5
      ),
  )


def pong_quick() -> 'config_lib.PipelineConfig':
  """The whole chain in a quarter of an hour on two cores."""
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import methods
  from rrl_pipeline.agents import optimizer_config
  from rrl_pipeline.training import config as training_config

  return config_lib.PipelineConfig(
      teacher=training_config.TeacherConfig(bundle='pong_dqn'),
      collect=training_config.CollectConfig(num_steps=40_000),
      agent=_adapt_pong_quick(methods.METHODS['qdagger'].agent),
      # Learns with the optimiser that the teacher's lineage began with.
      tabula_rasa=dataclasses.replace(
          _adapt_pong_quick(methods.METHODS['tabula_rasa'].agent),
          learning_rate=1e-4,
          weaned_learning_rate=1e-4,
          optimizer=optimizer_config.AdamConfig(epsilon=1e-7),
      ),
      offline=training_config.OfflineConfig(
          num_learner_steps=8_000,
          evaluation_period=8_000,
          checkpoint_period=500,
          log_period=50,
      ),
      online=training_config.OnlineConfig(
          num_actor_steps=3_000,
          # The first one comes before the first update: a student that plays
          # like its teacher is not pulled about by the replay of one game.
          evaluation_period=1_000,
          checkpoint_period=2_000,
          log_period=50,
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=12, num_final_episodes=20, num_parallel=12
      ),
  )


def with_adam_epsilon(
    agent: 'agent_config.AgentConfig', epsilon: float
) -> 'agent_config.AgentConfig':
  """The agent with another ε of Adam, if Adam is its optimiser.

  The paper's 1.5e-4 all but stops the first thousands of updates.
  """
  from rrl_pipeline.agents import optimizer_config

  if not isinstance(agent.optimizer, optimizer_config.AdamConfig):
    return agent
  return dataclasses.replace(
      agent, optimizer=optimizer_config.AdamConfig(epsilon=epsilon)
  )


def _adapt_pong_quick(
    agent: 'agent_config.AgentConfig',
) -> 'agent_config.AgentConfig':
  """The paper's schedules are for a million updates, these for thousands.

  Schedules in agent steps end after two thirds of the budget, where a method
  has them. A learning rate that falls begins at 3e-4 instead of 1e-4.
  """
  changes = {}
  if agent.weaning.steps:
    changes['weaning'] = dataclasses.replace(agent.weaning, steps=2_000)
  if agent.epsilon_decay_steps:
    changes['epsilon_decay_steps'] = 2_000
  if agent.learning_rate > agent.weaned_learning_rate:
    changes['learning_rate'] = 3e-4
  return dataclasses.replace(
      with_adam_epsilon(agent, 1e-5),
      target_update_period=250,
      min_replay_steps=1_000,
      replay_capacity=50_000,
      **changes,
  )


def balloon() -> 'config_lib.PipelineConfig':
  """A student of Perciatelli44, built like it."""
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import methods
  from rrl_pipeline.environments import balloon_config
  from rrl_pipeline.networks import config as network_config
  from rrl_pipeline.training import config as training_config

  return config_lib.PipelineConfig(
      environment=balloon_config.BalloonConfig(),
      network=network_config.MlpConfig(),
      teacher=training_config.TeacherConfig(bundle='perciatelli44'),
      collect=training_config.CollectConfig(
          num_steps=400_000,
          # The teacher strays as the environment's own agents did, not by ε.
          epsilons=(0.0,),
          marco_polo_share=0.8,
          num_parallel=16,
          num_workers=2,
      ),
      agent=_adapt_balloon(methods.METHODS['qdagger'].agent),
      tabula_rasa=_adapt_balloon(methods.METHODS['tabula_rasa'].agent),
      offline=training_config.OfflineConfig(
          num_learner_steps=60_000,
          evaluation_period=30_000,
          checkpoint_period=5_000,
      ),
      online=training_config.OnlineConfig(
          num_actor_steps=60_000,
          evaluation_period=20_000,
          checkpoint_period=20_000,
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=40,
          # The suite `small`.
          num_final_episodes=100,
          epsilon=0.0,
          num_parallel=20,
          num_workers=2,
      ),
  )


def _adapt_balloon(
    agent: 'agent_config.AgentConfig',
) -> 'agent_config.AgentConfig':
  """The agents of the Balloon Learning Environment, in larger batches.

  Its quantile agent learns from 51 quantiles, returns of five steps, γ = 0.993
  and Adam with ε = 2e-5, and explores by MarcoPolo alone. Four of its batches
  of 32 are one here, which costs a CPU two thirds as much again, and fewer of
  them have larger learning rates while there is a teacher. Without one the
  student goes on at the rate of the environment's own agents.

  Rewards are not clipped and the loss of 51 quantiles is a sum, so the gradient
  of the TD error is some thirty times that of the distillation: λ = 3 would
  leave the teacher unheard for tens of thousands of updates.
  """
  from rrl_pipeline.agents import algorithm_config

  changes = {}
  if agent.weaning.steps:
    changes['weaning'] = dataclasses.replace(agent.weaning, steps=40_000)
  if agent.distillation_weight:
    changes['distillation_weight'] = 300.0
  if agent.learning_rate > agent.weaned_learning_rate:
    changes |= {'learning_rate': 2e-4, 'weaned_learning_rate': 2e-6}
  if agent.initial_network == 'teacher':
    changes |= {'learning_rate': 2e-6, 'weaned_learning_rate': 2e-6}
  return dataclasses.replace(
      with_adam_epsilon(agent, 2e-5),
      algorithm=algorithm_config.QuantileConfig(num_quantiles=51),
      n_step=5,
      discount=0.993,
      batch_size=128,
      target_update_period=100,
      min_replay_steps=2_000,
      replay_capacity=400_000,
      epsilon_start=0.0,
      epsilon_end=0.0,
      epsilon_decay_steps=0,
      marco_polo_share=0.8,
      **changes,
  )


PRESETS: Mapping[str, Preset] = {
    'balloon': Preset(
        'Perciatelli44 teaches to fly balloons: some hours on two cores.',
        balloon,
        _adapt_balloon,
    ),
    'pong_quick': Preset(
        'Pong on two cores in a quarter of an hour, control included.',
        pong_quick,
        _adapt_pong_quick,
    ),
    'pong_teacher': Preset(
        'Trains the Pong teacher that comes with this package'
        ' (--stage=teacher).',
        pong_teacher,
    ),
}
