"""One RLDS episode as a dataset stores it: its columns, frames and hash.

In the shapes, N is the number of RLDS steps and T that of logged actions.
"""

import hashlib
import io
from typing import Any, Iterator, Optional
import zlib

import google_crc32c
from google.protobuf import message
import numpy as np
from PIL import Image

from rrl_pipeline.rlds import png_decoding
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example

NEEDED_FIELDS = (
    schema.OBSERVATION,
    schema.ACTION,
    schema.REWARD,
    schema.IS_LAST,
    schema.IS_TERMINAL,
)
_IMAGE_ENCODINGS = ('png', 'jpeg')
_FORMATS = ('PNG', 'JPEG')


class EpisodeError(ValueError):
  """A record that is no episode of its dataset."""


class StoredEpisode:
  """An episode whose frames are decoded only when asked for.

  Attributes:
    where: what to call the record in errors.
    num_bytes: size of the record.
    num_steps: N.
    actions: [N] int64; the last one is void.
    rewards: [N] float32; the last one is void.
    is_last: [N] bool.
    is_terminal: [N] bool.
  """

  def __init__(
      self,
      record: bytes,
      encoding: str,
      frame_shape: tuple[int, ...],
      frame_dtype: str,
      where: str,
  ):
    """Parses a record.

    Args:
      record: a serialised tf.train.Example.
      encoding: how observations are stored.
      frame_shape: of one observation.
      frame_dtype: of one observation.
      where: what to call the record in errors.

    Raises:
      EpisodeError: if it is none, or its columns do not fit together.
    """
    self.where = where
    self.num_bytes = len(record)
    self._encoding = encoding
    self._frame_shape = frame_shape
    self._frame_dtype = np.dtype(frame_dtype)
    self._is_grey_png = (
        (encoding, frame_dtype) == ('png', 'uint8')
        and len(frame_shape) == 3
        and frame_shape[2] == 1
    )
    try:
      self._feature = tf_example.parse(record).features.feature
    except message.DecodeError as error:
      raise EpisodeError(f'{where} is no tf.train.Example: {error}') from error
    self._frames = _values(
        self._feature, f'{schema.STEPS}/{schema.OBSERVATION}'
    )
    self.actions = self.column(schema.ACTION).astype(np.int64)
    self.rewards = self.column(schema.REWARD).astype(np.float32)
    self.is_last = self.column(schema.IS_LAST).astype(bool)
    self.is_terminal = self.column(schema.IS_TERMINAL).astype(bool)
    self.num_steps = len(self.is_last)
    lengths = {
        schema.OBSERVATION: len(self._frames),
        schema.ACTION: len(self.actions),
        schema.REWARD: len(self.rewards),
        schema.IS_TERMINAL: len(self.is_terminal),
    }
    if set(lengths.values()) != {self.num_steps} or not self.num_steps:
      raise EpisodeError(
          f'{where}: {schema.IS_LAST} has {self.num_steps} values, '
          + ', '.join(f'{name} {count}' for name, count in lengths.items())
          + '; expected as many of each, at least one'
      )
    if self.is_last[:-1].any() or not self.is_last[-1]:
      raise EpisodeError(
          f'{where}: {schema.IS_LAST} is not true of exactly the last step'
      )
    if self.is_terminal[:-1].any():
      raise EpisodeError(
          f'{where}: {schema.IS_TERMINAL} is true before the last step'
      )

  def column(self, name: str) -> np.ndarray:
    """The values of a field of steps: [N * size of one value], as stored."""
    return np.asarray(_values(self._feature, f'{schema.STEPS}/{name}'))

  def value(self, name: str) -> Optional[Any]:
    """The value of a field of the episode; None if the dataset lacks it."""
    if name not in self._feature:
      return None
    (value,) = _values(self._feature, name)
    return value.decode() if isinstance(value, bytes) else value

  def frames(self, start: int = 0, stop: Optional[int] = None) -> np.ndarray:
    """Decodes observations: [stop - start, ...] of the dataset's dtype.

    Raises:
      EpisodeError: if one cannot be decoded.
    """
    numbers = range(self.num_steps)[start:stop]
    frames = np.empty((len(numbers), *self._frame_shape), self._frame_dtype)
    for i, number in enumerate(numbers):
      frames[i] = self._decode(number)
    return frames

  def _decode(self, number: int) -> np.ndarray:
    data = self._frames[number]
    try:
      if self._is_grey_png:
        frame = png_decoding.decode([data], self._frame_shape[:2])
      elif self._encoding in _IMAGE_ENCODINGS:
        frame = np.asarray(Image.open(io.BytesIO(data), formats=_FORMATS))
      else:
        if self._encoding == 'zlib':
          data = zlib.decompress(data)
        frame = np.frombuffer(data, self._frame_dtype)
      return frame.reshape(self._frame_shape)
    except (OSError, ValueError, SyntaxError, TypeError, zlib.error) as error:
      raise EpisodeError(
          f'{self.where}: the observation of step {number} cannot be decoded: '
          f'{error}'
      ) from error

  @property
  def has_synthetic_frame(self) -> bool:
    """Whether the last observation was made up by the conversion."""
    return bool(self.value(schema.LAST_OBSERVATION_SYNTHETIC) or False)

  @property
  def end_kind(self) -> str:
    """How it ended; 'truncated' if a dataset by others does not say."""
    kind = self.value(schema.END_KIND)
    if kind is None:
      return 'terminal' if self.is_terminal[-1] else 'truncated'
    return kind

  @property
  def logged_frames(self) -> int:
    """How many of the observations come from the log."""
    return self.num_steps - self.has_synthetic_frame

  def content_sha256(self, frame_blocks: Iterator[np.ndarray]) -> str:
    """The hash of what was logged, computed as `schema` defines it.

    It does not depend on how frames are encoded, or on fields added later.

    Args:
      frame_blocks: blocks of the logged frames, in order.
    """
    digest = hashlib.sha256()
    for block in frame_blocks:
      checksums = [google_crc32c.value(frame.tobytes()) for frame in block]
      digest.update(np.array(checksums, '<u4').tobytes())
    actions = self.actions[:-1]
    rewards = self.rewards[:-1]
    dropped = self.value(schema.DROPPED_FINAL_ACTION)
    if dropped is not None and dropped != schema.NO_ACTION:
      actions = np.append(actions, dropped)
      rewards = np.append(rewards, self.value(schema.DROPPED_FINAL_REWARD))
    digest.update(actions.astype('<i8').tobytes())
    digest.update(rewards.astype('<f4').tobytes())
    return digest.hexdigest()

  def frame_blocks(self, size: int = 256) -> Iterator[np.ndarray]:
    """Decodes the logged frames block by block, to bound the memory."""
    for start in range(0, self.logged_frames, size):
      yield self.frames(start, min(start + size, self.logged_frames))


def _values(feature: Any, name: str) -> Any:
  """The list of a feature, whichever of the three kinds it is."""
  if name not in feature:  # Looking it up would create it.
    return ()
  value = feature[name]
  kind = value.WhichOneof('kind')
  return getattr(value, kind).value if kind else ()
