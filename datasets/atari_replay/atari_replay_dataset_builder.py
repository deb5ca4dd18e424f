"""The TFDS dataset of Atari replay logs."""

import functools
from typing import Any, Iterator, Optional

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline.logs import dopamine
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import validation

SPLIT = 'train'
# The full action set of the Arcade Learning Environment.
_MAX_ACTIONS = 18


@functools.lru_cache(maxsize=None)  # TFDS compares configurations by identity.
def _config(name: str) -> Optional[tfds.core.BuilderConfig]:
  """'Pong_run_1' → its configuration; None if the name is of no such kind."""
  match = schema.CONFIG_NAME_PATTERN.match(name)
  if not match:
    return None
  description = f"Run {match['run']} of an agent learning {match['game']}."
  if match['encoding']:
    description += ' Frames are stored raw, for files that compress episodes.'
  return tfds.core.BuilderConfig(name=name, description=description)


def _frame_encoding(config: str) -> str:
  """How a configuration stores frames."""
  match = schema.CONFIG_NAME_PATTERN.match(config)
  return match['encoding'] or schema.PNG


class Builder(tfds.core.GeneratorBasedBuilder):
  """Builds `atari_replay/<Game>_run_<number>` for any game and run.

  `beam_jobs/build_rlds.py` makes the same records in parallel, can be resumed
  and takes options; this builder serves `tfds build`.
  """

  VERSION = tfds.core.Version('1.1.0')
  RELEASE_NOTES = {
      '1.1.0': (
          'Episodes tell the file and the slot they come from; frames may be '
          'stored raw; the observation after the last action is kept where '
          'the log holds it.'
      ),
      '1.0.0': 'Initial release.',
  }
  # Others are made from their name; one has to be here for `tfds build` to
  # accept names at all.
  BUILDER_CONFIGS = [_config('Pong_run_1')]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Give the folder of a Dopamine replay log ($store$_observation_ckpt.0.gz, …) as
  --manual_dir. The newest complete checkpoint is read.
  """

  @classmethod
  def get_builder_config(
      cls, name: str, version: Any = None
  ) -> Optional[tfds.core.BuilderConfig]:
    """The configuration of a name: that of any game and run."""
    known = super().get_builder_config(name, version)
    return known or _config(name)

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
        features=schema.atari_features(
            _frame_encoding(self.builder_config.name)
        ),
        supervised_keys=None,
        disable_shuffling=True,  # Episodes stay in the order they were played.
        homepage='https://research.google/resources/datasets/dqn-replay/',
        metadata=tfds.core.MetadataDict(),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    return {SPLIT: self._generate_examples(str(dl_manager.manual_dir))}

  def _generate_examples(
      self, log_dir: str
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the log's episodes, the same as `build_rlds.py` writes.

    Raises:
      ValueError: at the first episode that breaks a rule.
    """
    log = dopamine.DopamineLogConfig(log_dir)
    log_reader = dopamine.DopamineReader(log)
    index = log_reader.index()
    limits = validation.Limits(_MAX_ACTIONS, log.stack_size, index.ends_marked)
    encoder = encoding.make_encoder(
        _frame_encoding(self.builder_config.name),
        schema.ATARI_FRAME_SHAPE,
        png.default_compressor(),
    )
    for key, stream in enumerate(log_reader.read(index.spans)):
      episode = encoding.encode(stream, encoder)
      broken = validation.violations(episode, limits)
      if broken:
        raise ValueError(f'{stream.span}: {"; ".join(broken.values())}')
      unique_id = schema.uid(self.name, self.builder_config.name, stream.span)
      record = schema.to_record(episode, unique_id, encoder.blank)
      if _frame_encoding(self.builder_config.name) == schema.RAW:
        steps = record[schema.STEPS]
        # TFDS takes PNG files as they are, but raw frames only as arrays.
        steps[schema.OBSERVATION] = [
            np.frombuffer(frame, np.uint8).reshape(*schema.ATARI_FRAME_SHAPE, 1)
            for frame in steps[schema.OBSERVATION]
        ]
      yield key, record
