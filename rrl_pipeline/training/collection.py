"""The collect stage: a teacher plays, and its steps become a replay log."""

import contextlib
import dataclasses
import os
from typing import Iterator

import numpy as np

from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.rlds import observations
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import collection_logs
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import progress as progress_lib
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import seeding

_AGENT = 'teacher'


@dataclasses.dataclass(frozen=True)
class Collected:
  """What a log holds: agent steps, episodes begun, and their mean raw return.

  A recording ends with a whole episode, so it holds more steps than asked for.
  """

  steps: int
  episodes: int
  mean_return: float


def collect(
    directory: str | os.PathLike,
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.CollectConfig,
    teacher: bundle.BundleTeacher,
    seed: int,
) -> Collected:
  """Lets the teacher play `num_steps` steps and logs them.

  Episodes are played in waves, several at a time; the log is saved at the end
  of a wave, and an interrupted collection goes on with the next one. Frames are
  logged as Dopamine would, other observations in a recording.
  """
  seed_of_play = seeding.derive(seed, 'collect')
  with contextlib.closing(
      _open_log(
          directory, environment_config, config, teacher, seed, seed_of_play
      )
  ) as log, progress_lib.progress(
      config.num_steps, log.steps, 'collecting', 'steps'
  ) as progress:
    while log.steps < config.num_steps:
      for episode in _play_wave(
          environment_config,
          config,
          teacher,
          seed_of_play,
          log.wave * log.wave_size(config.num_parallel),
          log.wave_size(config.num_parallel),
      ):
        progress.update(log.add(episode, _epsilon(config, episode.number)))
        if log.steps >= config.num_steps:
          break
      log.save()
  return Collected(log.steps, len(log.returns), float(np.mean(log.returns)))


def _open_log(
    directory: str | os.PathLike,
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.CollectConfig,
    teacher: bundle.BundleTeacher,
    seed: int,
    seed_of_play: int,
) -> collection_logs.CollectionLog:
  """The log that suits the environment."""
  interface = factory.interface(environment_config)
  metadata = {
      'environment': environment_config_lib.to_json(environment_config),
      'epsilons': list(config.epsilons),
      'epsilon_schedule': 'episode i plays with epsilons[i % len(epsilons)]',
      'marco_polo_share': config.marco_polo_share,
      'seed': seed,
      'teacher_sha256': teacher.sha256,
      'teacher_score': dict(teacher.description.score),
  }
  frame = interface.frame
  if observations.is_frame(frame.shape, frame.dtype.name):
    return collection_logs.DopamineLog(
        directory,
        frame.shape,
        environment_config.stack_size,
        config.num_steps,
        config.checkpoint_period,
        metadata,
    )
  return collection_logs.RecordingLog(
      directory,
      interface,
      seed_of_play,
      {**metadata, 'agent': _AGENT},
  )


def _epsilon(config: config_lib.CollectConfig, number: int) -> float:
  """The exploration rate of an episode."""
  return config.epsilons[number % len(config.epsilons)]


def _play_wave(
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.CollectConfig,
    teacher: bundle.BundleTeacher,
    seed: int,
    first: int,
    count: int,
) -> Iterator[rollouts.PlayedEpisode]:
  return rollouts.play(
      environment_config,
      teacher.actions,
      range(first, first + count),
      seed,
      lambda number: _epsilon(config, number),
      config.num_parallel,
      keep_frames=True,
      num_workers=config.num_workers,
      marco_polo_share=config.marco_polo_share,
  )
