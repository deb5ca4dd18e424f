"""Which network an agent has."""

import dataclasses


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
