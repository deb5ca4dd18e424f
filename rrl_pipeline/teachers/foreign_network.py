"""A value network of another project: what it is built of, and its weights.

The weights are kept as they were stored; `numpy_forward` computes with them,
and `weight_transfer` gives them to a network of ours.
"""

import dataclasses
from typing import NamedTuple, Optional, Sequence

import numpy as np

NATURE, IMPALA = 'nature', 'impala'
DQN, C51, QUANTILE, IQN = 'dqn', 'c51', 'quantile', 'iqn'
ALGORITHMS = (DQN, C51, QUANTILE, IQN)

# Outputs per action by which the two are told apart: the papers' numbers, and
# Dopamine's.
_OUTPUTS = {51: C51, 200: QUANTILE}
_NATURE_KERNELS = (8, 4, 3)
NATURE_STRIDES = (4, 2, 1)
_IMPALA_STACKS = 3
_IMPALA_CONVOLUTIONS = 5  # Of a stack.
_IMPALA_KERNEL = 3


class Layer(NamedTuple):
  """Weights of one layer.

  Attributes:
    kernel: of a convolution [height, width, in, out], of a dense layer
      [in, out]; as PyTorch stores them [out, in, height, width] and [out, in].
    bias: [out].
  """

  kernel: np.ndarray
  bias: np.ndarray


class Dense(NamedTuple):
  """The dense layers of a network by what they are for.

  Attributes:
    hidden: the layer behind the convolutions.
    output: one or several values for each action.
    state_value: the stream of a dueling network that is the same for every
      action (Wang et al., 2016); None if the network is not dueling.
    embedding: of the quantiles' cosines in IQN, else None.
  """

  hidden: Layer
  output: Layer
  state_value: Optional[Layer] = None
  embedding: Optional[Layer] = None


@dataclasses.dataclass(frozen=True)
class ForeignNetwork:
  """A network from stacked frames to the values of actions.

  Attributes:
    torso: 'nature' or 'impala'.
    algorithm: 'dqn' (one value per action), 'c51' (the logits of a
      distribution on `atoms`), 'quantile' (QR-DQN) or 'iqn' (the value at a
      quantile).
    num_actions: A.
    padding: of the convolutions, 'same' or 'valid'.
    is_channels_first: whether the weights are those of PyTorch: kernels with
      the outputs first, features flattened channel by channel.
    convolutions: in the order in which they are computed; five for each stack
      of Impala.
    dense: the dense layers.
    atoms: float32 [N], the returns that C51's logits are about, else None.
  """

  torso: str
  algorithm: str
  num_actions: int
  padding: str
  is_channels_first: bool
  convolutions: tuple[Layer, ...]
  dense: Dense
  atoms: Optional[np.ndarray] = None

  @property
  def channels(self) -> tuple[int, ...]:
    """Filters of each convolution."""
    return tuple(len(layer.bias) for layer in self.convolutions)

  @property
  def stack_size(self) -> int:
    """Frames of one observation."""
    return self.convolutions[0].kernel.shape[1 if self.is_channels_first else 2]

  @property
  def num_parameters(self) -> int:
    layers = [*self.convolutions, *filter(None, self.dense)]
    return sum(part.size for layer in layers for part in layer)


def feature_size(network: ForeignNetwork, frame_size: int) -> int:
  """How many features the convolutions make of a frame of this size."""
  size = frame_size
  if network.torso == IMPALA:
    for _ in range(_IMPALA_STACKS):
      size = -(-size // 2)
  else:
    for kernel, stride in zip(_NATURE_KERNELS, NATURE_STRIDES, strict=True):
      if network.padding == 'same':
        size = -(-size // stride)
      else:
        size = (size - kernel) // stride + 1
  return size * size * network.channels[-1]


def tell_algorithm(
    path: str,
    num_outputs: int,
    num_actions: int,
    asked: Optional[str],
) -> tuple[str, str]:
  """The algorithm of a network without quantile embedding, and why.

  Args:
    path: of the file, for messages.
    num_outputs: of the last layer.
    num_actions: A.
    asked: what the user says it is; None to tell it by the numbers.

  Raises:
    ValueError: if the outputs do not fit the actions.
  """
  per_action, rest = divmod(num_outputs, num_actions)
  if rest or not per_action:
    raise ValueError(
        f'The network in {path} has {num_outputs} outputs, which are no'
        f' multiple of the {num_actions} actions of the game: it was trained on'
        ' another game, or with the full action set.'
    )
  plural = 's' if per_action > 1 else ''
  reason = f'{num_outputs} outputs are {per_action} value{plural} per action'
  if asked is not None:
    if (asked == DQN) != (per_action == 1) or asked == IQN:
      raise ValueError(
          f'The network in {path} is not of {asked}: its {reason}.'
      )
    return asked, reason
  if per_action == 1:
    return DQN, reason
  if per_action not in _OUTPUTS:
    raise ValueError(
        f'What the network in {path} computes cannot be told: {reason}, neither'
        " C51's 51 nor QR-DQN's 200. If it was trained on this game, say which"
        ' with --algorithm.'
    )
  return _OUTPUTS[per_action], reason


def check(network: ForeignNetwork, path: str, frame_size: int) -> None:
  """Checks that the layers fit each other and an environment's frames.

  Raises:
    ValueError: if not; the message names the layer.
  """
  for name, layer in _named_layers(network):
    axis = 0 if network.is_channels_first else -1
    if layer.bias.shape != (layer.kernel.shape[axis],):
      raise ValueError(
          f'{name} of the network in {path} has a kernel'
          f' {layer.kernel.shape} and a bias {layer.bias.shape}.'
      )
    for part in layer:
      if part.dtype != np.float32 or not np.isfinite(part).all():
        raise ValueError(
            f'{name} of the network in {path} holds {part.dtype} numbers that'
            ' are no finite float32.'
        )
  _check_convolutions(network, path)
  features = feature_size(network, frame_size)
  dense = network.dense
  hidden = len(dense.hidden.bias)
  expected = [('hidden layer', dense.hidden, features),
              ('output layer', dense.output, hidden)]
  if dense.state_value is not None:
    expected.append(('state value', dense.state_value, hidden))
  for name, layer, inputs in expected:
    got = layer.kernel.shape[1 if network.is_channels_first else 0]
    if got != inputs:
      raise ValueError(
          f'The {name} of the network in {path} takes {got} inputs, but'
          f' {inputs} come for frames of {frame_size}x{frame_size} and'
          f" padding '{network.padding}'."
      )


def _check_convolutions(network: ForeignNetwork, path: str) -> None:
  inputs = network.stack_size
  for i, layer in enumerate(network.convolutions):
    size = _NATURE_KERNELS[i] if network.torso == NATURE else _IMPALA_KERNEL
    outputs = len(layer.bias)
    expected = (
        (outputs, inputs, size, size)
        if network.is_channels_first
        else (size, size, inputs, outputs)
    )
    if layer.kernel.shape != expected:
      raise ValueError(
          f'Convolution {i} of the network in {path} has a kernel of shape'
          f' {layer.kernel.shape}; expected {expected} in a {network.torso}'
          ' network.'
      )
    if network.torso == IMPALA and i % _IMPALA_CONVOLUTIONS and (
        outputs != inputs
    ):
      raise ValueError(
          f'Convolution {i} of the network in {path} has {outputs} filters;'
          f' expected the {inputs} of its stack.'
      )
    inputs = outputs


def _named_layers(network: ForeignNetwork) -> Sequence[tuple[str, Layer]]:
  layers = [
      (f'Convolution {i}', layer)
      for i, layer in enumerate(network.convolutions)
  ]
  layers += [
      (f'The {name} layer', layer)
      for name, layer in network.dense._asdict().items()
      if layer is not None
  ]
  return layers
