"""Benchmark suites: which tasks are played, and on what terms.

A suite is data: games, the settings of a game's run, and how a method whose
numbers are those of the paper's experiments is brought to the suite's scale.
"""

import dataclasses
from typing import Any, Callable, Mapping, TYPE_CHECKING

# The functions import what they compose: settings live beside their components,
# which take seconds to import, and --help shall not wait for them.
if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import config as agent_config

# Agarwal et al. (2022): ten games, 10 M frames of four per agent step.
_PAPER_GAMES = (
    'Asterix',
    'BeamRider',
    'Bowling',
    'Breakout',
    'Enduro',
    'MsPacman',
    'Qbert',
    'Riverraid',
    'Seaquest',
    'SpaceInvaders',
)
_PAPER_ACTOR_STEPS = 2_500_000
_MINATAR_GAMES = (
    'Asterix',
    'Breakout',
    'Freeway',
    'Seaquest',
    'SpaceInvaders',
)


@dataclasses.dataclass(frozen=True)
class Suite:
  """A benchmark with a name.

  Attributes:
    summary: what it is, in one line.
    games: what can be played.
    settings: returns the settings of the run of a game: its teacher, its data,
      and the budget of a student.
    adapt: returns a method, as agents/methods.py has it, at this scale.
  """

  summary: str
  games: tuple[str, ...]
  settings: Callable[[str], 'config_lib.PipelineConfig']
  adapt: Callable[['agent_config.AgentConfig'], 'agent_config.AgentConfig']


def atari10(game: str) -> 'config_lib.PipelineConfig':
  """The paper's protocol, which is what all settings have by default.

  Its teachers were DQNs of 400 M frames: weeks on a CPU. Whoever has one gives
  it by --set teacher.bundle and its data by --set dataset.path.
  """
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.environments import atari
  from rrl_pipeline.training import config as training_config

  return config_lib.PipelineConfig(
      environment=atari.AtariConfig(game=game),
      teacher=training_config.TeacherConfig(
          # Dopamine's dqn.gin, by which the paper's teachers were trained.
          agent=dataclasses.replace(
              _tabula_rasa(),
              n_step=1,
              epsilon_decay_steps=250_000,
          ),
          online=training_config.OnlineConfig(num_actor_steps=100_000_000),
      ),
      control=False,
  )


def atari10_100k(game: str) -> 'config_lib.PipelineConfig':
  """100,000 agent steps of a student, a million of its teacher."""
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.environments import atari
  from rrl_pipeline.training import config as training_config

  return config_lib.PipelineConfig(
      environment=atari.AtariConfig(game=game),
      teacher=training_config.TeacherConfig(
          agent=dataclasses.replace(
              _adapt_100k(_tabula_rasa()),
              epsilon_decay_steps=50_000,
          ),
          online=training_config.OnlineConfig(
              num_actor_steps=1_000_000,
              evaluation_period=50_000,
              checkpoint_period=20_000,
              log_period=500,
          ),
      ),
      collect=training_config.CollectConfig(num_steps=100_000),
      control=False,
      offline=training_config.OfflineConfig(
          num_learner_steps=40_000,
          evaluation_period=10_000,
          checkpoint_period=2_000,
          log_period=200,
      ),
      online=training_config.OnlineConfig(
          num_actor_steps=100_000,
          evaluation_period=10_000,
          checkpoint_period=10_000,
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=10, num_final_episodes=30, num_parallel=10
      ),
  )


def minatar(game: str) -> 'config_lib.PipelineConfig':
  """A student has a tenth of its teacher's million steps."""
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import method_config
  from rrl_pipeline.environments import minatar as minatar_lib
  from rrl_pipeline.networks import config as network_config
  from rrl_pipeline.training import config as training_config

  network = network_config.MinatarConfig()
  return config_lib.PipelineConfig(
      environment=minatar_lib.MinAtarConfig(game=game),
      network=network,
      teacher=training_config.TeacherConfig(
          network=network,
          # A hundredth of the learning rate at the end steadies the play.
          agent=dataclasses.replace(
              _adapt_minatar(_tabula_rasa()),
              epsilon_decay_steps=100_000,
              weaning=method_config.WeaningConfig(
                  schedule='constant', steps=900_000
              ),
              weaned_learning_rate=2.5e-6,
          ),
          online=training_config.OnlineConfig(
              num_actor_steps=1_000_000,
              evaluation_period=50_000,
              checkpoint_period=50_000,
              log_period=2_000,
          ),
      ),
      collect=training_config.CollectConfig(num_steps=100_000),
      control=False,
      offline=training_config.OfflineConfig(
          num_learner_steps=100_000,
          evaluation_period=20_000,
          checkpoint_period=20_000,
          log_period=1_000,
      ),
      online=training_config.OnlineConfig(
          num_actor_steps=100_000,
          evaluation_period=5_000,
          checkpoint_period=20_000,
          log_period=1_000,
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=20, num_final_episodes=100, num_parallel=20
      ),
  )


def _tabula_rasa() -> 'agent_config.AgentConfig':
  """What teachers learn by, and what a suite's learning rate is chosen for."""
  from rrl_pipeline.agents import methods

  return methods.METHODS['tabula_rasa'].agent


def _adapt_100k(
    agent: 'agent_config.AgentConfig',
) -> 'agent_config.AgentConfig':
  from rrl_pipeline.agents import optimizer_config

  if isinstance(agent.optimizer, optimizer_config.AdamConfig):
    # The paper's 1.5e-4 all but stops the first thousands of updates.
    agent = dataclasses.replace(
        agent, optimizer=optimizer_config.AdamConfig(epsilon=1e-5)
    )
  return _adapt(
      agent,
      num_actor_steps=100_000,
      learning_rate=1e-4,
      target_update_period=250,
      min_replay_steps=1_000,
      replay_capacity=100_000,
  )


def _adapt_minatar(
    agent: 'agent_config.AgentConfig',
) -> 'agent_config.AgentConfig':
  """The DQN of Young and Tian (2019), with Adam instead of RMSProp."""
  return _adapt(
      agent,
      num_actor_steps=100_000,
      learning_rate=2.5e-4,
      update_period=1,
      target_update_period=1_000,
      # They begin after 5,000 of five million steps.
      min_replay_steps=1_000,
      replay_capacity=100_000,
  )


def _adapt(
    agent: 'agent_config.AgentConfig',
    num_actor_steps: int,
    learning_rate: float,
    **changes: Any,
) -> 'agent_config.AgentConfig':
  """Brings a method to another budget.

  What makes it a method stays as it is. Schedules in agent steps keep their
  share of the budget, and learning rates their ratio to that of tabula rasa.

  Args:
    agent: the method.
    num_actor_steps: budget of a student.
    learning_rate: of tabula rasa at this scale.
    **changes: what all methods have in common at this scale.
  """
  ratio = learning_rate / _tabula_rasa().learning_rate
  share = num_actor_steps / _PAPER_ACTOR_STEPS
  weaning = agent.weaning
  if weaning.steps is not None:
    weaning = dataclasses.replace(weaning, steps=round(weaning.steps * share))
  return dataclasses.replace(
      agent,
      learning_rate=agent.learning_rate * ratio,
      weaned_learning_rate=agent.weaned_learning_rate * ratio,
      weaning=weaning,
      epsilon_decay_steps=round(agent.epsilon_decay_steps * share),
      **changes,
  )


SUITES: Mapping[str, Suite] = {
    'atari10': Suite(
        "The paper's ten games and protocol: students of 10 M frames.",
        _PAPER_GAMES,
        atari10,
        lambda agent: agent,
    ),
    'atari10_100k': Suite(
        "The paper's ten games, students of 100,000 agent steps.",
        _PAPER_GAMES,
        atari10_100k,
        _adapt_100k,
    ),
    'minatar': Suite(
        "MinAtar's five games: minutes per run on a CPU.",
        _MINATAR_GAMES,
        minatar,
        _adapt_minatar,
    ),
}
