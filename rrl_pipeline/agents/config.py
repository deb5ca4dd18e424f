"""The configuration of one value-based agent, for both of its stages."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class AgentConfig:
  """How an agent learns and acts. A *method* is a value of this class.

  The defaults are those of QDagger with a DQN student (Agarwal et al.,
  NeurIPS 2022, appendix A.3 and the authors' qdagger_dqn.gin).

  Attributes:
    n_step: steps of the n-step return.
    discount: γ of one agent step.
    double_q: whether the online network chooses the action that the target
      network values; the paper's DQN takes the plain maximum.
    batch_size: transitions per learner step.
    learning_rate: Adam's, as long as the agent is not weaned at all.
    weaned_learning_rate: Adam's once it is weaned; in between, the two are
      mixed by the decay (see agents/weaning.py). An agent without a teacher
      changes from one to the other at `weaning_steps`.
    adam_epsilon: Adam's ε.
    target_update_period: learner steps between copies to the target network;
      Dopamine's 8,000 agent steps at one learner step per four.
    distillation_weight: λ₀ of the distillation loss; 0 for no distillation.
    temperature: τ of the softmax that turns teacher's and student's values
      into policies.
    weaning_steps: t₀, online agent steps after which distillation ends.
    update_period: online agent steps per learner step.
    min_replay_steps: online agent steps before the first learner step.
    replay_capacity: steps that the online replay holds; the oldest go first.
    epsilon_start: exploration rate at the first online step.
    epsilon_end: exploration rate after `epsilon_decay_steps`.
    epsilon_decay_steps: online agent steps of the linear decay from one to the
      other. An agent that was pre-trained starts at the end of its schedule.
  """

  n_step: int = 3
  discount: float = 0.99
  double_q: bool = False
  batch_size: int = 32
  learning_rate: float = 1e-4
  weaned_learning_rate: float = 1e-5
  adam_epsilon: float = 1.5e-4
  target_update_period: int = 2_000
  distillation_weight: float = 3.0
  temperature: float = 0.1
  weaning_steps: int = 1_500_000
  update_period: int = 4
  min_replay_steps: int = 20_000
  replay_capacity: int = 1_000_000
  epsilon_start: float = 0.01
  epsilon_end: float = 0.01
  epsilon_decay_steps: int = 0

  def __post_init__(self):
    for name in (
        'n_step',
        'batch_size',
        'target_update_period',
        'update_period',
        'min_replay_steps',
        'replay_capacity',
    ):
      if getattr(self, name) < 1:
        raise ValueError(
            f'{name} must be at least 1, got {getattr(self, name)}.'
        )
    for name in ('learning_rate', 'weaned_learning_rate', 'adam_epsilon'):
      if getattr(self, name) <= 0:
        raise ValueError(f'{name} must be positive, got {getattr(self, name)}.')
    for name in ('epsilon_start', 'epsilon_end'):
      if not 0 <= getattr(self, name) <= 1:
        raise ValueError(
            f'{name} must be a probability, got {getattr(self, name)}.'
        )
    if not 0 < self.discount <= 1:
      raise ValueError(f'discount must be in (0, 1], got {self.discount}.')
    if self.temperature <= 0:
      raise ValueError(f'temperature must be positive, got {self.temperature}.')
    if self.distillation_weight < 0:
      raise ValueError(
          'distillation_weight must not be negative, got'
          f' {self.distillation_weight}.'
      )
    if self.replay_capacity < self.min_replay_steps:
      raise ValueError(
          f'replay_capacity ({self.replay_capacity}) must hold'
          f' min_replay_steps ({self.min_replay_steps}), or learning would'
          ' never start.'
      )
