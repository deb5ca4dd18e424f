"""Settings of a few fields, for tests of how settings are read and written."""

import dataclasses
import enum
from typing import ClassVar


class Loss(enum.Enum):
  HUBER = 'huber'
  C51 = 'c51'


@dataclasses.dataclass(frozen=True)
class Linear:
  """One of two kinds of a group."""

  kind: ClassVar[str] = 'linear'
  slope: float = 1.0


@dataclasses.dataclass(frozen=True)
class Constant:
  """The other."""

  kind: ClassVar[str] = 'constant'
  value: int = 0


Schedule = Linear | Constant
