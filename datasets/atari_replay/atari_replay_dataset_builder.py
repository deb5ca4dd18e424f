"""The TFDS dataset of Atari replay logs."""

import dataclasses
import functools
import itertools
from typing import Any, Optional

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.beam_jobs import log_records
from rrl_pipeline.logs import formats
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema


@dataclasses.dataclass(eq=False, kw_only=True)
class AtariReplayRun(tfds.core.BuilderConfig):
  """A configuration `<Game>_run_<number>` or `<Game>_run_<number>_raw`.

  The fields are options of `tfds build` alone, which takes them as JSON, as in
  `--config='{"name": "Pong_run_2", "checkpoints": "all"}'`; they are the flags
  of `beam_jobs/build_rlds.py`.

  Attributes:
    log_format: of the log, or 'auto' to look at its files.
    checkpoints: 'latest', 'all' or numbers, as in '0,2'.
    stack_size: frames that the agent stacked.
    split_by_checkpoint: whether each checkpoint becomes a split of its own.
  """

  log_format: str = formats.AUTO
  checkpoints: str = 'latest'
  stack_size: int = 4
  split_by_checkpoint: bool = False

  def __post_init__(self):
    match = schema.CONFIG_NAME_PATTERN.match(self.name)
    if not match:
      raise ValueError(
          f'the configuration is named {self.name!r}; expected '
          '<Game>_run_<number>, as in SpaceInvaders_run_1, or the same with '
          '_raw at its end'
      )
    if not self.description:
      raw = ' Frames are stored raw, for files that compress episodes.'
      self.description = (
          f"Run {match['run']} of an agent learning {match['game']}."
          + (raw if match['encoding'] else '')
      )

  @property
  def frame_encoding(self) -> str:
    """How frames are stored."""
    match = schema.CONFIG_NAME_PATTERN.match(self.name)
    return match['encoding'] or schema.PNG

  def conversion(self, log_dir: str) -> conversion_config.BuildRldsConfig:
    """The conversion by `build_rlds.py` that gives the same records."""
    match = schema.CONFIG_NAME_PATTERN.match(self.name)
    return conversion_config.BuildRldsConfig(
        log_dir=log_dir,
        data_dir='',
        game=match['game'],
        run=int(match['run']),
        log_format=self.log_format,
        checkpoints=self.checkpoints,
        stack_size=self.stack_size,
        split_by_checkpoint=self.split_by_checkpoint,
        frame_encoding=self.frame_encoding,
    )


@functools.lru_cache(maxsize=None)  # TFDS compares configurations by identity.
def _config(name: str) -> Optional[AtariReplayRun]:
  """'Pong_run_1' → its configuration; None if the name is of no such kind."""
  if not schema.CONFIG_NAME_PATTERN.match(name):
    return None
  return AtariReplayRun(name=name)


class Builder(tfds.core.GeneratorBasedBuilder):
  """Builds `atari_replay/<Game>_run_<number>` for any game and run.

  `beam_jobs/build_rlds.py` makes the same records faster, can be resumed, looks
  for duplicates and takes more options; this builder serves `tfds build`. It
  uses Beam if it is given options of Beam.
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
  # Others are made from their name: that of any game and run will do.
  BUILDER_CONFIGS = [_config('Pong_run_1'), _config('Pong_run_1_raw')]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Give the folder of a replay log ($store$_observation_ckpt.0.gz, …) as
  --manual_dir, or a folder with one such folder for each configuration, named
  like it without _raw: Pong_run_1, Breakout_run_1 and so on.
  """

  @classmethod
  def get_builder_config(
      cls, name: str, version: Any = None
  ) -> Optional[tfds.core.BuilderConfig]:
    """The configuration of a name: that of any game and run.

    TFDS also asks, without a version, whether the name of a configuration that
    the caller made is taken; it is by those that are listed only.
    """
    known = super().get_builder_config(name, version)
    return known if known or version is None else _config(name)

  def download_and_prepare(
      self,
      *,
      download_config: Optional[tfds.download.DownloadConfig] = None,
      file_format: Any = None,
      **kwargs: Any,
  ) -> None:
    """See the base class.

    Args:
      download_config: with `beam_options` or `beam_runner`, Beam is used.
      file_format: 'tfrecord' or 'array_record'; None for the builder's own.
      **kwargs: of the base class.

    Raises:
      ValueError: if the file format is another: it loses records.
      reader.LogError: if the log cannot be read.
      RuntimeError: if episodes are missing among what was written.
    """
    chosen = file_format or self.info.file_format or record_files.TFRECORD
    record_files.check_format(getattr(chosen, 'value', chosen))
    self._uses_beam = download_config is not None and bool(
        download_config.beam_options or download_config.beam_runner
    )
    self._records = None
    super().download_and_prepare(
        download_config=download_config, file_format=file_format, **kwargs
    )
    limited = download_config and download_config.max_examples_per_split
    if self._records is not None and not limited:
      self._check_complete(self._records)

  def _check_complete(self, records: log_records.LogRecords) -> None:
    """Reads the files back; removes them if an episode is missing.

    Runners of Beam have been seen to report success and lose records.
    """
    dataset = dataset_files.Dataset(self.data_dir)
    for split, parts in records.parts.items():
      expected = [span for part in parts for span in part.spans]
      found = [
          (
              episode.value(schema.CHECKPOINT_ID),
              episode.value(schema.EPISODE_ID),
          )
          for shard in dataset.shards
          if shard.split == split
          for episode in dataset.episodes(shard)
      ]
      if found != [(span.checkpoint_id, span.episode_id) for span in expected]:
        self.data_path.rmtree()
        raise RuntimeError(
            f'the log has {len(expected)} episodes for split {split!r}, but '
            f'{len(found)} were written, or in another order: the runner of '
            'Beam lost some. The dataset was removed; build it without '
            '--beam_pipeline_options, or with beam_jobs/build_rlds.py'
        )

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
        features=schema.atari_features(self.builder_config.frame_encoding),
        supervised_keys=None,
        disable_shuffling=True,  # Episodes stay in the order they were played.
        homepage='https://research.google/resources/datasets/dqn-replay/',
        metadata=tfds.core.MetadataDict(),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    log_dir = dl_manager.manual_dir
    own = log_dir / self.builder_config.name.removesuffix(f'_{schema.RAW}')
    if own.exists():
      log_dir = own
    self._records = log_records.LogRecords(
        self.builder_config.conversion(str(log_dir))
    )
    return {
        split: self._generate_examples(self._records, parts)
        for split, parts in self._records.parts.items()
    }

  def _generate_examples(
      self,
      records: log_records.LogRecords,
      parts: list[log_records.LogPart],
  ) -> Any:
    """The episodes of a split: a Beam transform, or pairs of key and record."""
    if self._uses_beam:
      return log_records.ReadRecords(records, parts)
    return itertools.chain.from_iterable(map(records.read, parts))
