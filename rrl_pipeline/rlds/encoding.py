"""Turns the frames of a logged episode into PNG, block by block.

One block of raw frames is in memory at a time; a whole episode is kept only as
PNG, a thirtieth of its size.
"""

import hashlib

import google_crc32c
import numpy as np

from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema


def encode(
    stream: reader.EpisodeStream, encoder: png.PngEncoder
) -> schema.EncodedEpisode:
  """Takes the frames of an episode from its log.

  Args:
    stream: an episode of frames [height, width], uint8.
    encoder: for frames of that shape.

  Raises:
    reader.LogError: if the log is damaged.
  """
  frames = []
  is_blank = []
  # Hashing frames with SHA-256 would cost half as much as encoding them.
  digest = hashlib.sha256()
  for block in stream.frames:
    is_blank.append(~block.any(axis=tuple(range(1, block.ndim))))
    checksums = np.empty(len(block), '<u4')
    for i, frame in enumerate(block):
      frames.append(encoder.encode(frame))
      checksums[i] = google_crc32c.value(frame.tobytes())
    digest.update(checksums.tobytes())
  digest.update(stream.actions.astype('<i8').tobytes())
  digest.update(stream.rewards.astype('<f4').tobytes())
  return schema.EncodedEpisode(
      span=stream.span,
      frames=frames,
      actions=stream.actions,
      rewards=stream.rewards,
      is_blank=np.concatenate(is_blank),
      content_sha256=digest.hexdigest(),
  )
