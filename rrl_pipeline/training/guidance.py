"""What a teacher is to a student that learns online."""

import dataclasses
import sys
from typing import Optional

from rrl_pipeline import scores
from rrl_pipeline.teachers import teacher as teacher_lib


@dataclasses.dataclass(frozen=True)
class Guidance:
  """A teacher, and the scale on which the student's returns are placed.

  Attributes:
    teacher: gives values for stacked observations.
    scale: its mean return and that of random play, raw.
  """

  teacher: teacher_lib.Teacher
  scale: scores.Scale

  def ratio(self, mean_return: float, kind: str) -> float:
    """The share of the teacher's score that a student has.

    Args:
      mean_return: of the student, raw.
      kind: 'normalised', so that random play is 0, or 'raw'.

    Raises:
      ValueError: if the teacher's raw return is not positive: a ratio to it
        would fall as the student gets better.
    """
    if kind == 'normalised':
      return self.scale.normalise(mean_return)
    if self.scale.teacher <= 0:
      raise ValueError(
          f"the teacher's mean return is {self.scale.teacher:g}, so that raw"
          ' returns have no ratio to it; use weaning.ratio=normalised'
      )
    return mean_return / self.scale.teacher


def warn_of_weak_teacher(
    mean_return: float, random_return: Optional[float]
) -> None:
  """Says it at once if there is little to learn from a teacher.

  Args:
    mean_return: of the teacher, raw.
    random_return: of random play, raw; None if it is not known.
  """
  if random_return is not None and mean_return <= random_return:
    print(
        f"warning: the teacher's mean return {mean_return:g} is not above"
        f' random play ({random_return:g}): a student that it guides online will be'
        ' refused; use a better teacher, or evaluate it over more episodes',
        file=sys.stderr,
    )
