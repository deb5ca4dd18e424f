"""What the TFDS builders of replay datasets have in common."""

import dataclasses
import functools
import itertools
from typing import Any, ClassVar, Optional

import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import conversion_config
from rrl_pipeline.beam_jobs import log_records
from rrl_pipeline.logs import formats
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema


@dataclasses.dataclass(eq=False, kw_only=True)
class ReplayRun(tfds.core.BuilderConfig):
  """A configuration `<Name>_run_<number>` or `<Name>_run_<number>_raw`.

  The fields are options of `tfds build` alone, which takes them as JSON, as in
  `--config='{"name": "Breakout_run_2", "checkpoints": "0,1"}'`; they are the
  flags of `beam_jobs/build_rlds.py`.

  Attributes:
    log_format: of the log, or 'auto' to look at its files.
    checkpoints: 'latest', 'all' or numbers, as in '0,2'; of a recording, those
      of its writers.
    split_by_checkpoint: whether each checkpoint becomes a split of its own.
    num_actions: how many there are; None to go by what the log says.
  """

  # Name of the dataset, and how its configurations are named.
  dataset_name: ClassVar[str]
  naming: ClassVar[str]

  log_format: str = formats.AUTO
  checkpoints: str = 'latest'
  split_by_checkpoint: bool = False
  num_actions: Optional[int] = None

  def __post_init__(self):
    if replay_datasets.known_dataset(self.dataset_name, self.name) is None:
      raise ValueError(
          f'the configuration is named {self.name!r}; expected {self.naming}, '
          'or the same with _raw at its end'
      )
    if not self.description:
      self.description = self.describe()

  @property
  def parts(self) -> replay_datasets.ConfigName:
    """The parts of the name."""
    return replay_datasets.parse_config(self.dataset_name, self.name)

  @property
  def dataset(self) -> replay_datasets.ReplayDataset:
    """What the steps hold."""
    return replay_datasets.known_dataset(self.dataset_name, self.name)

  def describe(self) -> str:
    """What the log is, in a sentence or two."""
    raw = ' Observations are stored raw.' if self.parts.is_raw else ''
    return f'Run {self.parts.run} of {self.parts.name}.{raw}'

  def conversion(self, log_dir: str) -> conversion_config.BuildRldsConfig:
    """The conversion by `build_rlds.py` that gives the same records."""
    return conversion_config.BuildRldsConfig(
        log_dir=log_dir,
        data_dir='',
        dataset=self.dataset_name,
        name=self.parts.name,
        run=self.parts.run,
        log_format=self.log_format,
        checkpoints=self.checkpoints,
        split_by_checkpoint=self.split_by_checkpoint,
        num_actions=self.num_actions,
        frame_encoding=self.dataset.observation.encoding,
    )


@functools.lru_cache(maxsize=None)  # TFDS compares configurations by identity.
def make_config(kind: type[ReplayRun], name: str) -> Optional[ReplayRun]:
  """The configuration of a name; None if the name is of no such kind."""
  if replay_datasets.known_dataset(kind.dataset_name, name) is None:
    return None
  return kind(name=name)


class ReplayBuilder(
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
  """Builds `<dataset>/<Name>_run_<number>` for any such name.

  `beam_jobs/build_rlds.py` makes the same records faster, can be resumed, looks
  for duplicates and takes more options; these builders serve `tfds build`. They
  use Beam if they are given options of Beam.
  """

  # The class of the configurations, and the page that tells of the data.
  RUN: ClassVar[type[ReplayRun]]
  HOMEPAGE: ClassVar[str]

  @classmethod
  def get_builder_config(
      cls, name: str, version: Any = None
  ) -> Optional[tfds.core.BuilderConfig]:
    """The configuration of a name, also of one that is not listed.

    TFDS also asks, without a version, whether the name of a configuration that
    the caller made is taken; it is by those that are listed only.
    """
    known = super().get_builder_config(name, version)
    return known if known or version is None else make_config(cls.RUN, name)

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
        features=self.builder_config.dataset.features(),
        supervised_keys=None,
        disable_shuffling=True,  # Episodes stay in the order they were played.
        homepage=self.HOMEPAGE,
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
