"""Random changes of images that leave their meaning (DrQ).

Yarats et al. (ICLR 2021) as Dopamine's Atari 100k agents do it: each image is
padded with copies of its edge, cropped to its size at a random place, and made
brighter or darker.
"""

import tensorflow as tf

from rrl_pipeline.agents import config as config_lib

_INTENSITY_LIMIT = 2.0


def augment(
    images: tf.Tensor, config: config_lib.AugmentationConfig, seed: tf.Tensor
) -> tf.Tensor:
  """Shifts and brightens each image of a batch by amounts of its own.

  Args:
    images: float32 [B, H, W, C]; the C channels of an image move together.
    config: by how much.
    seed: int32 [2]; the same seed gives the same changes.

  Returns:
    Images of the same shape.
  """
  shift_seed, intensity_seed = tf.unstack(
      tf.random.experimental.stateless_split(seed, 2)
  )
  if config.padding:
    images = _shift(images, config.padding, shift_seed)
  if config.intensity_scale:
    noise = tf.random.stateless_normal(
        [tf.shape(images)[0], 1, 1, 1], intensity_seed
    )
    images *= 1.0 + config.intensity_scale * tf.clip_by_value(
        noise, -_INTENSITY_LIMIT, _INTENSITY_LIMIT
    )
  return images


def _shift(images: tf.Tensor, padding: int, seed: tf.Tensor) -> tf.Tensor:
  """Crops at random places of images padded with their edges.

  A pixel of the padding equals the nearest one of the image, so the padded
  image is never made: indices are clipped instead.
  """
  count, height, width = tf.unstack(tf.shape(images)[:3])
  offsets = tf.random.stateless_uniform(
      [count, 2], seed, -padding, padding + 1, tf.int32
  )
  rows = tf.clip_by_value(
      tf.range(height) + offsets[:, :1], 0, height - 1
  )  # [B, H]
  columns = tf.clip_by_value(tf.range(width) + offsets[:, 1:], 0, width - 1)
  images = tf.gather(images, rows, axis=1, batch_dims=1)
  return tf.gather(images, columns, axis=2, batch_dims=1)
