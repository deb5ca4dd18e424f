"""The observations of records: how a dataset stores them, and what they are.

Two kinds are told apart. *Frames* are single grey pictures, uint8 [H, W], which
are stacked when a transition is sampled; they are stored as PNG or raw. All
other arrays are taken as they are; they are stored compressed one by one, or
raw.
"""

import dataclasses
import math
from typing import Sequence
import zlib

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline.replay import stacks
from rrl_pipeline.rlds import png_decoding
from rrl_pipeline.rlds import schema

_FRAME_DTYPE = 'uint8'
# What both `tf.io.decode_raw` and NumPy read from bytes.
_DTYPES = (
    'bool', 'uint8', 'uint16', 'int8', 'int16', 'int32', 'int64', 'float16',
    'float32', 'float64',
)


def is_frame(shape: tuple[int, ...], dtype: str) -> bool:
  """Whether observations of this shape and dtype are frames."""
  return stacks.is_image(shape) and dtype == _FRAME_DTYPE


def _is_frame_with_channel(shape: tuple[int, ...], dtype: str) -> bool:
  """Whether this is how a dataset stores frames."""
  return len(shape) == 3 and shape[-1] == 1 and dtype == _FRAME_DTYPE


def default_encoding(shape: tuple[int, ...], dtype: str) -> str:
  """How observations are stored unless the user says otherwise."""
  return schema.PNG if is_frame(shape, dtype) else schema.ZLIB


@dataclasses.dataclass(frozen=True)
class ObservationFormat:
  """The observations of a dataset.

  Attributes:
    shape: of one observation, without the channel axis that stored frames have:
      (84, 84) for Atari, (1099,) for a balloon.
    encoding: one of `schema.ENCODINGS` for frames, of `schema.TENSOR_ENCODINGS`
      for others.
    dtype: of its numbers, as NumPy names it.
  """

  shape: tuple[int, ...]
  encoding: str
  dtype: str = _FRAME_DTYPE

  def __post_init__(self):
    schema.check_encoding(
        self.encoding,
        schema.ENCODINGS if self.is_frame else schema.TENSOR_ENCODINGS,
    )
    if self.dtype not in _DTYPES:
      raise ValueError(
          f'observations are {self.dtype}; a dataset holds one of '
          f'{", ".join(_DTYPES)}: convert them in the environment'
      )
    if _is_frame_with_channel(self.shape, self.dtype):
      raise ValueError(
          f'observations {self} are frames of one channel, which they must be '
          'without: leave out the last axis in the environment'
      )

  def __str__(self) -> str:
    return f'{self.dtype} {self.shape}'

  @property
  def is_frame(self) -> bool:
    return is_frame(self.shape, self.dtype)

  @property
  def num_bytes(self) -> int:
    """Size of one observation in memory."""
    return math.prod(self.shape) * np.dtype(self.dtype).itemsize

  def stored_as(self, encoding: str) -> 'ObservationFormat':
    """The same observations in another encoding."""
    return dataclasses.replace(self, encoding=encoding)

  def feature(self) -> tfds.features.FeatureConnector:
    """The feature of TFDS."""
    if self.is_frame:
      return schema.frame_feature(self.shape, self.encoding)
    return schema.tensor_feature(self.shape, self.dtype, self.encoding)

  def features(self) -> tfds.features.FeaturesDict:
    """The features of a dataset with such observations."""
    return schema.replay_features(self.feature())

  def as_example(self, observation: np.ndarray) -> np.ndarray:
    """An observation as TFDS takes and gives it, frames with their channel."""
    return observation[..., np.newaxis] if self.is_frame else observation

  def decode(self, stored: Sequence[bytes]) -> np.ndarray:
    """Observations, [N, *shape] of the dtype.

    Args:
      stored: N observations as records hold them.

    Raises:
      ValueError: if one is damaged or of another shape.
    """
    if self.encoding == schema.PNG:
      return png_decoding.decode(stored, self.shape)
    if self.encoding == schema.ZLIB:
      stored = list(map(_decompress, stored))
    for data in stored:
      if len(data) != self.num_bytes:
        what = 'frame' if self.is_frame else 'observation'
        raise ValueError(
            f'a raw {what} has {len(data)} bytes; expected '
            f'{" × ".join(map(str, self.shape))} of {self.dtype}'
        )
    values = np.frombuffer(b''.join(stored), self.dtype)
    return values.reshape(len(stored), *self.shape)


def _decompress(data: bytes) -> bytes:
  try:
    return zlib.decompress(data)
  except zlib.error as error:
    raise ValueError(f'an observation cannot be decoded: {error}') from error


def format_of(
    feature: tfds.features.FeatureConnector,
) -> ObservationFormat:
  """How a dataset with this feature of observations stores them.

  Raises:
    ValueError: if not in a way that this package writes.
  """
  shape, dtype = tuple(feature.shape), np.dtype(feature.np_dtype).name
  encoding = None
  if isinstance(feature, tfds.features.Image):
    if feature.encoding_format in ('png', None):
      encoding = schema.PNG
  elif type(feature) is tfds.features.Tensor:
    stored_as = feature.to_json_content().encoding
    encoding = {'bytes': schema.RAW, 'zlib': schema.ZLIB}.get(stored_as)
  if _is_frame_with_channel(shape, dtype):
    shape = shape[:-1]
  if encoding is not None and None not in shape:
    try:
      return ObservationFormat(shape, encoding, dtype)
    except ValueError:
      pass  # Colour images, for example.
  raise ValueError(
      f'its observations are {feature!r}; expected single grey frames '
      '(H, W, 1) of uint8, as PNG images or as tensors encoded as bytes, or '
      'tensors of one shape encoded as zlib or bytes'
  )
