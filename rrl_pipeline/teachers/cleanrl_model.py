"""Reads the agents that CleanRL saves with --save-model: `*.cleanrl_model`.

`dqn_atari.py` saves the state of its network, `c51_atari.py` that and its
arguments, both with `torch.save`. Their networks are the Nature paper's: no
padding, channels first, frames divided by 255.
"""

import pathlib
import re
from typing import Any, Mapping, Optional

import numpy as np

from rrl_pipeline.teachers import array_pickle
from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.teachers import torch_file

FORMAT = 'cleanrl'
_SUFFIX = '.cleanrl_model'
# Places of the layers with weights in the network's `nn.Sequential`.
_CONVOLUTIONS = (0, 2, 4)
_HIDDEN, _OUTPUT = 7, 9
_IMPALA = re.compile(r'network\.\d\.(conv|res_block\d)\.')
_TRAINED_IN = (
    'trained without sticky actions, with lives as episodes, no-op starts and'
    ' FIRE pressed at the start, on frames made grey after they were scaled:'
    ' it may score less here'
)


def matches(path: pathlib.Path) -> bool:
  """Whether a path is a model, or a folder that has one."""
  if path.is_dir():
    return any(path.glob(f'*{_SUFFIX}'))
  return path.name.endswith(_SUFFIX)


def read(question: foreign_teacher.Question) -> foreign_teacher.ForeignTeacher:
  """Reads an agent.

  Raises:
    ValueError: if there is none, or one that is not known.
  """
  path = question.path
  if path.is_dir():
    found = sorted(path.glob(f'*{_SUFFIX}'))
    if len(found) != 1:
      raise ValueError(
          f'{path} holds {len(found)} files *{_SUFFIX}: give the file itself.'
      )
    path = found[0]
  content = torch_file.load(path)
  arguments = {}
  if isinstance(content, Mapping) and 'model_weights' in content:
    arguments = content.get('args')
    content = content['model_weights']
  weights = array_pickle.arrays(content, str(path))
  network, findings = _network(question, path, weights)
  trained_on = _trained_on(arguments)
  return foreign_teacher.ForeignTeacher(
      format=FORMAT,
      files=(path,),
      network=network,
      actor_steps=None,
      findings=(*findings, *trained_on, _TRAINED_IN),
  )


def _network(
    question: foreign_teacher.Question,
    path: pathlib.Path,
    weights: Mapping[str, np.ndarray],
) -> tuple[foreign_network.ForeignNetwork, list[str]]:
  """The network of these weights, and what it was recognised by."""
  places = (*_CONVOLUTIONS, _HIDDEN, _OUTPUT)
  expected = {f'network.{i}.{part}' for i in places for part in (
      'weight', 'bias')}
  atoms = weights.get('atoms')
  if set(weights) - {'atoms'} != expected:
    if any(map(_IMPALA.match, weights)):
      raise ValueError(
          f"{path} is an Impala network of CleanRL. It pools with PyTorch's"
          ' padding, which no network here has, and cannot be imported.'
      )
    other = sorted(set(weights) ^ expected)
    raise ValueError(
        f'{path} is not a network of dqn_atari.py or c51_atari.py of CleanRL:'
        f' they differ in {", ".join(other[:3])}.'
    )
  *convolutions, hidden, output = (
      foreign_network.Layer(
          weights[f'network.{i}.weight'], weights[f'network.{i}.bias']
      )
      for i in places
  )
  algorithm, reason = _algorithm(question, path, output, atoms)
  network = foreign_network.ForeignNetwork(
      torso=foreign_network.NATURE,
      algorithm=algorithm,
      num_actions=question.num_actions,
      padding='valid',
      is_channels_first=True,
      convolutions=tuple(convolutions),
      dense=foreign_network.Dense(hidden, output),
      atoms=atoms,
  )
  filters = '-'.join(map(str, network.channels))
  return network, [
      f'3 convolutions with {filters} filters, channels first: nature',
      f'{reason}: {algorithm}',
  ]


def _algorithm(
    question: foreign_teacher.Question,
    path: pathlib.Path,
    output: foreign_network.Layer,
    atoms: Optional[np.ndarray],
) -> tuple[str, str]:
  """The algorithm, and what tells it."""
  count = output.bias.size
  if atoms is None:
    return foreign_network.tell_algorithm(
        str(path), count, question.num_actions,
        question.algorithm or foreign_network.DQN,
    )
  if atoms.ndim != 1 or count != question.num_actions * len(atoms):
    raise ValueError(
        f'The network in {path} has {count} outputs and atoms of shape'
        f' {atoms.shape}, which do not fit the {question.num_actions} actions'
        ' of the game. Was it trained on this game?'
    )
  if question.algorithm not in (None, foreign_network.C51):
    raise ValueError(
        f'The network in {path} is not of {question.algorithm}: it holds the'
        f' atoms of {foreign_network.C51}.'
    )
  return foreign_network.C51, (
      f'{len(atoms)} atoms from {atoms[0]:g} to {atoms[-1]:g}'
  )


def _trained_on(arguments: Any) -> tuple[str, ...]:
  """What the arguments of the training say, if they are in the file."""
  game = arguments.get('env_id') if isinstance(arguments, Mapping) else None
  return (f'its arguments say that it was trained on {game}',) if game else ()
