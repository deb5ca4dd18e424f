"""Which value-based algorithm an agent learns by."""

import dataclasses
from typing import Any, ClassVar, Union


def _check_positive(config: Any, *names: str) -> None:
  for name in names:
    if getattr(config, name) <= 0:
      raise ValueError(f'{name} must be positive, got {getattr(config, name)}.')


@dataclasses.dataclass(frozen=True)
class DqnConfig:
  """DQN: expected returns (Mnih et al., Nature 2015), with Huber's loss.

  Attributes:
    double_q: whether the online network chooses the action that the target
      network values (van Hasselt et al., AAAI 2016); the reincarnating RL
      paper's DQN takes the plain maximum.
  """

  kind: ClassVar[str] = 'dqn'

  double_q: bool = False


@dataclasses.dataclass(frozen=True)
class C51Config:
  """C51: probabilities of fixed returns (Bellemare et al., ICML 2017).

  With n-step returns and prioritised replay it is Dopamine's Rainbow, and so
  the Rainbow of the reincarnating RL paper.

  Attributes:
    num_atoms: returns of the support.
    v_max: greatest of them; the least is -v_max.
  """

  kind: ClassVar[str] = 'c51'

  num_atoms: int = 51
  v_max: float = 10.0

  def __post_init__(self):
    if self.num_atoms < 2:
      raise ValueError(f'num_atoms must be at least 2, got {self.num_atoms}.')
    _check_positive(self, 'v_max')

  def support(self) -> tuple[float, ...]:
    """The returns, evenly spaced from -v_max to v_max."""
    step = 2 * self.v_max / (self.num_atoms - 1)
    return tuple(-self.v_max + i * step for i in range(self.num_atoms))


@dataclasses.dataclass(frozen=True)
class QuantileConfig:
  """QR-DQN: values of fixed quantiles (Dabney et al., AAAI 2018).

  Attributes:
    num_quantiles: of the distribution of returns; the paper has 200, the
      Balloon Learning Environment's agents have 51.
    kappa: κ, up to which the loss is quadratic.
  """

  kind: ClassVar[str] = 'quantile'

  num_quantiles: int = 200
  kappa: float = 1.0

  def __post_init__(self):
    _check_positive(self, 'num_quantiles', 'kappa')


@dataclasses.dataclass(frozen=True)
class IqnConfig:
  """IQN: quantiles at drawn fractions (Dabney et al., ICML 2018).

  The paper and Dopamine draw 64 and 64 fractions and choose actions by 32.

  Attributes:
    num_fractions: N, drawn for the online network.
    num_target_fractions: N', drawn for the target network.
    num_value_fractions: K, evenly spaced, whose mean is an expected return:
      for acting, for the target's action, and for distillation.
    embedding_size: cosines of the embedding of a fraction.
    kappa: κ, up to which the loss is quadratic.
  """

  kind: ClassVar[str] = 'iqn'

  num_fractions: int = 64
  num_target_fractions: int = 64
  num_value_fractions: int = 32
  embedding_size: int = 64
  kappa: float = 1.0

  def __post_init__(self):
    _check_positive(
        self,
        'num_fractions',
        'num_target_fractions',
        'num_value_fractions',
        'embedding_size',
        'kappa',
    )


AlgorithmConfig = Union[DqnConfig, C51Config, QuantileConfig, IqnConfig]
