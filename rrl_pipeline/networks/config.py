"""Which network an agent has."""

import dataclasses
from typing import Any, ClassVar, Union


def _check_positive(config: Any, *names: str) -> None:
  for name in names:
    if getattr(config, name) < 1:
      raise ValueError(
          f'{name} must be at least 1, got {getattr(config, name)}.'
      )


@dataclasses.dataclass(frozen=True)
class NatureConfig:
  """The convolutional network of Mnih et al., Nature 518 (2015).

  Attributes:
    padding: 'same' (Dopamine, and so the reincarnating RL paper; 4.05 M
      parameters for six actions) or 'valid' (the Nature paper; 1.69 M).
    channels: filters of the three convolutions: 8x8 stride 4, 4x4 stride 2,
      3x3 stride 1.
    hidden_units: units of the fully connected layer.
  """

  kind: ClassVar[str] = 'nature'

  padding: str = 'same'
  channels: tuple[int, ...] = (32, 64, 64)
  hidden_units: int = 512

  def __post_init__(self):
    if self.padding not in ('same', 'valid'):
      raise ValueError(
          f"padding must be 'same' or 'valid', got {self.padding!r}."
      )
    if len(self.channels) != 3:
      raise ValueError(
          'channels must give the filters of three convolutions, got'
          f' {self.channels}.'
      )


@dataclasses.dataclass(frozen=True)
class ImpalaConfig:
  """The residual network of Espeholt et al., IMPALA (ICML 2018), figure 3.

  Without its LSTM, as in the reincarnating RL paper's Impala-CNN Rainbow.

  Attributes:
    channels: filters of each stack of one convolution, one maximum over 3x3
      with stride 2 and two residual blocks.
    width: factor on all of `channels`.
    hidden_units: units of the fully connected layer; CleanRL's has 256.
  """

  kind: ClassVar[str] = 'impala'

  channels: tuple[int, ...] = (16, 32, 32)
  width: int = 1
  hidden_units: int = 512

  def __post_init__(self):
    if not self.channels:
      raise ValueError('channels must give the filters of one stack at least.')
    _check_positive(self, 'width', 'hidden_units')


@dataclasses.dataclass(frozen=True)
class MlpConfig:
  """Fully connected layers, for observations that are vectors.

  The default is the shape of the Balloon Learning Environment's agents
  (Greaves et al., 2021) and of their teacher, Perciatelli44.

  Attributes:
    hidden_sizes: units of each hidden layer.
  """

  kind: ClassVar[str] = 'mlp'

  hidden_sizes: tuple[int, ...] = (600,) * 7

  def __post_init__(self):
    if not self.hidden_sizes or min(self.hidden_sizes) < 1:
      raise ValueError(
          'hidden_sizes must give the units of one layer at least, got'
          f' {self.hidden_sizes}.'
      )


@dataclasses.dataclass(frozen=True)
class MinatarConfig:
  """The network of Young & Tian, MinAtar (2019): a quarter of Nature's widths.

  Attributes:
    channels: filters of its one convolution, 3x3, not padded.
    hidden_units: units of the fully connected layer.
  """

  kind: ClassVar[str] = 'minatar'

  channels: int = 16
  hidden_units: int = 128

  def __post_init__(self):
    _check_positive(self, 'channels', 'hidden_units')


NetworkConfig = Union[NatureConfig, ImpalaConfig, MlpConfig, MinatarConfig]
