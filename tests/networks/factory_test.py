"""Tests of the networks: published sizes, NumPy passes and initialisers."""

import math

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.networks import config
from rrl_pipeline.networks import factory
from rrl_pipeline.networks import heads

_IMAGE = (84, 84, 4)
_SMALL = [
    (config.NatureConfig(channels=(2, 2, 2), hidden_units=4), (12, 12, 4)),
    (config.ImpalaConfig(channels=(2, 3), hidden_units=4), (12, 12, 4)),
    (config.MlpConfig(hidden_sizes=(6, 5)), (9,)),
    (config.MinatarConfig(channels=2, hidden_units=4), (10, 10, 6)),
]


def _make(network_config, shape, dtype='uint8', seed=0, head=None, **kwargs):
  return factory.make(
      network_config, head or heads.QValueHead(6), shape, dtype, seed, **kwargs
  )


def _convolve(x, kernel, bias, padding):
  """Convolution of [H, W, C] with stride 1 by [3, 3, C, F]."""
  x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
  rows, columns = x.shape[0] - 2, x.shape[1] - 2
  y = np.empty((rows, columns, kernel.shape[-1]))
  for i in range(rows):
    for j in range(columns):
      y[i, j] = np.tensordot(x[i : i + 3, j : j + 3], kernel, 3) + bias
  return y


def _pool(x):
  """Maximum over 3x3 with stride 2, padded as TensorFlow does ('same')."""
  rows, columns = (-(-n // 2) for n in x.shape[:2])
  pads = [
      max((out - 1) * 2 + 3 - n, 0) for n, out in zip(x.shape, (rows, columns))
  ]
  pads = [(p // 2, p - p // 2) for p in pads]
  x = np.pad(x, (*pads, (0, 0)), constant_values=-np.inf)
  y = np.empty((rows, columns, x.shape[-1]))
  for i in range(rows):
    for j in range(columns):
      y[i, j] = x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(0, 1))
  return y


def test_impala_has_the_published_sizes():
  network = _make(config.ImpalaConfig(), _IMAGE)
  convolutions = sum(
      (9 * inputs + 1) * filters + 4 * (9 * filters + 1) * filters
      for inputs, filters in ((4, 16), (16, 32), (32, 32))
  )
  # 84 → 42 → 21 → 11, so 3,872 numbers enter the layer of 512.
  expected = convolutions + (3_872 + 1) * 512 + (512 + 1) * 6
  assert network.values.count_params() == expected == 2_083_798


def test_the_width_multiplies_all_channels_of_impala():
  network = _make(config.ImpalaConfig(width=2), _IMAGE)
  kernels = [v for v in network.variables if v.shape.rank == 4]
  assert [v.shape[-1] for v in kernels] == [32] * 5 + [64] * 10


def test_minatar_has_the_published_sizes():
  network = _make(config.MinatarConfig(), (10, 10, 4))
  assert network.values.count_params() == (
      (9 * 4 + 1) * 16 + (8 * 8 * 16 + 1) * 128 + (128 + 1) * 6
  )


def test_the_mlp_is_built_like_the_balloon_teacher():
  network = _make(
      config.MlpConfig(), (1099,), 'float32', head=heads.QuantileHead(3, 51)
  )
  kernels = [v.shape.as_list() for v in network.variables if v.shape.rank == 2]
  assert kernels == [[1099, 600], *[[600, 600]] * 6, [600, 153]]


@pytest.mark.parametrize('seed', [0, 1])
def test_impala_equals_a_pass_by_hand(seed):
  network = _make(
      config.ImpalaConfig(channels=(2, 3), hidden_units=5), (9, 7, 2), seed=seed
  )
  generator = np.random.default_rng(seed)
  for variable in network.variables:
    variable.assign(generator.normal(0, 0.4, variable.shape))
  observation = generator.integers(0, 256, (2, 9, 7, 2), np.uint8)
  expected = []
  for x in observation / 255:
    weights = iter(v.numpy().astype(float) for v in network.variables)
    for _ in range(2):
      x = _pool(_convolve(x, next(weights), next(weights), 1))
      for _ in range(2):
        y = _convolve(np.maximum(x, 0), next(weights), next(weights), 1)
        y = _convolve(np.maximum(y, 0), next(weights), next(weights), 1)
        x = x + y
    x = np.maximum(x, 0).reshape(-1)
    x = np.maximum(x @ next(weights) + next(weights), 0)
    expected.append(x @ next(weights) + next(weights))
  np.testing.assert_allclose(
      network.values(observation), expected, rtol=1e-4, atol=1e-4
  )


def test_minatar_equals_a_pass_by_hand():
  network = _make(config.MinatarConfig(channels=3, hidden_units=5), (10, 10, 4))
  observation = 255 * np.random.default_rng(0).integers(
      0, 2, (2, 10, 10, 4), np.uint8
  )
  k0, b0, k1, b1, k2, b2 = (v.numpy().astype(float) for v in network.variables)
  for x, values in zip(observation / 255, network.values(observation).numpy()):
    x = np.maximum(_convolve(x, k0, b0, 0), 0).reshape(-1)
    x = np.maximum(x @ k1 + b1, 0)
    np.testing.assert_allclose(values, x @ k2 + b2, atol=1e-5)


@pytest.mark.parametrize('network_config, shape', _SMALL)
def test_uint8_is_rescaled_and_float32_is_not(network_config, shape):
  generator = np.random.default_rng(0)
  of_bytes = _make(network_config, shape)
  of_floats = _make(network_config, shape, 'float32')
  x = generator.integers(0, 256, (3, *shape), np.uint8)
  expected = of_floats.values((x / 255).astype(np.float32))
  np.testing.assert_allclose(of_bytes.values(x), expected, atol=1e-6)
  for network in (of_bytes, of_floats):
    np.testing.assert_allclose(
        network.predict(network.rescale(x)).values, network.values(x),
        rtol=1e-5, atol=1e-6,
    )


@pytest.mark.parametrize('network_config, shape', _SMALL)
def test_a_seed_gives_the_same_network_again(network_config, shape):
  first, again, other = (
      _make(network_config, shape, seed=seed) for seed in (5, 5, 6)
  )
  kernels = []
  for a, b, c in zip(first.variables, again.variables, other.variables):
    np.testing.assert_array_equal(a, b)
    if a.shape.rank > 1:
      assert not np.array_equal(a, c)
      kernels.append(a.numpy().ravel()[:4] / np.abs(a).max())
  # No two layers have the same draws.
  assert len({tuple(np.round(k, 4)) for k in kernels}) == len(kernels)


def _limit(fan_in, fan_out, scheme):
  """The bound of a uniform distribution by the formulas of the schemes."""
  return {
      'glorot': math.sqrt(6 / (fan_in + fan_out)),
      'variance_scaling': math.sqrt(3 / math.sqrt(3) / fan_in),
      'torch': 1 / math.sqrt(fan_in),
  }[scheme]


@pytest.mark.parametrize(
    'network_config, shape, scheme',
    [
        (config.NatureConfig(), _IMAGE, 'glorot'),
        (config.ImpalaConfig(), _IMAGE, 'glorot'),
        (config.MlpConfig(), (1099,), 'variance_scaling'),
        (config.MinatarConfig(), (10, 10, 4), 'torch'),
    ],
)
def test_kernels_are_initialised_as_documented(network_config, shape, scheme):
  network = _make(network_config, shape, seed=3, head=heads.QuantileHead(6, 51))
  for variable in network.variables:
    values = variable.numpy()
    if values.ndim == 1:
      assert not values.any()
      continue
    field = math.prod(values.shape[:-2])
    fan_in, fan_out = field * values.shape[-2], field * values.shape[-1]
    if 'block' in variable.name:
      # LeCun normal, cut off at two standard deviations.
      assert np.std(values) == pytest.approx(fan_in**-0.5, rel=0.06)
      assert np.abs(values).max() <= 2 * fan_in**-0.5 / 0.8796
      continue
    limit = _limit(fan_in, fan_out, scheme)
    assert np.abs(values).max() <= limit * (1 + 1e-6)
    assert np.std(values) == pytest.approx(limit / math.sqrt(3), rel=0.06)


def test_implicit_quantiles_scale_the_variance_above_any_encoder():
  head = heads.ImplicitQuantileHead(6, 4, 64)
  network = _make(config.ImpalaConfig(), _IMAGE, head=head)
  sizes = {'embedding': 64, 'hidden': 3_872, 'quantiles': 512}
  for name, fan_in in sizes.items():
    kernel = network.values.get_layer(name).kernel.numpy()
    assert kernel.shape[0] == fan_in
    limit = _limit(fan_in, kernel.shape[1], 'variance_scaling')
    assert 0.98 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize('network_config, shape', _SMALL)
def test_in_bfloat16_the_values_are_float32_and_near(network_config, shape):
  exact = _make(network_config, shape)
  mixed = _make(network_config, shape, dtype_policy='mixed_bfloat16')
  x = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
  values = mixed.values(x)
  assert values.dtype == np.float32
  assert {v.dtype for v in mixed.variables} == {exact.variables[0].dtype}
  np.testing.assert_allclose(values, exact.values(x), atol=0.03)
  assert not np.array_equal(values, exact.values(x))


def test_a_network_for_images_refuses_vectors():
  with pytest.raises(ValueError, match=r"'nature' is for images .*\(1099,\)"):
    _make(config.NatureConfig(), (1099,), 'float32')


def test_other_dtypes_are_refused():
  with pytest.raises(ValueError, match="one of .* got 'int32'"):
    _make(config.MlpConfig(), (9,), 'int32')


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: config.ImpalaConfig(channels=()), 'filters of one stack'),
        (lambda: config.ImpalaConfig(width=0), 'width must be at least 1'),
        (lambda: config.MlpConfig(hidden_sizes=()), 'units of one layer'),
        (lambda: config.MlpConfig(hidden_sizes=(5, 0)), r'got \(5, 0\)'),
        (lambda: config.MinatarConfig(channels=0), 'channels must be at least'),
    ],
)
def test_impossible_settings_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
