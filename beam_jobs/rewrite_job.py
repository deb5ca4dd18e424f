"""A rewrite of a dataset: what it makes, from which episodes, and how."""

import dataclasses
import os
import tempfile
import time
from typing import Optional, Sequence

import apache_beam as beam
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import derivation
from rrl_pipeline.beam_jobs import derivation_plan
from rrl_pipeline.beam_jobs import derived_dataset
from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import episode_choice
from rrl_pipeline.beam_jobs import record_rewrite
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.rlds import dialects
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema

_START_SECONDS = 2.0
# Reading twice and writing, beside changing records.
_SECONDS_PER_CHANGING_SECOND = 1.5
_BYTES_PER_SECOND = 200e6
AUTO = 'auto'


@dataclasses.dataclass(frozen=True)
class RewriteRldsConfig:
  """A rewrite.

  Attributes:
    dataset: version folder of the dataset.
    data_dir: folder of TFDS datasets to write into.
    version: of the new dataset; by default the next patch if only the storage
      changes, otherwise the next major one.
    choice: which episodes to keep.
    dialect: one of `dialects.DIALECTS`, or 'auto' to find out.
    num_shards: files to make; None for one per half million steps.
    file_format: 'tfrecord' or 'array_record'; None for that of the source.
    frame_encoding: of frames 'png' or 'raw', of other observations 'zlib' or
      'raw'; None for that of the source.
    png_compressor: 'isal' (fast), 'zlib' (small) or 'auto': isal if installed.
  """

  dataset: str
  data_dir: str
  version: Optional[str] = None
  choice: episode_choice.EpisodeChoice = episode_choice.EpisodeChoice()
  dialect: str = AUTO
  num_shards: Optional[int] = None
  file_format: Optional[str] = None
  frame_encoding: Optional[str] = None
  png_compressor: str = AUTO

  def __post_init__(self):
    if self.version is not None:
      tfds.core.Version(self.version)  # Checks it.
    if self.dialect not in (AUTO, *dialects.DIALECTS):
      raise ValueError(
          f'dialect is {self.dialect!r}; expected one of '
          f'{", ".join((AUTO, *dialects.DIALECTS))}'
      )
    if self.file_format is not None:
      record_files.check_format(self.file_format)
    if self.frame_encoding is not None:
      schema.check_encoding(
          self.frame_encoding, (*schema.ENCODINGS, schema.ZLIB)
      )


def rewrite(
    config: RewriteRldsConfig, pipeline_args: Sequence[str] = ()
) -> derivation.Summary:
  """Writes a dataset anew, or goes on with it, or returns at once if done.

  Args:
    config: what to write.
    pipeline_args: flags of Beam.

  Raises:
    ValueError: if the source does not fit what is asked for.
    Whatever `derived_dataset.derive` raises.
  """
  source = source_dataset.SourceDataset(config.dataset)
  native = dialects.is_native(source.info.features)
  _check_dialect(source, config.dialect, native)
  encoding = config.frame_encoding or source.observation.encoding
  source.observation.stored_as(encoding)  # Checks it.
  is_copy = native and encoding == source.observation.encoding
  compressor = None  # Observations are copied, or do not become PNG.
  if encoding == schema.PNG and not is_copy:
    compressor = config.png_compressor
    if compressor == AUTO:
      compressor = png.default_compressor()
  is_storage_only = native and config.choice.is_everything
  target = derivation.Target(
      data_dir=os.path.abspath(config.data_dir),
      name=source.name if native else schema.ATARI_DATASET,
      config=_config_name(source, encoding),
      version=config.version
      or derivation.next_version(
          source.version, 'patch' if is_storage_only else 'major'
      ),
      file_format=config.file_format or source.file_format,
      features=_features(source, native, encoding),
      options={
          'choice': dataclasses.asdict(config.choice),
          'dialect': config.dialect,
          'num_shards': config.num_shards,
          'file_format': config.file_format or source.file_format,
          'frame_encoding': encoding,
          'png_compressor': compressor,
          'record_format': schema.RECORD_FORMAT,
      },
      metadata={},
      release_note=_release_note(config, source, native, encoding),
      job='rewrite_rlds',
  )
  change = record_rewrite.RecordRewrite(
      dialect=dialects.NATIVE if native else config.dialect,
      dataset=source.name,
      config=source.config,
      observation=source.observation,
      encoding=encoding,
      compressor=compressor,
  )
  job = _Rewrite(config, source, target, change)
  return derived_dataset.derive(
      source, target, job.plan, job.transform, pipeline_args
  )


class _Rewrite:
  """Finds out what `auto` means when the episodes have been looked at."""

  def __init__(
      self,
      config: RewriteRldsConfig,
      source: source_dataset.SourceDataset,
      target: derivation.Target,
      change: record_rewrite.RecordRewrite,
  ):
    self._config = config
    self._source = source
    self._target = target
    self._change = change

  def plan(self, fingerprint: str) -> derivation.Plan:
    """Chooses the episodes and divides them."""
    episodes = list(self._source.episodes())
    dialect = self._find_dialect(episodes)
    self._change = dataclasses.replace(self._change, dialect=dialect)
    warnings = []
    usable = episodes
    if dialect == dialects.RLDS:
      usable = [e for e in episodes if e.num_steps > 1]
      if len(usable) < len(episodes):
        warnings.append(
            f'{len(episodes) - len(usable)} episodes without an action are left'
            ' out'
        )
    chosen = self._config.choice.apply(usable)
    derived = [_as_derived(episode, dialect) for episode in chosen]
    seconds, num_bytes = self._probe(chosen[0])
    return derivation.Plan(
        units=derivation_plan.make_units(
            derivation_plan.divide(derived, self._config.num_shards),
            self._target.name,
            self._target.file_format,
            fingerprint,
        ),
        write_bytes=round(num_bytes * sum(e.num_steps for e in chosen)),
        seconds=_START_SECONDS
        + seconds * sum(e.num_steps for e in chosen)
        + sum(e.num_bytes for e in chosen) / _BYTES_PER_SECOND,
        check=self._change.difference,
        checkpoints=derivation_plan.checkpoint_slices(derived),
        metadata={
            'dialect': dialect,
            'left_out_episodes': len(episodes) - len(chosen),
        },
        losses=dialects.losses(dialect) + self._lost_fields(dialect),
        warnings=warnings,
    )

  def transform(
      self, job: derived_units.DerivedJob
  ) -> beam.PTransform:
    """From units to their indices and numbers of episodes; after `plan`."""
    return beam.ParDo(derived_units.DeriveUnits(job, self._change))

  def _find_dialect(
      self, episodes: Sequence[source_dataset.Episode]
  ) -> str:
    dialect = self._change.dialect
    if dialect == dialects.NATIVE:
      return dialect
    endings = [
        dialects.Ending(e.episode_return, e.step_rewards, e.last_reward)
        for e in episodes
    ]
    try:
      if dialect == AUTO:
        return dialects.detect(endings)
      dialects.check(dialect, endings)
    except ValueError as error:
      raise ValueError(f'{self._source.path}: {error}') from error
    return dialect

  def _lost_fields(self, dialect: str) -> list[str]:
    if dialect == dialects.NATIVE:
      return []
    lost = {
        *(name for name in self._source.info.features),
        *(f'{schema.STEPS}/{name}' for name in self._source.step_features),
    } - {
        *(name for name in self._target.features),
        *(
            f'{schema.STEPS}/{name}'
            for name in self._target.features[schema.STEPS].feature
        ),
    }
    if not lost:
      return []
    return [f'the fields {", ".join(sorted(lost))} are not taken over']

  def _probe(self, episode: source_dataset.Episode) -> tuple[float, float]:
    """Seconds and bytes of output for each step, by changing one episode."""
    records = self._source.records(episode.shard)
    for _ in range(episode.position):
      next(records)
    start = time.perf_counter()
    record = self._change(next(records))
    seconds = time.perf_counter() - start
    records.close()
    return (
        seconds * _SECONDS_PER_CHANGING_SECOND / episode.num_steps,
        _stored_size(record, self._target.file_format) / episode.num_steps,
    )


def _as_derived(
    episode: source_dataset.Episode, dialect: str
) -> source_dataset.Episode:
  """The episode with the counts that it will have in the derived dataset."""
  if dialect == dialects.NATIVE:
    return episode
  return dataclasses.replace(
      episode,
      num_steps=dialects.num_native_steps(
          dialect, episode.num_steps, episode.end_kind == 'terminal'
      ),
      num_transitions=episode.num_steps - (dialect == dialects.RLDS),
  )


def _check_dialect(
    source: source_dataset.SourceDataset, dialect: str, native: bool
) -> None:
  """Raises ValueError if the dataset cannot be one of the dialect."""
  if native:
    if dialect not in (AUTO, dialects.NATIVE):
      raise ValueError(
          f'{source.path} has the schema of this package; expected '
          f'--dialect={dialects.NATIVE}, or none'
      )
    return
  if dialect == dialects.NATIVE:
    raise ValueError(
        f'{source.path} has not the schema of this package; expected '
        f'--dialect={dialects.RLDS} or {dialects.RLU_ATARI}, or none'
    )
  missing = [
      name
      for names, features in (
          (dialects.NEEDED_FIELDS, source.info.features),
          (dialects.NEEDED_STEP_FIELDS, source.step_features),
      )
      for name in names
      if name not in features
  ]
  if missing:
    raise ValueError(
        f'{source.path} lacks the fields {", ".join(missing)}, which rlu_atari '
        'and the datasets of this package have'
    )
  if source.observation.shape != schema.ATARI_FRAME_SHAPE:
    raise ValueError(
        f'the frames of {source.path} are {source.observation.shape}; '
        f'{schema.ATARI_DATASET} holds frames of {schema.ATARI_FRAME_SHAPE}'
    )


def _config_name(
    source: source_dataset.SourceDataset, encoding: str
) -> str:
  """The configuration's name, which says how frames are stored."""
  parts = replay_datasets.parse_config(source.name, source.config)
  if parts is None:
    return source.config
  return str(dataclasses.replace(parts, is_raw=encoding == schema.RAW))


def _features(
    source: source_dataset.SourceDataset, native: bool, encoding: str
) -> tfds.features.FeaturesDict:
  if not native:
    return schema.atari_features(encoding)
  step = source.step_features
  if encoding != source.observation.encoding:
    step[schema.OBSERVATION] = source.observation.stored_as(encoding).feature()
  return tfds.features.FeaturesDict(
      {**source.info.features, schema.STEPS: tfds.features.Dataset(step)}
  )


def _release_note(
    config: RewriteRldsConfig,
    source: source_dataset.SourceDataset,
    native: bool,
    encoding: str,
) -> str:
  """What is new, in a line."""
  changes = [
      f'{field.name}={getattr(config.choice, field.name)}'
      for field in dataclasses.fields(config.choice)
      if getattr(config.choice, field.name) != field.default
  ]
  for name, was, now in (
      ('frame_encoding', source.observation.encoding, encoding),
      ('file_format', source.file_format, config.file_format),
      ('num_shards', None, config.num_shards),
  ):
    if now not in (None, was):
      changes.append(f'{name}={now}')
  if not native:
    changes.append('the schema of this package')
  return (
      f'{source.name}/{source.config}:{source.version} rewritten: '
      + (', '.join(changes) or 'nothing changed')
      + '.'
  )


def _stored_size(record: bytes, file_format: str) -> int:
  """Bytes that a record takes in a file, which may compress it."""
  with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, 'probe')
    with record_files.open_writer(path, file_format) as writer:
      writer.write(record)
    return os.path.getsize(path)
