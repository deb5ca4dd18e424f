"""How a rewrite changes a record: not at all, its observations, its dialect."""

import dataclasses
from typing import Optional

from rrl_pipeline.rlds import dialects
from rrl_pipeline.rlds import encoding as encoding_lib
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example

_OBSERVATION = f'{schema.STEPS}/{schema.OBSERVATION}'
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class RecordRewrite:
  """A record of the source → a record of the derived dataset.

  Attributes:
    dialect: of the source.
    dataset: name of the source, and
    config: of its configuration.
    observation: what the steps of the source hold, and how.
    encoding: of the observations to write.
    compressor: of PNG; see `png.PngEncoder`. None if no PNG is
      written.
  """

  dialect: str
  dataset: str
  config: str
  observation: observations.ObservationFormat
  encoding: str
  compressor: Optional[str]

  def __call__(self, record: bytes) -> bytes:
    """Rewrites a record.

    Raises:
      ValueError: if it is damaged, or none of the dialect.
    """
    if self.dialect != dialects.NATIVE:
      return dialects.to_native(
          record,
          self.dialect,
          self.dataset,
          self.config,
          self.observation.encoding,
          self._encoder(),
      )
    if self.encoding == self.observation.encoding:
      return record
    example = tf_example.parse(record)
    stored = example.features.feature[_OBSERVATION].bytes_list.value
    stored[:] = self._encode_again(stored)
    return example.SerializeToString(deterministic=True)

  @property
  def _written(self) -> observations.ObservationFormat:
    return self.observation.stored_as(self.encoding)

  def _encoder(self) -> encoding_lib.ObservationEncoder:
    return encoding_lib.make_encoder(self._written, self.compressor)

  def _encode_again(self, stored: list[bytes]) -> list[bytes]:
    encoder = self._encoder()
    result = []
    for start in range(0, len(stored), _BLOCK):
      block = self.observation.decode(stored[start : start + _BLOCK])
      encoded = encoder.encode_block(block)
      # Cheap beside encoding, and what is published is proven equal.
      decoded = self._written.decode(encoded)
      # Their bytes: a number that is none equals nothing, not even itself.
      if decoded.tobytes() != block.tobytes():
        raise ValueError(
            f'observations {start} to {start + len(block) - 1} do not survive being '
            f'stored as {self.encoding}'
        )
      result.extend(encoded)
    return result

  def difference(self, source: bytes, derived: bytes) -> Optional[str]:
    """What a derived record should have kept and has not, or None."""
    is_copy = self.encoding == self.observation.encoding
    if self.dialect == dialects.NATIVE and is_copy:
      return None if source == derived else 'it is another record'
    before = tf_example.parse(source).features.feature
    after = tf_example.parse(derived).features.feature
    if self.dialect == dialects.NATIVE:
      names = sorted({*before, *after} - {_OBSERVATION})
    else:
      names = [schema.CHECKPOINT_ID, schema.EPISODE_ID]
    changed = [name for name in names if before[name] != after[name]]
    return f'{", ".join(changed)} changed' if changed else None
