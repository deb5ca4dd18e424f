"""The range that an environment declares for its observations."""

import dataclasses
import math
from typing import Any, Optional, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Bounds:
  """The least and the greatest value of each number of an observation.

  Attributes:
    minimum: one number for all, or one for each in C order; -inf for none.
    maximum: likewise; inf for none.
  """

  minimum: tuple[float, ...]
  maximum: tuple[float, ...]

  def __post_init__(self):
    for name in ('minimum', 'maximum'):
      if not getattr(self, name) or any(map(math.isnan, getattr(self, name))):
        raise ValueError(f'the {name} of observations must be numbers')

  def are_left_by(self, block: np.ndarray) -> np.ndarray:
    """[N] bool: which observations of a block [N, ...] are not within.

    Those with NaN are not.
    """
    rows = block.reshape(len(block), -1)
    # As the observations are: 0.1 in single precision is not 0.1 in double.
    low, high = (
        np.array(limits, np.float64).astype(np.result_type(rows, np.float16))
        for limits in (self.minimum, self.maximum)
    )
    return ~((rows >= low) & (rows <= high)).all(axis=1)

  def to_json_value(self) -> dict[str, Any]:
    return {
        name: [None if math.isinf(value) else value for value in values]
        for name, values in dataclasses.asdict(self).items()
    }

  @classmethod
  def from_json_value(cls, value: Any) -> 'Bounds':
    """The inverse of `to_json_value`.

    Raises:
      ValueError, TypeError, KeyError: if it is not what that gives.
    """
    return cls(*(
        tuple(default if v is None else float(v) for v in value[name])
        for name, default in (('minimum', -math.inf), ('maximum', math.inf))
    ))


def declared(
    minimum: Any, maximum: Any, shape: Sequence[int], dtype: Any
) -> Optional[Bounds]:
  """The bounds of a spec; None if they say no more than its dtype does.

  Args:
    minimum: one number, or an array that fits the shape.
    maximum: likewise.
    shape: of an observation.
    dtype: of an observation.
  """
  dtype = np.dtype(dtype)
  if dtype.kind == 'f':
    least, greatest = -math.inf, math.inf
  elif dtype.kind in 'iu':
    least, greatest = np.iinfo(dtype).min, np.iinfo(dtype).max
  else:
    return None
  low, high = (
      np.broadcast_to(np.asarray(limit, np.float64), shape).ravel()
      for limit in (minimum, maximum)
  )
  if (low <= least).all() and (high >= greatest).all():
    return None
  return Bounds(_shortest(low), _shortest(high))


def _shortest(values: np.ndarray) -> tuple[float, ...]:
  """All values, or only one if they are equal."""
  are_equal = (values == values[0]).all()
  return tuple(values[:1].tolist() if are_equal else values.tolist())
