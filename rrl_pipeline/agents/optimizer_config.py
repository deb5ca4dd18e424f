"""Which optimiser updates an agent's network.

Learning rates are not among its settings: they follow a schedule of the agent.
"""

import dataclasses
from typing import ClassVar, Union


@dataclasses.dataclass(frozen=True)
class AdamConfig:
  """Adam (Kingma & Ba, ICLR 2015), with β₁ = 0.9 and β₂ = 0.999.

  Attributes:
    epsilon: ε; Dopamine's DQN and the reincarnating RL paper have 1.5e-4.
  """

  kind: ClassVar[str] = 'adam'

  epsilon: float = 1.5e-4

  def __post_init__(self):
    if self.epsilon <= 0:
      raise ValueError(f'epsilon must be positive, got {self.epsilon}.')


@dataclasses.dataclass(frozen=True)
class RmspropConfig:
  """Centred RMSProp without momentum, the optimiser of Nature DQN.

  The defaults are Dopamine's dqn_nature.gin, whose learning rate is 2.5e-4.

  Attributes:
    decay: of the running means of gradients and of their squares.
    epsilon: added to the variance, below the root.
  """

  kind: ClassVar[str] = 'rmsprop'

  decay: float = 0.95
  epsilon: float = 1e-5

  def __post_init__(self):
    if not 0 <= self.decay < 1:
      raise ValueError(f'decay must be in [0, 1), got {self.decay}.')
    if self.epsilon <= 0:
      raise ValueError(f'epsilon must be positive, got {self.epsilon}.')


OptimizerConfig = Union[AdamConfig, RmspropConfig]
