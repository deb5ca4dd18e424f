"""The collect stage: a teacher plays, and its steps become a replay log."""

import dataclasses
import itertools
import os
import pathlib
from typing import Iterator

import numpy as np

from rrl_pipeline import run_directory
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.logs import dopamine_writer
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import progress as progress_lib
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import seeding

_STATE = 'collect.json'
# Dopamine stores rewards clipped, and so do we.
_REWARD_LIMIT = 1.0


@dataclasses.dataclass(frozen=True)
class Collected:
  """What a log holds: agent steps, episodes begun, and their mean raw return."""

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
  """Lets the teacher play `num_steps` steps and logs them as Dopamine would.

  Episodes are played in waves of `num_parallel`; the log is saved at the end of
  a wave, and an interrupted collection goes on with the next one. The log ends
  with the step asked for, most often in the middle of an episode, as the logs
  of an agent do.
  """
  directory = pathlib.Path(directory)
  state_path = directory / _STATE
  metadata = {
      'environment': environment_config_lib.to_json(environment_config),
      'epsilons': list(config.epsilons),
      'epsilon_schedule': 'episode i plays with epsilons[i % len(epsilons)]',
      'seed': seed,
      'teacher_sha256': teacher.sha256,
      'teacher_score': dict(teacher.description.score),
  }
  state = {'checkpoint': -1, 'steps': 0, 'wave': 0, 'returns': []}
  if state_path.exists():
    state = run_directory.read_json(state_path)
    writer = dopamine_writer.DopamineLogWriter.restore(
        os.fspath(directory),
        state['checkpoint'],
        environment_config.stack_size,
        metadata=metadata,
    )
  else:
    size = environment_config.frame_size
    writer = dopamine_writer.DopamineLogWriter(
        os.fspath(directory),
        (size, size),
        # Room for the padding between episodes, so that nothing is overwritten
        # unless episodes are shorter than 24 steps.
        capacity=config.num_steps + config.num_steps // 8 + 64,
        stack_size=environment_config.stack_size,
        metadata=metadata,
    )
  steps, saved_steps = state['steps'], state['steps']
  with progress_lib.progress(
      config.num_steps, steps, 'collecting', 'steps'
  ) as progress:
    for wave in itertools.count(state['wave']):
      if steps >= config.num_steps:
        break
      for episode in _play_wave(
          environment_config, config, teacher, seed, wave
      ):
        added = min(len(episode.actions), config.num_steps - steps)
        if added == 0:
          break
        _log(writer, episode, added)
        steps += added
        state['returns'].append(float(episode.rewards[:added].sum()))
        progress.update(added)
      if steps - saved_steps >= min(
          config.checkpoint_period, config.num_steps - saved_steps
      ):
        saved_steps = steps
        state.update(
            checkpoint=state['checkpoint'] + 1, steps=steps, wave=wave + 1
        )
        writer.save(state['checkpoint'])
        run_directory.write_json(state_path, state)
  returns = state['returns']
  return Collected(steps, len(returns), float(np.mean(returns)))


def _play_wave(
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.CollectConfig,
    teacher: bundle.BundleTeacher,
    seed: int,
    wave: int,
) -> Iterator[rollouts.PlayedEpisode]:
  first = wave * config.num_parallel
  return rollouts.play(
      environment_config,
      teacher.actions,
      range(first, first + config.num_parallel),
      seeding.derive(seed, 'collect'),
      lambda number: config.epsilons[number % len(config.epsilons)],
      config.num_parallel,
      keep_frames=True,
      num_workers=config.num_workers,
  )


def _log(
    writer: dopamine_writer.DopamineLogWriter,
    episode: rollouts.PlayedEpisode,
    count: int,
) -> None:
  """Writes the first `count` steps of an episode."""
  for t in range(count):
    ends = t + 1 == len(episode.actions)
    writer.add(
        episode.frames[t],
        int(episode.actions[t]),
        float(np.clip(episode.rewards[t], -_REWARD_LIMIT, _REWARD_LIMIT)),
        terminal=ends and episode.terminal,
        truncated=ends and not episode.terminal,
    )
