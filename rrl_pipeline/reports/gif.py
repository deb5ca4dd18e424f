"""A short looping GIF of an agent at play."""

import io
from typing import Optional

import numpy as np
from PIL import Image

_MAX_BYTES = 2_000_000
# GIF players slow down whatever claims to be faster than 50 images a second.
_MIN_MILLISECONDS = 20
_NUM_COLOURS = 64


def encode_gif(
    frames: np.ndarray, fps: float, max_bytes: int = _MAX_BYTES
) -> bytes:
  """Returns an endlessly looping GIF; the same input gives the same bytes.

  Args:
    frames: [N, H, W] or [N, H, W, 3] uint8, N at least 1.
    fps: frames per second of play. If the GIF would grow too big, only every
      second (fourth, …) frame is kept and shown longer: the speed stays.
    max_bytes: how big it may be, unless a single frame is bigger.

  Raises:
    ValueError: frames of another shape or dtype, or a bad `fps`.
  """
  frames = np.asarray(frames)
  grey = frames.ndim == 3
  colour = frames.ndim == 4 and frames.shape[-1] == 3
  if frames.dtype != np.uint8 or not (grey or colour) or not frames.size:
    raise ValueError(
        'frames must be uint8 [N, H, W] or [N, H, W, 3] with N at least 1, got'
        f' {frames.dtype} {list(frames.shape)}'
    )
  if not fps > 0:
    raise ValueError(f'fps must be positive, got {fps}')
  palette = None if grey else _palette(frames)
  stride = 1
  while stride * 1000 / fps < _MIN_MILLISECONDS:
    stride += 1
  while True:
    kept = frames[::stride]
    data = _encode(kept, palette, stride * 1000 / fps)
    if len(data) <= max_bytes or len(kept) == 1:
      return data
    stride *= 2


def encode_still(frame: np.ndarray) -> bytes:
  """Returns one frame, [H, W] or [H, W, 3] uint8, as PNG."""
  file = io.BytesIO()
  Image.fromarray(frame).save(file, format='PNG')
  return file.getvalue()


def _palette(frames: np.ndarray) -> Image.Image:
  """One palette for all frames, so that still parts do not flicker."""
  sample = frames[:: max(1, len(frames) // 16)]
  strip = sample.reshape(-1, *sample.shape[2:])
  return Image.fromarray(strip).quantize(_NUM_COLOURS)


def _encode(
    frames: np.ndarray, palette: Optional[Image.Image], milliseconds: float
) -> bytes:
  images = [Image.fromarray(frame) for frame in frames]
  if palette is not None:
    images = [
        image.quantize(palette=palette, dither=Image.Dither.NONE)
        for image in images
    ]
  # GIF counts in hundredths of a second; rounding every frame alone would
  # make the film faster or slower than the play.
  edges = np.round(np.arange(len(images) + 1) * milliseconds / 10).astype(int)
  file = io.BytesIO()
  images[0].save(
      file,
      format='GIF',
      save_all=True,
      append_images=images[1:],
      duration=[int(10 * d) for d in np.diff(edges)],
      loop=0,
      optimize=False,
      disposal=1,
  )
  return file.getvalue()
