"""Tests of encoding an episode's frames."""

import hashlib
import io
import struct

import google_crc32c
import numpy as np
import PIL.Image
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema


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
  assert episode.checksums.tolist() == [
      google_crc32c.value(frame.tobytes()) for frame in frames
  ]
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


def _encoder(name):
  return encoding.make_encoder(
      observations.ObservationFormat((4, 6), name), png.ZLIB
  )


def test_raw_frames_are_their_bytes():
  frames = np.random.default_rng(0).integers(0, 256, (5, 4, 6), np.uint8)
  encoder = _encoder(schema.RAW)
  episode = encoding.encode(_stream(frames, [2, 3]), encoder)
  assert list(episode.frames) == [frame.tobytes() for frame in frames]
  assert encoder.blank == np.zeros((4, 6), np.uint8).tobytes()


def test_every_encoding_gives_the_same_content_hash():
  frames = np.random.default_rng(0).integers(0, 256, (5, 4, 6), np.uint8)
  hashes = {
      encoding.encode(
          _stream(frames, [5]), _encoder(name)
      ).content_sha256
      for name in schema.ENCODINGS
  }
  assert len(hashes) == 1


def test_blocks_of_another_layout():
  """Frames that do not lie one after the other in memory."""
  frames = np.random.default_rng(0).integers(0, 256, (5, 6, 4), np.uint8)
  transposed = frames.transpose(0, 2, 1)
  for name in schema.ENCODINGS:
    encoder = _encoder(name)
    copied = encoding.encode(_stream(transposed.copy(), [5]), encoder)
    viewed = encoding.encode(_stream(transposed, [5]), encoder)
    assert list(copied.frames) == list(viewed.frames)
    assert copied.content_sha256 == viewed.content_sha256


def test_a_checksum_alone_makes_no_frame_blank(monkeypatch):
  frames = np.ones((2, 4, 6), np.uint8)
  monkeypatch.setattr(google_crc32c, 'value', lambda _: 7)
  encoder = _encoder(schema.RAW)
  assert not encoding.encode(_stream(frames, [2]), encoder).is_blank.any()


def test_unknown_encoding():
  with pytest.raises(ValueError, match="'jpeg'; expected 'png' or 'raw'"):
    _encoder('jpeg')
