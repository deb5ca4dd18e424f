"""What a teacher is to a student that learns online."""

import dataclasses

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
