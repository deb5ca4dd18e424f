"""Tells Dopamine's value networks by the shapes of their layers.

The layers of its JAX agents are numbered by flax in the order in which they
are made, whatever they are for; those of its TensorFlow agents likewise. Both
pad 'same' and keep kernels as [height, width, in, out].
"""

import dataclasses
import re
from typing import Mapping, Optional, Sequence

import numpy as np

from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher

# By the number of convolutions.
_TORSOS = {3: foreign_network.NATURE, 15: foreign_network.IMPALA}
_LAYER = re.compile(
    # The encoder of Dopamine, or of the reincarnating RL paper's code.
    r'(?P<stack>encoder/(?:_stacks|Stack)_[012]/)?'
    r'(?P<kind>Conv|Dense|NoisyNetwork)_(?P<number>\d)'
    r'/(?P<part>kernel|bias|kernel_mu|kernel_sigma|bias_mu|bias_sigma)'
)


def from_flax(
    question: foreign_teacher.Question, arrays: Mapping[str, np.ndarray]
) -> tuple[foreign_network.ForeignNetwork, list[str]]:
  """The network of a JAX agent.

  Args:
    question: what is asked.
    arrays: by names such as 'params/Conv_0/kernel'.

  Returns:
    The network, and what it was recognised by.

  Raises:
    ValueError: if it is not one of those that are known.
  """
  layers = {}
  unknown = []
  for name, array in arrays.items():
    match = _LAYER.fullmatch(name.removeprefix('params/'))
    if match is None:
      unknown.append(name)
      continue
    key = ((match['stack'] or '').replace('Stack', '_stacks'),
           match['kind'], int(match['number']))
    layers.setdefault(key, {})[match['part']] = array
  is_noisy = any(kind == 'NoisyNetwork' for _, kind, _ in layers)
  convolutions, dense = [], []
  for key in sorted(layers):
    parts = layers[key]
    # Dopamine evaluates its noisy networks without their noise: by the means.
    suffix = '_mu' if key[1] == 'NoisyNetwork' else ''
    try:
      layer = foreign_network.Layer(
          parts['kernel' + suffix], parts['bias' + suffix]
      )
    except KeyError as error:
      raise ValueError(
          f'{question.path} has no {error.args[0]} of {"".join(key[:2])}_'
          f'{key[2]}, only {", ".join(sorted(parts))}.'
      ) from error
    (convolutions if key[1] == 'Conv' else dense).append(layer)
  if unknown:
    raise ValueError(
        f'{question.path} holds {len(unknown)} arrays that no known network of'
        f' Dopamine has, such as {unknown[0]!r}.'
    )
  network, findings = assemble(question, convolutions, dense)
  if is_noisy:
    findings.append(
        'its dense layers are noisy: the means are taken, as Dopamine does to'
        ' evaluate it'
    )
  return network, findings


def assemble(
    question: foreign_teacher.Question,
    convolutions: Sequence[foreign_network.Layer],
    dense: Sequence[foreign_network.Layer],
) -> tuple[foreign_network.ForeignNetwork, list[str]]:
  """The network of these layers, in the order in which Dopamine makes them.

  Returns:
    The network, and what it was recognised by.

  Raises:
    ValueError: if it is not one of those that are known.
  """
  torso = _TORSOS.get(len(convolutions))
  if torso is None or len(dense) not in (2, 3):
    raise ValueError(
        f'The network in {question.path} has {len(convolutions)} convolutions'
        f' and {len(dense)} dense layers; expected the 3 of the Nature network'
        ' or the 15 of Impala, and 2 or 3 dense layers.'
    )
  for layer in (*convolutions, *dense):
    if layer.kernel.ndim not in (2, 4) or layer.bias.ndim != 1:
      raise ValueError(
          f'The network in {question.path} has a layer with a kernel'
          f' {layer.kernel.shape} and a bias {layer.bias.shape}.'
      )
  # Those of a stack of Impala have as many as its first.
  firsts = convolutions[:: 5 if torso == foreign_network.IMPALA else 1]
  filters = '-'.join(str(len(layer.bias)) for layer in firsts)
  findings = [
      f'{len(convolutions)} convolutions with {filters} filters: {torso}'
  ]
  roles, finding = _roles(question, dense)
  if finding:
    findings.append(finding)
  if roles.embedding is not None:
    algorithm = foreign_network.IQN
    if question.algorithm not in (None, algorithm):
      raise ValueError(
          f'The network in {question.path} is not of {question.algorithm}:'
          f' {finding}.'
      )
  else:
    algorithm, reason = foreign_network.tell_algorithm(
        str(question.path),
        len(roles.output.bias),
        question.num_actions,
        question.algorithm,
    )
    findings.append(f'{reason}: {algorithm}')
  network = foreign_network.ForeignNetwork(
      torso=torso,
      algorithm=algorithm,
      num_actions=question.num_actions,
      padding='same',
      is_channels_first=False,
      convolutions=tuple(convolutions),
      dense=roles,
  )
  if algorithm == foreign_network.C51:
    count = len(roles.output.bias) // question.num_actions
    atoms = np.linspace(-question.v_max, question.v_max, count)
    network = dataclasses.replace(network, atoms=atoms.astype(np.float32))
    findings.append(
        f'its {count} atoms are not in the file: taken as even from'
        f' {-question.v_max:g} to {question.v_max:g} (--v_max)'
    )
  return network, findings


def _roles(
    question: foreign_teacher.Question, dense: Sequence[foreign_network.Layer]
) -> tuple[foreign_network.Dense, Optional[str]]:
  """What the dense layers are for, and what tells it if they are three."""
  if len(dense) == 2:
    return foreign_network.Dense(*dense), None
  inputs = [layer.kernel.shape[0] for layer in dense]
  outputs = [layer.kernel.shape[-1] for layer in dense]
  if (
      inputs[1] == inputs[2] == outputs[0]
      and outputs[1] == question.num_actions * outputs[2]
  ):
    hidden, advantage, value = dense
    return foreign_network.Dense(hidden, advantage, value), (
        'two output layers on one hidden layer: dueling'
    )
  if (
      inputs[1:] == outputs[:2]
      and outputs[2] == question.num_actions
  ):
    embedding, hidden, output = dense
    return foreign_network.Dense(hidden, output, embedding=embedding), (
        f'a dense layer from {inputs[0]} cosines to the {outputs[0]} features:'
        ' iqn'
    )
  raise ValueError(
      f'The dense layers of the network in {question.path} do not belong'
      f' together for {question.num_actions} actions: they take {inputs} inputs'
      f' and give {outputs} outputs. Was it trained on this game?'
  )
