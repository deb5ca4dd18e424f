"""Takes the steps of an episode out of a tf.train.Example, column by column.

TFDS stores each field of the steps in one feature `steps/<field>`, its values
one after the other; how a value is encoded is said by the dataset's features.
"""

from typing import Any, Callable
import zlib

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import png_decoding
from rrl_pipeline.rlds import schema


class ObservationColumn:
  """The observations: single grey frames, or arrays of any other kind.

  Frames may be images of any kind, or tensors with a channel axis, which they
  lose here.

  Attributes:
    shape: of an observation: (H, W) of frames.
    dtype: of its numbers.
  """

  def __init__(self, feature: tfds.features.FeatureConnector):
    """Finds out how observations are stored.

    Raises:
      ValueError: if they are not arrays of one shape that can be read.
    """
    shape, dtype = tuple(feature.shape), np.dtype(feature.np_dtype)
    self._is_image = isinstance(feature, tfds.features.Image)
    if len(shape) == 3 and shape[-1] == 1 and dtype == np.uint8:
      shape = shape[:-1]
    if None in shape or dtype.kind not in 'biuf' or (
        self._is_image and len(shape) != 2
    ):
      raise ValueError(
          f'has observations of shape {feature.shape} and type {dtype.name};'
          ' expected single grey frames, (H, W, 1) uint8, or arrays of numbers'
          ' of one shape'
      )
    self.shape = shape
    self.dtype = dtype
    self._values = None if self._is_image else _values(feature)

  def read(self, example: Any) -> np.ndarray:
    """[N, *shape] of the dtype."""
    feature = _feature(example, schema.OBSERVATION)
    if self._is_image:
      return png_decoding.decode(list(feature.bytes_list.value), self.shape)
    return self._values(feature).reshape(-1, *self.shape)


class Column:
  """A field of numbers, or of arrays of numbers of one shape."""

  def __init__(self, name: str, feature: tfds.features.FeatureConnector):
    self._name = name
    self._shape = tuple(feature.shape)
    self._values = _values(feature)

  def read(self, example: Any) -> np.ndarray:
    """[N, *shape] in the type of the feature."""
    values = self._values(_feature(example, self._name))
    return values.reshape(-1, *self._shape)


def _feature(example: Any, name: str) -> Any:
  return example.features.feature[f'{schema.STEPS}/{name}']


def _encoding(feature: tfds.features.FeatureConnector) -> str:
  """How single values are encoded; 'none' if they are not."""
  return getattr(feature.to_json_content(), 'encoding', 'none')


def _values(
    feature: tfds.features.FeatureConnector,
) -> Callable[[Any], np.ndarray]:
  """How to take all values out of a tf.train.Feature, as a flat array."""
  dtype = np.dtype(feature.np_dtype)
  encoding = _encoding(feature)
  if encoding == 'bytes':
    return lambda f: np.frombuffer(b''.join(f.bytes_list.value), dtype)
  if encoding == 'zlib':
    return lambda f: np.frombuffer(
        b''.join(map(zlib.decompress, f.bytes_list.value)), dtype
    )
  if dtype.kind == 'f':
    return lambda f: np.array(f.float_list.value, dtype)
  return lambda f: np.array(f.int64_list.value, np.int64).astype(dtype)
