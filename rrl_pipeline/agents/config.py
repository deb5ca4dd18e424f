"""The configuration of one value-based agent, for both of its stages."""

import dataclasses

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import method_config
from rrl_pipeline.agents import optimizer_config

_PRECISIONS = ('float32', 'bfloat16')
_MARGIN_FORMS = ('elementwise', 'max')
_INITIAL_NETWORKS = ('random', 'teacher')


@dataclasses.dataclass(frozen=True)
class AugmentationConfig:
  """How images are changed at random before a learner sees them (DrQ).

  The default changes nothing. Dopamine's DrQ has 4 and 0.05.

  Attributes:
    padding: greatest shift in pixels, in each direction.
    intensity_scale: standard deviation of the factor of brightness, which is
      cut off at two of them from 1.
  """

  padding: int = 0
  intensity_scale: float = 0.0

  def __post_init__(self):
    if self.padding < 0:
      raise ValueError(f'padding must not be negative, got {self.padding}.')
    if not 0 <= self.intensity_scale < 0.5:
      raise ValueError(
          'intensity_scale must be in [0, 0.5), or factors could be negative;'
          f' got {self.intensity_scale}.'
      )


@dataclasses.dataclass(frozen=True)
class AgentConfig:
  """How an agent learns and acts. A *method* is a value of this class.

  agents/methods.py has those with a name.

  The defaults are those of QDagger with a DQN student (Agarwal et al.,
  NeurIPS 2022, appendix A.3 and the authors' qdagger_dqn.gin).

  The loss is td_weight · TD + λ · distillation + margin_weight · margin +
  conservative_weight · conservative term, each a mean over the batch; the
  stages may lower weights as time goes on.

  Attributes:
    algorithm: what the network predicts and how its TD loss is made.
    n_step: steps of the n-step return.
    discount: γ of one agent step.
    batch_size: transitions per learner step.
    optimizer: what updates the network.
    learning_rate: its, as long as the agent is not weaned at all.
    weaned_learning_rate: its, once the agent is weaned; in between, the two are
      mixed by the decay (see agents/weaning.py).
    target_update_period: learner steps between copies to the target network;
      Dopamine's 8,000 agent steps at one learner step per four.
    td_weight: of the TD loss; 0 for distillation only.
    distillation_weight: λ₀ of the distillation loss; 0 for no distillation.
    temperature: τ of the softmax that turns teacher's and student's values
      into policies, and of the conservative term.
    margin_weight: of the loss that places the teacher's greedy action first
      (DQfD); 0 for none.
    margin: by how much it is placed first.
    margin_form: 'elementwise' (the reincarnating RL code) or 'max' (DQfD).
    conservative_weight: of conservative Q-learning's term (CQL), which is
      there offline only; 0 for none.
    augmentation: random changes of the images learned from.
    precision: 'float32', or 'bfloat16' for the layers below the head.
    diagnostics_period: learner steps between comparisons of the gradients of
      the TD and distillation terms; each costs about two learner steps.
    initial_network: what the network begins with: 'random' weights, or those
      of the 'teacher', which must be built alike.
    weaning: how the teacher's influence ends.
    switch: what becomes of the agent when its online stage begins.
    roll_in: how the teacher begins the agent's episodes.
    rehearsal: how much of the online batches is the teacher's data.
    prioritized_replay: whether the online replay is drawn from by priorities;
      offline, and otherwise, all transitions are drawn alike.
    update_period: online agent steps per learner step.
    min_replay_steps: steps that the online replay holds before the first
      learner step. Until then the agent plays by what it has learned before:
      this is the warm-up of one that was pre-trained.
    replay_capacity: steps that the online replay holds; the oldest go first.
    epsilon_start: exploration rate at the first online step.
    epsilon_end: exploration rate after `epsilon_decay_steps`.
    epsilon_decay_steps: online agent steps of the linear decay from one to the
      other. An agent that was pre-trained starts at the end of its schedule.
    marco_polo_share: share of online flights, of balloons only, in which four
      hours of the agent alternate with two of a random walk (MarcoPolo of the
      Balloon Learning Environment, whose agents have 0.8 and no ε).
  """

  algorithm: algorithm_config.AlgorithmConfig = algorithm_config.DqnConfig()
  n_step: int = 3
  discount: float = 0.99
  batch_size: int = 32
  optimizer: optimizer_config.OptimizerConfig = optimizer_config.AdamConfig()
  learning_rate: float = 1e-4
  weaned_learning_rate: float = 1e-5
  target_update_period: int = 2_000
  td_weight: float = 1.0
  distillation_weight: float = 3.0
  temperature: float = 0.1
  margin_weight: float = 0.0
  margin: float = 1.0
  margin_form: str = 'elementwise'
  conservative_weight: float = 0.0
  augmentation: AugmentationConfig = AugmentationConfig()
  precision: str = 'float32'
  diagnostics_period: int = 1_000
  initial_network: str = 'random'
  weaning: method_config.WeaningConfig = method_config.WeaningConfig()
  switch: method_config.SwitchConfig = method_config.SwitchConfig()
  roll_in: method_config.RollInConfig = method_config.RollInConfig()
  rehearsal: method_config.RehearsalConfig = method_config.RehearsalConfig()
  prioritized_replay: bool = False
  update_period: int = 4
  min_replay_steps: int = 20_000
  replay_capacity: int = 1_000_000
  epsilon_start: float = 0.01
  epsilon_end: float = 0.01
  epsilon_decay_steps: int = 0
  marco_polo_share: float = 0.0

  def __post_init__(self):
    for name in (
        'n_step',
        'batch_size',
        'target_update_period',
        'update_period',
        'min_replay_steps',
        'replay_capacity',
        'diagnostics_period',
    ):
      if getattr(self, name) < 1:
        raise ValueError(
            f'{name} must be at least 1, got {getattr(self, name)}.'
        )
    for name in ('learning_rate', 'weaned_learning_rate', 'temperature'):
      if getattr(self, name) <= 0:
        raise ValueError(f'{name} must be positive, got {getattr(self, name)}.')
    for name in ('epsilon_start', 'epsilon_end', 'marco_polo_share'):
      if not 0 <= getattr(self, name) <= 1:
        raise ValueError(
            f'{name} must be a probability, got {getattr(self, name)}.'
        )
    if not 0 < self.discount <= 1:
      raise ValueError(f'discount must be in (0, 1], got {self.discount}.')
    for name in (
        'td_weight',
        'distillation_weight',
        'margin_weight',
        'margin',
        'conservative_weight',
    ):
      if getattr(self, name) < 0:
        raise ValueError(
            f'{name} must not be negative, got {getattr(self, name)}.'
        )
    for name, choices in (
        ('initial_network', _INITIAL_NETWORKS),
        ('margin_form', _MARGIN_FORMS),
        ('precision', _PRECISIONS),
    ):
      if getattr(self, name) not in choices:
        raise ValueError(
            f'{name} must be one of {choices}, got {getattr(self, name)!r}.'
        )
    if self.replay_capacity < self.min_replay_steps:
      raise ValueError(
          f'replay_capacity ({self.replay_capacity}) must hold'
          f' min_replay_steps ({self.min_replay_steps}), or learning would'
          ' never start.'
      )
    if self.prioritized_replay and self.rehearsal.ratio:
      raise ValueError(
          'prioritized_replay draws from one replay, but rehearsal.ratio'
          f' {self.rehearsal.ratio} asks for data from another; leave one of'
          ' them out.'
      )
    if self.switch.replay == 'logs' and self.learns_from_teacher:
      raise ValueError(
          "switch.replay 'logs' is for methods whose loss does not ask for the"
          " teacher's values, which logs do not have; use rehearsal.ratio."
      )

  @property
  def learns_from_teacher(self) -> bool:
    """Whether a term of its loss asks for the teacher's values."""
    return bool(self.distillation_weight or self.margin_weight)

  @property
  def needs_teacher(self) -> bool:
    """Whether it cannot be trained online without a teacher."""
    return (
        self.learns_from_teacher
        or bool(self.roll_in.horizon)
        or self.weaning.schedule == 'score'
    )

  @property
  def needs_data(self) -> bool:
    """Whether it cannot be trained online without the teacher's data."""
    return bool(self.rehearsal.ratio) or self.switch.replay == 'logs'
