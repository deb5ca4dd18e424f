"""Reads the agents that Dopamine's TensorFlow agents save: `tf_ckpt-N`.

A checkpoint of TensorFlow holds the weights under the names of TF-Slim
('Online/Conv/weights', until 2020) or of Keras ('Online/Conv/kernel'). Keras
calls the layer for IQN's quantiles 'dense'; TF-Slim counted it among the fully
connected ones, where it comes first.
"""

import os
import pathlib
import re
from typing import Optional

import tensorflow as tf

from rrl_pipeline.teachers import array_pickle
from rrl_pipeline.teachers import dopamine_network
from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher

FORMAT = 'dopamine_tf'
_NAME = re.compile(r'tf_ckpt-(?P<number>\d+)(\.index|\.data-.*)?')
_VARIABLE = re.compile(
    r'Online/(?P<kind>Conv|dense|fully_connected)(_(?P<number>\d+))?'
    r'/(?P<part>kernel|weights|bias|biases)'
)
_PARTS = {'weights': 'kernel', 'biases': 'bias'}


def matches(path: pathlib.Path) -> bool:
  """Whether a path is a checkpoint, or a folder that has some."""
  if path.is_dir():
    return bool(foreign_teacher.numbers(path, _NAME))
  return bool(_NAME.fullmatch(path.name))


def read(question: foreign_teacher.Question) -> foreign_teacher.ForeignTeacher:
  """Reads an agent.

  Raises:
    ValueError: if there is none, or one that is not known or not complete.
  """
  path, findings = question.path, []
  if path.is_dir():
    folder, number, finding = foreign_teacher.newest_checkpoint(
        path, _NAME, 'files tf_ckpt-N'
    )
    findings.append(finding)
  else:
    match = _NAME.fullmatch(path.name)
    if match is None:
      raise ValueError(f'{path} is not named tf_ckpt-N, as Dopamine does.')
    folder, number = path.parent, int(match['number'])
  files = [
      file
      for file in sorted(folder.glob(f'tf_ckpt-{number}.*'))
      if file.suffix == '.index' or file.suffix.startswith('.data-')
  ]
  if len(files) < 2:
    raise ValueError(
        f'The checkpoint tf_ckpt-{number} in {folder} is not whole: expected'
        f' its files .index and .data-*, found'
        f' {", ".join(file.name for file in files) or "neither"}.'
    )
  layers = _layers(folder / f'tf_ckpt-{number}')
  try:
    convolutions, dense = _in_order(layers)
  except KeyError as error:
    raise ValueError(
        f'{folder}/tf_ckpt-{number} has no {error.args[0]} for a layer of its'
        ' network.'
    ) from error
  network, recognised = dopamine_network.assemble(question, convolutions, dense)
  steps = folder / f'ckpt.{number}'
  if steps.exists():
    files.append(steps)
  return foreign_teacher.ForeignTeacher(
      format=FORMAT,
      files=tuple(files),
      network=network,
      actor_steps=_training_steps(steps),
      findings=(*findings, *recognised),
  )


def _layers(prefix: pathlib.Path) -> dict[tuple[str, int], dict]:
  """The parts of each layer of the online network by kind and number."""
  layers = {}
  try:
    reader = tf.train.load_checkpoint(os.fspath(prefix))
    for name in reader.get_variable_to_shape_map():
      match = _VARIABLE.fullmatch(name)
      if match:
        key = match['kind'], int(match['number'] or 0)
        part = _PARTS.get(match['part'], match['part'])
        layers.setdefault(key, {})[part] = reader.get_tensor(name)
  # Of damage TensorFlow says IndexError, RuntimeError or errors of its own.
  except Exception as error:  # pylint: disable=broad-except
    raise ValueError(
        f'{prefix} cannot be read as a checkpoint of TensorFlow:'
        f' {str(error).strip().splitlines()[0][:200]}.'
    ) from error
  if not layers:
    raise ValueError(
        f'{prefix} has no variables Online/Conv/… of an agent of Dopamine.'
    )
  return layers


def _in_order(
    layers: dict[tuple[str, int], dict],
) -> tuple[list[foreign_network.Layer], list[foreign_network.Layer]]:
  """Convolutions and dense layers, in the order in which they are made."""
  convolutions, dense = [], []
  # 'Conv' < 'dense' < 'fully_connected'
  for kind, number in sorted(layers):
    parts = layers[kind, number]
    layer = foreign_network.Layer(parts['kernel'], parts['bias'])
    (convolutions if kind == 'Conv' else dense).append(layer)
  return convolutions, dense


def _training_steps(path: pathlib.Path) -> Optional[int]:
  """Agent steps of training, as the pickle beside the checkpoint says."""
  if not path.exists():
    return None
  content = array_pickle.load(path.read_bytes(), str(path))
  steps = content.get('training_steps') if isinstance(content, dict) else None
  return steps if isinstance(steps, int) else None
