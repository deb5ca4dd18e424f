"""Stores a teacher's values beside the steps of a dataset, with Beam.

  python beam_jobs/annotate_teacher.py \
    --dataset=DIR/atari_replay/Pong_run_1/1.0.0 --teacher=pong_dqn \
    --data_dir=DIR

makes DIR/atari_replay/Pong_run_1/1.1.0: the same records with a step field
`teacher_values`, float32 [A]. A learner whose teacher it is then never runs it.
It can be killed at any time; the same command again goes on where it was. Flags
that are not listed below go to Beam, for example --runner=FlinkRunner, or
--direct_num_workers=8 --direct_running_mode=multi_processing for eight
processes on this machine.
"""

import dataclasses
import functools
import logging
import os
import sys
import time
from typing import Any, Optional, Sequence

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import derivation
from rrl_pipeline.beam_jobs import derivation_plan
from rrl_pipeline.beam_jobs import derived_dataset
from rrl_pipeline.beam_jobs import job_program
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import teacher_inference
from rrl_pipeline.replay import stacks
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import teacher_values
from rrl_pipeline.teachers import balloon
from rrl_pipeline.teachers import bundle

# Decoding, reading twice and writing, beside asking the teacher.
_SECONDS_PER_TEACHER_SECOND = 1.2
_START_SECONDS = 8.0
# Raised when the same dataset and teacher would give other values.
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class AnnotateTeacherConfig:
  """An annotation.

  Attributes:
    dataset: version folder of the dataset.
    teacher: folder of a teacher bundle, or the name of a teacher as in
      `TeacherConfig.bundle`.
    data_dir: folder of TFDS datasets to write into.
    version: of the new dataset; by default the next minor one, since it adds a
      field to the same records.
    num_shards: files to make; None to keep the division of the source.
  """

  dataset: str
  teacher: str
  data_dir: str
  version: Optional[str] = None
  num_shards: Optional[int] = None

  def __post_init__(self):
    if self.version is not None:
      tfds.core.Version(self.version)  # Checks it.


def annotate(
    config: AnnotateTeacherConfig, pipeline_args: Sequence[str] = ()
) -> derivation.Summary:
  """Annotates a dataset, or goes on with it, or returns at once if it is done.

  Args:
    config: what to annotate.
    pipeline_args: flags of Beam.

  Raises:
    ValueError: if dataset and teacher do not fit each other.
    Whatever `derived_dataset.derive` raises.
  """
  # First of all: a bundle that is written here then has the bytes, and so the
  # SHA-256, of the one that the launcher's teacher stage makes of this name.
  with balloon.located(config.teacher) as directory:
    return _annotate(config, bundle.read(directory), pipeline_args)


def _annotate(
    config: AnnotateTeacherConfig,
    teacher: bundle.Bundle,
    pipeline_args: Sequence[str],
) -> derivation.Summary:
  source = source_dataset.SourceDataset(config.dataset)
  _check_fit(source, teacher)
  description = teacher.description
  target = derivation.Target(
      data_dir=os.path.abspath(config.data_dir),
      name=source.name,
      config=source.config,
      version=config.version
      or derivation.next_version(source.version, 'minor'),
      file_format=source.file_format,
      features=_features(source, teacher.num_actions),
      options={
          'teacher': teacher.sha256,
          'num_shards': config.num_shards,
          'annotation_format': _FORMAT,
      },
      metadata={
          teacher_values.METADATA_KEY: teacher_values.describe(
              teacher.sha256,
              description.kind,
              description.action_meanings,
              description.observation_shape,
          )
      },
      release_note=(
          f'Added {teacher_values.STEP_FIELD} of the teacher '
          f'{teacher.sha256[:12]}.'
      ),
      job='annotate_teacher',
  )
  return derived_dataset.derive(
      source,
      target,
      functools.partial(_plan, source, target, teacher, config.num_shards),
      lambda job: teacher_inference.AnnotateUnits(
          teacher_inference.AnnotationJob(
              units=job,
              teacher_dir=os.path.abspath(teacher.directory),
              teacher_sha256=teacher.sha256,
              num_actions=teacher.num_actions,
              stack_size=_stack_size(source, description),
              observation=source.observation,
          )
      ),
      pipeline_args,
  )


def _check_fit(
    source: source_dataset.SourceDataset, teacher: bundle.Bundle
) -> None:
  """Raises ValueError if the teacher cannot judge what the dataset holds."""
  description, observation = teacher.description, source.observation
  stack_size = _stack_size(source, description)
  seen = (
      stacks.stacked_shape(observation.shape, stack_size), observation.dtype
  )
  wanted = tuple(description.observation_shape), description.observation_dtype
  if seen != wanted:
    what = 'frames' if observation.is_frame else 'observations'
    shape = wanted[0][:-1] if observation.is_frame else wanted[0]
    dtypes = ('', '')
    if wanted[1] != observation.dtype:
      dtypes = (f' {wanted[1]}', f' {observation.dtype}')
    raise ValueError(
        f'the teacher {teacher.directory} sees {what} of {shape}{dtypes[0]}, '
        f'those of {source.path} are {observation.shape}{dtypes[1]}'
    )
  parts = replay_datasets.parse_config(source.name, source.config)
  game = teacher.description.environment.get('game')
  if source.name in replay_datasets.OF_GAMES and parts and parts.name != game:
    raise ValueError(
        f'the teacher {teacher.directory} plays {game}; {source.path} is a '
        f'dataset of {parts.name}'
    )


def _stack_size(
    source: source_dataset.SourceDataset, description: bundle.Description
) -> int:
  """Frames of the teacher's observations; 1 where nothing is stacked."""
  if not stacks.is_image(source.observation.shape):
    return 1
  return description.observation_shape[-1]


def _features(
    source: source_dataset.SourceDataset, num_actions: int
) -> tfds.features.FeaturesDict:
  step = {
      **source.step_features,
      teacher_values.STEP_FIELD: teacher_values.step_feature(num_actions),
  }
  return tfds.features.FeaturesDict(
      {**source.info.features, schema.STEPS: tfds.features.Dataset(step)}
  )


def _plan(
    source: source_dataset.SourceDataset,
    target: derivation.Target,
    teacher: bundle.Bundle,
    num_shards: Optional[int],
    fingerprint: str,
) -> derivation.Plan:
  episodes = list(source.episodes())
  if not episodes:
    raise source_dataset.SourceError(f'{source.path} holds no episodes')
  _check_actions(source, episodes, teacher)
  groups = (
      derivation_plan.keep_shards(episodes)
      if num_shards is None
      else derivation_plan.divide(episodes, num_shards)
  )
  num_steps = sum(episode.num_steps for episode in episodes)
  value_bytes = num_steps * teacher.num_actions * np.dtype(np.float32).itemsize
  return derivation.Plan(
      units=derivation_plan.make_units(
          groups, source.name, target.file_format, fingerprint
      ),
      write_bytes=value_bytes + sum(e.num_bytes for e in episodes),
      seconds=_START_SECONDS
      + num_steps
      * _seconds_per_step(teacher.load())
      * _SECONDS_PER_TEACHER_SECOND,
      check=functools.partial(
          teacher_inference.difference, num_actions=teacher.num_actions
      ),
      checkpoints=derivation_plan.checkpoint_slices(episodes),
  )


def _check_actions(
    source: source_dataset.SourceDataset,
    episodes: Sequence[source_dataset.Episode],
    teacher: bundle.Bundle,
) -> None:
  """Raises ValueError if the dataset has actions that the teacher has not."""
  largest = max((episode.max_action for episode in episodes), default=0)
  if largest >= teacher.num_actions:
    raise ValueError(
        f'{source.path} has the action {largest}, the teacher '
        f'{teacher.directory} only 0 to {teacher.num_actions - 1}. Is it a '
        'teacher of another game?'
    )


def _seconds_per_step(teacher: Any) -> float:
  """Times one batch of the teacher, after one that traces its graph."""
  description = teacher.description
  batch = np.zeros(
      (teacher_inference.BATCH_SIZE, *description.observation_shape),
      description.observation_dtype,
  )
  np.asarray(teacher.values(batch))
  start = time.perf_counter()
  np.asarray(teacher.values(batch))
  return (time.perf_counter() - start) / len(batch)


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns its exit code."""
  parser = job_program.make_derivation_parser(__doc__)
  parser.add_argument(
      '--teacher',
      required=True,
      help="folder of a teacher bundle, or a name: 'pong_dqn', 'perciatelli44'",
  )
  parser.add_argument(
      '--version', help='of the new dataset (the next minor one)'
  )
  parser.add_argument(
      '--num_shards', type=int, help='files to make (as many as the source)'
  )
  # Beam says so wherever its optional model manager is not installed.
  logging.getLogger().addFilter(
      lambda record: 'Resource module is not available' not in str(record.msg)
  )
  return job_program.run(
      parser,
      lambda flags, args: annotate(AnnotateTeacherConfig(**flags), args),
      argv,
  )


if __name__ == '__main__':
  sys.exit(main())
