"""The two ways in which records hold frames, and how to go between them.

`png` is what `rlu_atari` and most readers expect. `raw` frames are their bytes:
thirty times as large one by one, but a file format that compresses records as a
whole, like ArrayRecord, finds what consecutive frames have in common.
"""

import io
from typing import Any, Sequence

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds

from rrl_pipeline.rlds import png

PNG = 'png'
RAW = 'raw'
ENCODINGS = (PNG, RAW)


class FrameError(ValueError):
  """A stored frame that cannot be decoded."""


class FrameCodec:
  """Encodes and decodes grey frames of one shape. Not thread-safe.

  Attributes:
    encoding: PNG or RAW.
    shape: (H, W).
  """

  def __init__(
      self,
      encoding: str,
      shape: tuple[int, int],
      compressor: str = png.ZLIB,
  ):
    """Makes a codec.

    Args:
      encoding: PNG or RAW.
      shape: height and width.
      compressor: of PNG files that are written.

    Raises:
      ValueError: if the encoding or the compressor is not known.
    """
    if encoding not in ENCODINGS:
      raise ValueError(
          f'the encoding of frames is {encoding!r}; expected one of '
          f'{", ".join(ENCODINGS)}'
      )
    self.encoding = encoding
    self.shape = tuple(shape)
    self._compressor = compressor
    self._png = None

  def encode(self, frame: np.ndarray) -> bytes:
    """What a record holds of a frame, uint8 [H, W]."""
    if self.encoding == RAW:
      return np.ascontiguousarray(frame).tobytes()
    if self._png is None:
      self._png = png.PngEncoder(self.shape, self._compressor)
    return self._png.encode(frame)

  def decode(self, stored: Sequence[bytes]) -> np.ndarray:
    """Frames, uint8 [N, H, W].

    Raises:
      FrameError: if one is damaged or of another shape.
    """
    frames = np.empty((len(stored), *self.shape), np.uint8)
    for frame, data in zip(frames, stored, strict=True):
      frame[...] = self._decode(data)
    return frames

  def _decode(self, data: bytes) -> np.ndarray:
    if self.encoding == RAW:
      frame = np.frombuffer(data, np.uint8)
      if frame.size != self.shape[0] * self.shape[1]:
        raise FrameError(
            f'a raw frame has {frame.size} bytes; expected '
            f'{self.shape[0]} × {self.shape[1]}'
        )
      return frame.reshape(self.shape)
    try:
      with Image.open(io.BytesIO(data), formats=('PNG',)) as image:
        mode, frame = image.mode, np.asarray(image)
    except (OSError, SyntaxError) as error:  # Pillow raises either.
      raise FrameError(f'a frame is no readable PNG: {error}') from error
    if mode != 'L' or frame.shape != self.shape:
      raise FrameError(
          f'a frame is a PNG of mode {mode} and shape {frame.shape}; expected '
          f'grey (L) and {self.shape}'
      )
    return frame


def feature(encoding: str, shape: tuple[int, int]) -> Any:
  """The TFDS feature of a step's observation, [H, W, 1] uint8."""
  doc = 'Frame before the action.'
  if encoding == PNG:
    return tfds.features.Image(
        shape=(*shape, 1), dtype=np.uint8, encoding_format='png', doc=doc
    )
  return tfds.features.Tensor(
      shape=(*shape, 1),
      dtype=np.uint8,
      encoding=tfds.features.Encoding.BYTES,
      doc=doc,
  )


def encoding_of(observation: Any) -> str:
  """How a dataset with this feature of observations stores its frames.

  Raises:
    ValueError: if not as single grey frames, PNG or raw.
  """
  shape = observation.shape
  if len(shape) == 3 and shape[-1] == 1 and observation.np_dtype == np.uint8:
    if isinstance(observation, tfds.features.Image):
      if observation.encoding_format in ('png', None):
        return PNG
    elif isinstance(observation, tfds.features.Tensor):
      if observation.to_json_content().encoding == 'bytes':
        return RAW
  raise ValueError(
      f'its observations are {observation!r}; expected single grey frames '
      '(H, W, 1) of uint8, as PNG images or as tensors encoded as bytes'
  )
