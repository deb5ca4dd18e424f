"""Benchmark suites: which tasks are played, and on what terms.

A suite is data: games, the settings of a game's run, and how a method whose
numbers are those of the paper's experiments is brought to the suite's scale.
"""

import dataclasses
from typing import Any, Callable, Mapping, TYPE_CHECKING

from rrl_pipeline.launch import presets

# The functions import what they compose: settings live beside their components,
# which take seconds to import, and --help shall not wait for them.
if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.agents import config as agent_config
  from rrl_pipeline.networks import config as network_config

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
# The budgets of the smaller suites' students.
_100K_ACTOR_STEPS = 100_000
_SMALL_ACTOR_STEPS = 25_000
_MINATAR_ACTOR_STEPS = 50_000
_SMALL_GAMES = ('Pong', 'RoadRunner')
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
    adapt_network: returns the network that a method is made for, at this scale.
  """

  summary: str
  games: tuple[str, ...]
  settings: Callable[[str], 'config_lib.PipelineConfig']
  adapt: Callable[['agent_config.AgentConfig'], 'agent_config.AgentConfig']
  adapt_network: Callable[
      ['network_config.NetworkConfig'], 'network_config.NetworkConfig'
  ] = lambda network: network


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
              num_actor_steps=10 * _100K_ACTOR_STEPS,
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
          num_actor_steps=_100K_ACTOR_STEPS,
          evaluation_period=10_000,
          checkpoint_period=10_000,
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=10, num_final_episodes=30, num_parallel=10
      ),
  )


def atari_small(game: str) -> 'config_lib.PipelineConfig':
  """25,000 agent steps of a student with a quarter of Nature's convolutions.

  Pong has the teacher that comes with this package. That of another game is
  trained, in ten times the steps of a student.
  """
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.environments import atari
  from rrl_pipeline.networks import config as network_config
  from rrl_pipeline.training import config as training_config

  # What pong_dqn is built like.
  network = network_config.NatureConfig(
      padding='valid', channels=(16, 32, 32), hidden_units=256
  )
  return config_lib.PipelineConfig(
      environment=atari.AtariConfig(game=game),
      network=network,
      teacher=training_config.TeacherConfig(
          bundle='pong_dqn' if game == 'Pong' else '',
          network=network,
          agent=dataclasses.replace(
              _adapt_small(_tabula_rasa()),
              epsilon_decay_steps=_SMALL_ACTOR_STEPS,
          ),
          online=training_config.OnlineConfig(
              num_actor_steps=10 * _SMALL_ACTOR_STEPS,
              evaluation_period=_SMALL_ACTOR_STEPS,
              checkpoint_period=20_000,
              log_period=500,
          ),
      ),
      collect=training_config.CollectConfig(num_steps=40_000),
      control=False,
      offline=training_config.OfflineConfig(
          num_learner_steps=10_000,
          evaluation_period=5_000,
          checkpoint_period=2_000,
          log_period=200,
      ),
      online=training_config.OnlineConfig(
          num_actor_steps=_SMALL_ACTOR_STEPS,
          evaluation_period=_SMALL_ACTOR_STEPS // 5,
          checkpoint_period=10_000,
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=5, num_final_episodes=20, num_parallel=10
      ),
  )


def minatar(game: str) -> 'config_lib.PipelineConfig':
  """A student has a tenth of its teacher's half a million steps.

  The rest has the paper's proportions: ten evaluations online, and 1.6 times as
  many updates offline as online.
  """
  from rrl_pipeline import config as config_lib
  from rrl_pipeline.environments import minatar as minatar_lib
  from rrl_pipeline.networks import config as network_config
  from rrl_pipeline.training import config as training_config

  network = network_config.MinatarConfig()
  # Freeway's episodes have 2,501 steps, those of other games some hundred; but
  # its returns hardly differ.
  num_episodes, num_final_episodes = (
      (10, 30) if game == 'Freeway' else (30, 100)
  )
  return config_lib.PipelineConfig(
      environment=minatar_lib.MinAtarConfig(game=game),
      network=network,
      teacher=training_config.TeacherConfig(
          network=network,
          # As the paper's teachers learned, at one rate to the end: reloading
          # with a smaller one is a method.
          agent=dataclasses.replace(
              _adapt_minatar(_tabula_rasa()),
              epsilon_decay_steps=_MINATAR_ACTOR_STEPS,
          ),
          online=training_config.OnlineConfig(
              num_actor_steps=10 * _MINATAR_ACTOR_STEPS,
              evaluation_period=_MINATAR_ACTOR_STEPS // 2,
              checkpoint_period=_MINATAR_ACTOR_STEPS,
              log_period=1_000,
          ),
      ),
      collect=training_config.CollectConfig(num_steps=50_000),
      control=False,
      offline=training_config.OfflineConfig(
          num_learner_steps=20_000,
          evaluation_period=10_000,
          checkpoint_period=10_000,
          log_period=500,
      ),
      online=training_config.OnlineConfig(
          num_actor_steps=_MINATAR_ACTOR_STEPS,
          evaluation_period=_MINATAR_ACTOR_STEPS // 10,
          checkpoint_period=_MINATAR_ACTOR_STEPS // 2,
          log_period=500,
      ),
      evaluation=training_config.EvaluationConfig(
          num_episodes=num_episodes,
          num_final_episodes=num_final_episodes,
          num_parallel=num_episodes,
      ),
  )


def _tabula_rasa() -> 'agent_config.AgentConfig':
  """What teachers learn by, and what a suite's learning rate is chosen for."""
  from rrl_pipeline.agents import methods

  return methods.METHODS['tabula_rasa'].agent


def _adapt_100k(
    agent: 'agent_config.AgentConfig',
) -> 'agent_config.AgentConfig':
  return _adapt(
      presets.with_adam_epsilon(agent, 1e-5),
      num_actor_steps=_100K_ACTOR_STEPS,
      learning_rate=1e-4,
      epsilon_decay_steps=2_000,
      target_update_period=250,
      min_replay_steps=1_000,
      replay_capacity=100_000,
  )


def _adapt_small(
    agent: 'agent_config.AgentConfig',
) -> 'agent_config.AgentConfig':
  return _adapt(
      presets.with_adam_epsilon(agent, 1e-5),
      num_actor_steps=_SMALL_ACTOR_STEPS,
      learning_rate=1e-4,
      epsilon_decay_steps=2_500,
      update_period=2,
      target_update_period=500,
      min_replay_steps=1_000,
      replay_capacity=100_000,
  )


def _adapt_minatar(
    agent: 'agent_config.AgentConfig',
) -> 'agent_config.AgentConfig':
  """What suits tabula rasa; docs/benchmark_suite.md has what was tried."""
  if agent.roll_in.horizon:
    # Episodes are about a tenth as long as Atari's.
    agent = dataclasses.replace(
        agent,
        roll_in=dataclasses.replace(
            agent.roll_in, horizon=agent.roll_in.horizon // 10
        ),
    )
  return _adapt(
      agent,
      num_actor_steps=_MINATAR_ACTOR_STEPS,
      learning_rate=5e-4,
      epsilon_decay_steps=5_000,
      target_update_period=250,
      min_replay_steps=1_000,
      replay_capacity=100_000,
  )


def _adapt_minatar_network(
    network: 'network_config.NetworkConfig',
) -> 'network_config.NetworkConfig':
  """One stack for pictures of 10x10, which three make 2x2."""
  if network.kind == 'impala':
    network = dataclasses.replace(network, channels=(16,), hidden_units=128)
  return network


def _adapt(
    agent: 'agent_config.AgentConfig',
    num_actor_steps: int,
    learning_rate: float,
    epsilon_decay_steps: int,
    **changes: Any,
) -> 'agent_config.AgentConfig':
  """Brings a method to another budget.

  What makes it a method stays as it is. The teacher leaves after the same share
  of the budget; learning rates and the time of exploration keep their ratio to
  those of tabula rasa.

  Args:
    agent: the method.
    num_actor_steps: budget of a student.
    learning_rate: of tabula rasa at this scale.
    epsilon_decay_steps: of tabula rasa at this scale.
    **changes: what all methods have in common at this scale.
  """
  baseline = _tabula_rasa()
  ratio = learning_rate / baseline.learning_rate
  weaning = agent.weaning
  if weaning.steps is not None:
    share = weaning.steps / _PAPER_ACTOR_STEPS
    weaning = dataclasses.replace(
        weaning, steps=round(share * num_actor_steps)
    )
  return dataclasses.replace(
      agent,
      learning_rate=agent.learning_rate * ratio,
      weaned_learning_rate=agent.weaned_learning_rate * ratio,
      weaning=weaning,
      epsilon_decay_steps=round(
          agent.epsilon_decay_steps
          * epsilon_decay_steps
          / baseline.epsilon_decay_steps
      ),
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
    'atari_small': Suite(
        'Pong and Road Runner, students of 25,000 agent steps.',
        _SMALL_GAMES,
        atari_small,
        _adapt_small,
    ),
    'minatar': Suite(
        "MinAtar's five games: minutes per run on a CPU.",
        _MINATAR_GAMES,
        minatar,
        _adapt_minatar,
        _adapt_minatar_network,
    ),
}
