"""Reads a foreign teacher in whichever format its files have."""

import types
from typing import Mapping, Optional

from rrl_pipeline.teachers import cleanrl_model
from rrl_pipeline.teachers import dopamine_checkpoint
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.teachers import tf_checkpoint

# A TensorFlow agent of Dopamine has both tf_ckpt-N and ckpt.N, so its format
# is tried before that of the JAX agents.
_FORMATS: Mapping[str, types.ModuleType] = types.MappingProxyType({
    module.FORMAT: module
    for module in (tf_checkpoint, dopamine_checkpoint, cleanrl_model)
})
NAMES = tuple(_FORMATS)


def read(
    question: foreign_teacher.Question, name: Optional[str] = None
) -> foreign_teacher.ForeignTeacher:
  """Reads a teacher.

  Args:
    question: what is asked of which path.
    name: of the format; None to tell it by the names of the files.

  Raises:
    ValueError: if there is no teacher, or one that cannot be imported.
  """
  path = question.path
  # That of a TensorFlow checkpoint is the beginning of its files' names.
  if not path.exists() and not tf_checkpoint.matches(path):
    raise ValueError(f'{path} does not exist.')
  if name is not None:
    return _FORMATS[name].read(question)
  for module in _FORMATS.values():
    if module.matches(path):
      return module.read(question)
  raise ValueError(
      f'{path} is no teacher of a known kind: expected ckpt.N or tf_ckpt-N of'
      ' Dopamine, *.cleanrl_model of CleanRL, or a folder with such files. Say'
      f' which of {", ".join(NAMES)} it is with --format, if its name is'
      ' another.'
  )
