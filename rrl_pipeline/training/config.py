"""The configurations of the stages that act and learn."""

import dataclasses
import enum
from typing import Any, Optional

from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.agents import methods
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.rlds import selection


def _check_positive(config: Any, *names: str) -> None:
  for name in names:
    if getattr(config, name) < 1:
      raise ValueError(f'{name} must be at least 1, got {getattr(config, name)}.')


def _check_not_negative(config: Any, *names: str) -> None:
  for name in names:
    if getattr(config, name) < 0:
      raise ValueError(
          f'{name} must not be negative, got {getattr(config, name)}.'
      )


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
  """How an agent is evaluated.

  Attributes:
    num_episodes: episodes of one evaluation during training.
    num_final_episodes: episodes of the evaluation at the end.
    epsilon: exploration rate (Dopamine's, and the paper's).
    num_parallel: environments that share one batch of the network.
    num_workers: processes that share the environments; 0 for none beside the
      one that learns, which is best where steps are cheap.
  """

  num_episodes: int = 10
  num_final_episodes: int = 30
  epsilon: float = 0.001
  num_parallel: int = 10
  num_workers: int = 0

  def __post_init__(self):
    _check_positive(
        self, 'num_episodes', 'num_final_episodes', 'num_parallel'
    )
    _check_not_negative(self, 'num_workers')
    if not 0 <= self.epsilon <= 1:
      raise ValueError(f'epsilon must be a probability, got {self.epsilon}.')


@dataclasses.dataclass(frozen=True)
class OnlineConfig:
  """How long an agent trains online, and what is recorded meanwhile.

  Attributes:
    num_actor_steps: agent steps in all (the paper: 10 M frames).
    evaluation_period: agent steps between evaluations; each of them updates
      the weaning schedule, and there is one more at the end.
    checkpoint_period: agent steps between checkpoints at least; a checkpoint is
      taken at the end of an episode.
    log_period: learner steps between rows of metrics.
    record_episodes: whether the complete episodes that the agent plays are
      kept beside its checkpoints as a recording, a log for other students.
  """

  num_actor_steps: int = 2_500_000
  evaluation_period: int = 250_000
  checkpoint_period: int = 50_000
  log_period: int = 100
  record_episodes: bool = False

  def __post_init__(self):
    _check_positive(
        self,
        'num_actor_steps',
        'evaluation_period',
        'checkpoint_period',
        'log_period',
    )


class FramePlacement(enum.Enum):
  """Where the decoded frames of a dataset are while a student learns."""

  MEMORY = 'memory'
  FILE = 'a mapped file'
  POOL = 'a rolling pool'


@dataclasses.dataclass(frozen=True)
class OfflineConfig:
  """How long the student learns from the dataset.

  Attributes:
    num_learner_steps: gradient updates in all (the paper: 1,000,000); 0 for a
      method that learns online only.
    evaluation_period: learner steps between evaluations; there is one more at
      the end.
    checkpoint_period: learner steps between checkpoints.
    log_period: learner steps between rows of metrics.
    checkpoints: 'all', or which of the datasets' checkpoints to learn from,
      such as '0,3' or '40-49'.
    min_return: least return, as logged, of an episode that is learned from.
    max_return: greatest return of such an episode.
    mixing_weights: of the run's own dataset and then of each in `dataset.mix`;
      none to draw from all in proportion to their steps.
    max_memory_gib: decoded frames up to this size are kept in memory, larger
      ones in a mapped file.
    max_disk_gib: frames larger than this are not even kept in a file: batches
      are drawn from a pool of episodes of `max_memory_gib`, which rolls through
      the dataset.
    cache_dir: where mapped files are, shared by all runs that give the same;
      '' for beside the dataset.
    draws_per_row: how often a step is drawn, on average, while it is in the
      pool. The larger, the less has to be decoded, and the fewer episodes are
      seen in the same number of updates.
  """

  num_learner_steps: int = 1_000_000
  evaluation_period: int = 100_000
  checkpoint_period: int = 10_000
  log_period: int = 100
  checkpoints: str = 'all'
  min_return: Optional[float] = None
  max_return: Optional[float] = None
  mixing_weights: tuple[float, ...] = ()
  max_memory_gib: float = 8.0
  max_disk_gib: float = 100.0
  cache_dir: str = ''
  draws_per_row: float = 1.0

  def __post_init__(self):
    _check_not_negative(self, 'num_learner_steps')
    _check_positive(
        self, 'evaluation_period', 'checkpoint_period', 'log_period'
    )
    for name in ('max_memory_gib', 'draws_per_row'):
      if getattr(self, name) <= 0:
        raise ValueError(f'{name} must be positive, got {getattr(self, name)}.')
    if not all(weight > 0 for weight in self.mixing_weights):
      raise ValueError(
          f'mixing_weights must be positive, got {self.mixing_weights}.'
      )
    self.episode_filter()

  def episode_filter(self) -> selection.EpisodeFilter:
    """Which episodes are learned from.

    Raises:
      ValueError: if the settings contradict each other.
    """
    return selection.EpisodeFilter(
        self.checkpoints, self.min_return, self.max_return
    )

  def placement(self, num_bytes: float) -> FramePlacement:
    """Where decoded frames of this size are kept.

    It depends on the settings only, not on what the machine has left, so a
    resumed run draws the same batches.
    """
    if num_bytes <= self.max_memory_gib * 2**30:
      return FramePlacement.MEMORY
    if num_bytes <= self.max_disk_gib * 2**30:
      return FramePlacement.FILE
    return FramePlacement.POOL


@dataclasses.dataclass(frozen=True)
class CollectConfig:
  """What the teacher is made to play for the logs.

  Attributes:
    num_steps: agent steps; a log of frames ends with the last of them, most
      often in the middle of an episode, a recording of other observations with
      the end of that episode.
    epsilons: exploration rates; episode i plays with epsilons[i % len]. A
      teacher that sometimes stumbles shows how it recovers.
    checkpoint_period: agent steps between saves of the log at least.
    num_parallel: environments that share one batch of the teacher.
    num_workers: processes that share the environments; 0 for none beside the
      one that asks the teacher.
    marco_polo_share: share of flights, of balloons only, in which four hours of
      the teacher alternate with two of a random walk.
  """

  num_steps: int = 1_000_000
  epsilons: tuple[float, ...] = (0.0, 0.01, 0.05, 0.1)
  checkpoint_period: int = 250_000
  num_parallel: int = 8
  num_workers: int = 0
  marco_polo_share: float = 0.0

  def __post_init__(self):
    _check_positive(self, 'num_steps', 'checkpoint_period', 'num_parallel')
    _check_not_negative(self, 'num_workers')
    if not self.epsilons or not all(0 <= e <= 1 for e in self.epsilons):
      raise ValueError(
          f'epsilons must be probabilities, at least one; got {self.epsilons}.'
      )
    if not 0 <= self.marco_polo_share <= 1:
      raise ValueError(
          'marco_polo_share must be within 0 and 1, got'
          f' {self.marco_polo_share}.'
      )


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
  """Where the teacher comes from.

  Attributes:
    bundle: folder of a teacher bundle, or the name of one that comes with this
      package or with one that it needs, such as 'pong_dqn' or 'perciatelli44';
      empty to train one by DQN with the settings below.
    initial_bundle: the bundle whose network a teacher that is trained here
      begins with, as if it went on learning (the paper's *fine-tuning*, section
      4.1); replay and optimiser begin empty. Empty to train from scratch.
    network: of a teacher that is trained here.
    agent: how it learns.
    online: for how long.
  """

  bundle: str = ''
  initial_bundle: str = ''
  network: network_config.NetworkConfig = network_config.NatureConfig()
  agent: agent_config.AgentConfig = methods.METHODS['tabula_rasa'].agent
  online: OnlineConfig = OnlineConfig()
