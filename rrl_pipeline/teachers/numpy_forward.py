"""What a value network of another project computes, in NumPy alone.

An imported teacher is compared with this. It computes in double precision with
the weights as they were stored, in their own layout, and shares no code with
the networks they are given to: a kernel that was transposed wrongly shows.
"""

import numpy as np
from numpy.lib import stride_tricks

from rrl_pipeline.teachers import foreign_network

_IMPALA_BLOCKS = 2


def q_values(
    network: foreign_network.ForeignNetwork,
    observations: np.ndarray,
    quantiles: np.ndarray,
) -> np.ndarray:
  """Values of the actions.

  Args:
    network: what to compute.
    observations: uint8 [B, H, W, stack].
    quantiles: [K] in (0, 1), those that IQN's value is the mean over; ignored
      by the others.

  Returns:
    float64 [B, A]: expectations over C51's atoms, means over quantiles.
  """
  if network.algorithm == foreign_network.IQN:
    return quantile_values(network, observations, quantiles).mean(axis=1)
  hidden = _relu(_dense(network, network.dense.hidden, features(
      network, observations)))
  outputs = _outputs(network, hidden)
  if network.algorithm == foreign_network.C51:
    probabilities = _softmax(outputs)
    return probabilities @ network.atoms.astype(np.float64)
  # One value for each action, or its quantiles.
  return outputs.mean(axis=2)


def quantile_values(
    network: foreign_network.ForeignNetwork,
    observations: np.ndarray,
    quantiles: np.ndarray,
) -> np.ndarray:
  """IQN's values float64 [B, K, A] at quantiles [K] (Dabney et al., 2018).

  The cosines are those of Dopamine, cos(πiτ) for i from 1; equation 4 of the
  paper begins with i = 0.
  """
  embedding = network.dense.embedding
  count = embedding.kernel.shape[1 if network.is_channels_first else 0]
  cosines = np.cos(np.pi * np.outer(quantiles, np.arange(1, count + 1)))
  embedded = _relu(_dense(network, embedding, cosines))  # [K, features]
  mixed = features(network, observations)[:, np.newaxis] * embedded
  hidden = _relu(_dense(network, network.dense.hidden, mixed))
  return _outputs(network, hidden)[..., 0]


def features(
    network: foreign_network.ForeignNetwork, observations: np.ndarray
) -> np.ndarray:
  """What the convolutions make of observations, float64 [B, features]."""
  x = observations.astype(np.float64) / 255
  if network.torso == foreign_network.IMPALA:
    x = _impala(network, x)
  else:
    for layer, stride in zip(
        network.convolutions, foreign_network.NATURE_STRIDES, strict=True
    ):
      x = _relu(_convolution(network, layer, x, stride))
  if network.is_channels_first:
    x = x.transpose(0, 3, 1, 2)
  return x.reshape(len(x), -1)


def _impala(
    network: foreign_network.ForeignNetwork, x: np.ndarray
) -> np.ndarray:
  """The encoder of Espeholt et al. (2018) without its LSTM."""
  layers = iter(network.convolutions)
  for first in layers:
    x = _max_pool(_convolution(network, first, x, 1))
    for _ in range(_IMPALA_BLOCKS):
      inner = _convolution(network, next(layers), _relu(x), 1)
      x = x + _convolution(network, next(layers), _relu(inner), 1)
  return _relu(x)


def _outputs(
    network: foreign_network.ForeignNetwork, hidden: np.ndarray
) -> np.ndarray:
  """[..., A, N] of N outputs for each action."""
  outputs = _dense(network, network.dense.output, hidden)
  outputs = outputs.reshape(*hidden.shape[:-1], network.num_actions, -1)
  if network.dense.state_value is not None:
    value = _dense(network, network.dense.state_value, hidden)
    advantage = outputs - outputs.mean(axis=-2, keepdims=True)
    outputs = value[..., np.newaxis, :] + advantage
  return outputs


def _relu(x: np.ndarray) -> np.ndarray:
  return np.maximum(x, 0)


def _softmax(x: np.ndarray) -> np.ndarray:
  exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
  return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _dense(
    network: foreign_network.ForeignNetwork,
    layer: foreign_network.Layer,
    x: np.ndarray,
) -> np.ndarray:
  kernel = layer.kernel.astype(np.float64)
  return x @ (kernel.T if network.is_channels_first else kernel) + layer.bias


def _convolution(
    network: foreign_network.ForeignNetwork,
    layer: foreign_network.Layer,
    x: np.ndarray,
    stride: int,
) -> np.ndarray:
  """[B, H, W, in] to [B, H', W', out]."""
  kernel = layer.kernel.astype(np.float64)
  if network.is_channels_first:
    kernel = kernel.transpose(2, 3, 1, 0)
  size = len(kernel)
  if network.padding == 'same':
    x = _pad(x, size, stride, 0.0)
  windows = _windows(x, size, stride)  # [B, H', W', in, size, size]
  return np.einsum('bhwcij,ijco->bhwo', windows, kernel, optimize=True) + (
      layer.bias
  )


def _max_pool(x: np.ndarray) -> np.ndarray:
  """The maximum over windows of 3x3, every second one, padding 'same'."""
  return _windows(_pad(x, 3, 2, -np.inf), 3, 2).max(axis=(4, 5))


def _pad(x: np.ndarray, size: int, stride: int, value: float) -> np.ndarray:
  """TensorFlow's padding 'same': what is odd goes behind."""
  widths = [(0, 0)]
  for length in x.shape[1:3]:
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + size - length, 0)
    widths.append((total // 2, total - total // 2))
  return np.pad(x, [*widths, (0, 0)], constant_values=value)


def _windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
  windows = stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
  return windows[:, ::stride, ::stride]
