"""Tests of encoding an episode's frames."""

import hashlib
import io
import struct

import google_crc32c
import numpy as np
import PIL.Image

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import png


def _stream(frames, block_sizes):
  span = reader.EpisodeSpan(
      0, 0, 3, len(frames), 3, types.EpisodeEnd.TERMINAL, True
  )
  cuts = np.cumsum(block_sizes)[:-1]
  return reader.EpisodeStream(
      span=span,
      actions=np.arange(len(frames), dtype=np.int32),
      rewards=np.full(len(frames), 0.5, np.float32),
      frames=iter(np.split(frames, cuts)),
  )


def test_frames_are_encoded_in_order():
  frames = np.random.default_rng(0).integers(0, 256, (7, 4, 6), np.uint8)
  frames[[0, 5]] = 0
  encoder = png.PngEncoder((4, 6), png.ZLIB)
  episode = encoding.encode(_stream(frames, [3, 3, 1]), encoder)
  decoded = [
      np.asarray(PIL.Image.open(io.BytesIO(data))) for data in episode.frames
  ]
  np.testing.assert_array_equal(decoded, frames)
  assert episode.is_blank.tolist() == [True] + [False] * 4 + [True, False]
  assert episode.actions.tolist() == list(range(7))
  assert episode.span.length == 7


def test_content_hash_is_what_the_schema_says():
  frames = np.random.default_rng(0).integers(0, 256, (5, 4, 6), np.uint8)
  encoder = png.PngEncoder((4, 6), png.ZLIB)
  expected = hashlib.sha256()
  for frame in frames:
    expected.update(struct.pack('<I', google_crc32c.value(frame.tobytes())))
  expected.update(struct.pack('<5q', *range(5)))
  expected.update(struct.pack('<5f', *[0.5] * 5))
  for block_sizes in ([5], [1, 4], [2, 2, 1]):
    episode = encoding.encode(_stream(frames, block_sizes), encoder)
    assert episode.content_sha256 == expected.hexdigest()
