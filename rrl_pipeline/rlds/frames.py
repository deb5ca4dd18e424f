"""The frames of records: how a dataset stores them, and how to decode them."""

from typing import Sequence

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import png_decoding
from rrl_pipeline.rlds import schema


def decode(
    stored: Sequence[bytes], encoding: str, shape: tuple[int, int]
) -> np.ndarray:
  """Frames, uint8 [N, H, W].

  Args:
    stored: N frames as records hold them.
    encoding: one of `schema.ENCODINGS`.
    shape: (H, W).

  Raises:
    ValueError: if one is damaged or has another shape.
  """
  if encoding == schema.PNG:
    return png_decoding.decode(stored, shape)
  size = shape[0] * shape[1]
  for frame in stored:
    if len(frame) != size:
      raise ValueError(
          f'a raw frame has {len(frame)} bytes; expected '
          f'{shape[0]} × {shape[1]}'
      )
  return np.frombuffer(b''.join(stored), np.uint8).reshape(-1, *shape)


def encoding_of(observation: tfds.features.FeatureConnector) -> str:
  """How a dataset with this feature of observations stores its frames.

  Raises:
    ValueError: if not as single grey frames of a known encoding.
  """
  shape = observation.shape
  if len(shape) == 3 and shape[-1] == 1 and observation.np_dtype == np.uint8:
    if isinstance(observation, tfds.features.Image):
      if observation.encoding_format in ('png', None):
        return schema.PNG
    elif isinstance(observation, tfds.features.Tensor):
      if observation.to_json_content().encoding == 'bytes':
        return schema.RAW
  raise ValueError(
      f'its observations are {observation!r}; expected single grey frames '
      '(H, W, 1) of uint8, as PNG images or as tensors encoded as bytes'
  )
