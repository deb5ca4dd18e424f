"""Returns on a scale where random play is 0 and the teacher is 1.

Returns of different games cannot be averaged, and a raw return does not say
whether a student has caught up with its teacher. The teacher-normalised score
(Agarwal et al., 2022, section 4) answers both:

    score = (return - random return) / (teacher's return - random return)
"""

import dataclasses
from typing import Union

import numpy as np


@dataclasses.dataclass(frozen=True)
class Scale:
  """The line through (random return, 0) and (teacher's return, 1).

  Attributes:
    random: mean return of random play, in raw points.
    teacher: mean return of the teacher, in raw points; above `random`.
  """

  random: float
  teacher: float

  def __post_init__(self):
    if not (np.isfinite(self.random) and np.isfinite(self.teacher)):
      raise ValueError(
          'returns must be finite to normalise by them, got random'
          f' {self.random} and teacher {self.teacher}'
      )
    # Without this check a bad teacher turns every worse student into a
    # positive score.
    if self.teacher <= self.random:
      raise ValueError(
          f"the teacher's mean return {self.teacher:g} is not above random"
          f' play ({self.random:g}), so that teacher-normalised scores have no'
          ' meaning; use a better teacher or evaluate it over more episodes'
      )

  def normalise(
      self, returns: Union[float, np.ndarray]
  ) -> Union[float, np.ndarray]:
    """Maps raw returns of any shape to scores of the same shape, unclipped."""
    return (returns - self.random) / (self.teacher - self.random)

  def denormalise(
      self, scores: Union[float, np.ndarray]
  ) -> Union[float, np.ndarray]:
    """Inverts `normalise`."""
    return self.random + scores * (self.teacher - self.random)
