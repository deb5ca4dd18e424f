"""Reads the agents that Dopamine's JAX agents save: pickles `ckpt.N`.

Versions up to 4.1 write them (`dopamine/discrete_domains/checkpointer.py`); the
weights are under `online_params`. Only arrays and containers are loaded.
"""

import pathlib
import re

from rrl_pipeline.teachers import array_pickle
from rrl_pipeline.teachers import dopamine_network
from rrl_pipeline.teachers import foreign_teacher

FORMAT = 'dopamine_jax'
_NAME = re.compile(r'ckpt\.(?P<number>\d+)')
_WEIGHTS = 'online_params'


def matches(path: pathlib.Path) -> bool:
  """Whether a path is a checkpoint, or a folder that has some."""
  if path.is_dir():
    return bool(foreign_teacher.numbers(path, _NAME))
  return path.is_file() and bool(_NAME.fullmatch(path.name))


def read(question: foreign_teacher.Question) -> foreign_teacher.ForeignTeacher:
  """Reads an agent.

  Raises:
    ValueError: if there is none, or one that is not known or not complete.
  """
  path, findings = question.path, []
  if path.is_dir():
    folder, number, finding = foreign_teacher.newest_checkpoint(
        path, _NAME, 'file ckpt.N'
    )
    findings.append(finding)
    path = folder / f'ckpt.{number}'
  content = array_pickle.load(path.read_bytes(), str(path))
  if not isinstance(content, dict) or _WEIGHTS not in content:
    found = ', '.join(map(str, content)) if isinstance(content, dict) else (
        type(content).__name__
    )
    raise ValueError(
        f'{path} holds no {_WEIGHTS}, so it is no checkpoint of a JAX agent of'
        f' Dopamine; it holds {found[:200]}. The weights of its TensorFlow'
        ' agents are in files tf_ckpt-N beside it.'
    )
  network, recognised = dopamine_network.from_flax(
      question, array_pickle.arrays(content[_WEIGHTS], str(path))
  )
  steps = content.get('training_steps')
  return foreign_teacher.ForeignTeacher(
      format=FORMAT,
      files=(path,),
      network=network,
      actor_steps=steps if isinstance(steps, int) else None,
      findings=(*findings, *recognised),
  )
