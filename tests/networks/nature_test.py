"""Tests of the Nature network against its published sizes and a NumPy pass."""

import numpy as np
import pytest

from rrl_pipeline.networks import config
from rrl_pipeline.networks import nature

_TINY = config.NatureConfig(channels=(2, 3, 2), hidden_units=5)


def _convolve(x, kernel, bias, stride):
  """SAME convolution of [H, W, C] by [size, size, C, F], as TensorFlow pads."""
  size = kernel.shape[0]
  rows, columns = (-(-n // stride) for n in x.shape[:2])
  pads = []
  for n, out in zip(x.shape[:2], (rows, columns)):
    total = max((out - 1) * stride + size - n, 0)
    pads.append((total // 2, total - total // 2))
  x = np.pad(x, (*pads, (0, 0)))
  y = np.empty((rows, columns, kernel.shape[-1]))
  for i in range(rows):
    for j in range(columns):
      patch = x[i * stride : i * stride + size, j * stride : j * stride + size]
      y[i, j] = np.tensordot(patch, kernel, 3) + bias
  return np.maximum(y, 0)


def test_the_full_network_has_the_published_number_of_parameters():
  same = nature.make(config.NatureConfig(), (84, 84, 4), 6, seed=0)
  # 84 → 21 → 11 → 11, so 7,744 numbers enter the layer of 512.
  assert same.count_params() == (
      (8 * 8 * 4 + 1) * 32
      + (4 * 4 * 32 + 1) * 64
      + (3 * 3 * 64 + 1) * 64
      + (7_744 + 1) * 512
      + (512 + 1) * 6
  )
  valid = nature.make(
      config.NatureConfig(padding='valid'), (84, 84, 4), 6, seed=0
  )
  # Mnih et al.: 84 → 20 → 9 → 7, so 3,136.
  assert same.count_params() - valid.count_params() == (7_744 - 3_136) * 512


def test_values_equal_a_pass_by_hand():
  network = nature.make(_TINY, (84, 84, 4), 3, seed=1)
  observation = np.random.default_rng(0).integers(
      0, 256, (2, 84, 84, 4), np.uint8
  )
  weights = [variable.numpy() for variable in network.trainable_variables]
  expected = []
  for x in observation.astype(np.float64) / 255:
    for layer, stride in zip(range(3), (4, 2, 1)):
      x = _convolve(x, weights[2 * layer], weights[2 * layer + 1], stride)
    x = np.maximum(x.reshape(-1) @ weights[6] + weights[7], 0)
    expected.append(x @ weights[8] + weights[9])
  values = network(observation).numpy()
  assert values.dtype == np.float32
  np.testing.assert_allclose(values, expected, atol=1e-5)


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'padding': 'SAME'}, "padding must be 'same' or 'valid', got 'SAME'"),
        ({'channels': (2, 2)}, r'three convolutions, got \(2, 2\)'),
    ],
)
def test_impossible_settings_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    config.NatureConfig(**settings)
