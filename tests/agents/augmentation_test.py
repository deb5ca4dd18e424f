"""Tests of the augmentation of images against padding and cropping."""

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline.agents import augmentation
from rrl_pipeline.agents import config as config_lib
import tensorflow as tf

_SHAPE = (40, 7, 6, 2)


def _images():
  return np.random.default_rng(0).random(_SHAPE).astype(np.float32)


def _augment(padding=0, intensity_scale=0.0, seed=(0, 1)):
  config = config_lib.AugmentationConfig(padding, intensity_scale)
  return augmentation.augment(
      tf.constant(_images()), config, tf.constant(seed, tf.int64)
  ).numpy()


def _crops(image, padding):
  """All crops of an image padded with its edge, row offset first."""
  padded = np.pad(image, ((padding,) * 2, (padding,) * 2, (0, 0)), 'edge')
  height, width = image.shape[:2]
  return [
      padded[i : i + height, j : j + width]
      for i in range(2 * padding + 1)
      for j in range(2 * padding + 1)
  ]


def test_nothing_is_changed_by_default():
  np.testing.assert_array_equal(_augment(), _images())


def test_each_image_becomes_a_crop_of_its_padded_self():
  found = []
  for image, shifted in zip(_images(), _augment(padding=2)):
    equal = [np.array_equal(crop, shifted) for crop in _crops(image, 2)]
    assert any(equal)
    found.append(equal.index(True))
  assert len(set(found)) > 10  # Each by an offset of its own.
  assert {i // 5 for i in found} == {i % 5 for i in found} == set(range(5))


def test_brightness_changes_by_one_factor_for_each_image():
  factors = _augment(intensity_scale=0.05) / _images()
  factors = factors.reshape(_SHAPE[0], -1)
  np.testing.assert_allclose(factors, factors[:, :1] + 0 * factors, rtol=1e-5)
  factors = factors[:, 0]
  assert 0.9 - 1e-6 <= factors.min() < 0.95 < 1.05 < factors.max() <= 1.1 + 1e-6
  assert len(set(np.round(factors, 6))) > 30


@pytest.mark.parametrize('settings', [(2, 0.0), (0, 0.05), (4, 0.05)])
def test_a_seed_gives_the_same_changes_and_another_one_others(settings):
  first, again = (_augment(*settings, (3, 7)) for _ in range(2))
  np.testing.assert_array_equal(first, again)
  for seed in ((3, 8), (4, 7)):
    assert not np.array_equal(first, _augment(*settings, seed))


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'padding': -1}, 'padding must not be negative, got -1'),
        ({'intensity_scale': 0.5}, r'in \[0, 0.5\), .* got 0.5'),
    ],
)
def test_impossible_settings_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    config_lib.AugmentationConfig(**settings)
