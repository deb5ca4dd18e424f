"""The stages in which the student learns: offline, then online."""

import dataclasses
import os
import pathlib
import sys
from typing import Any, Mapping, Optional, Sequence

import numpy as np

from rrl_pipeline import settings
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config_lib
from rrl_pipeline.rlds import loading
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import offline
from rrl_pipeline.training import offline_store
from rrl_pipeline.training import online
from rrl_pipeline.training import seeding
from rrl_pipeline.training import teacher as teacher_stage

STUDENT = 'student'
TABULA_RASA = 'tabula_rasa'


@dataclasses.dataclass(frozen=True)
class Task:
  """What every stage of every agent of a run has in common.

  Attributes:
    environment: what is played.
    network: of student and control.
    evaluation: how they are evaluated.
    seed: of the run.
  """

  environment: environment_config_lib.EnvironmentConfig
  network: network_config_lib.NetworkConfig
  evaluation: config_lib.EvaluationConfig
  seed: int

  def learner(
      self, agent: str, config: agent_config_lib.AgentConfig
  ) -> learning.Learner:
    """An untrained learner."""
    return builder.make_learner(
        self.network,
        config,
        self.interface.observation_shape,
        self.interface.observation_dtype.name,
        self.interface.num_actions,
        seeding.derive(self.seed, agent, 'network'),
    )

  @property
  def interface(self) -> environment_lib.Interface:
    """What the agents see and do."""
    return factory.interface(self.environment)


def train_offline(
    directory: str | os.PathLike,
    task: Task,
    agent_config: agent_config_lib.AgentConfig,
    config: config_lib.OfflineConfig,
    dataset_paths: Sequence[str | os.PathLike],
    teacher_directory: str | os.PathLike,
) -> Mapping[str, Any]:
  """Pre-trains the student on one or several datasets; returns counts."""
  teacher = teacher_stage.read(teacher_directory, task.environment)
  datasets = [
      loading.RldsDataset(path, config.episode_filter())
      for path in dataset_paths
  ]
  frame = task.interface.frame
  for dataset in datasets:
    if (dataset.frame_shape, dataset.frame_dtype) != (frame.shape, frame.dtype):
      raise ValueError(
          f'The dataset {dataset.path} has observations {dataset.frame_dtype}'
          f' {dataset.frame_shape}, the environment {frame.dtype}'
          f' {frame.shape}.'
      )
    for loss in dataset.losses:
      print(f'warning: {dataset.path}: {loss}', file=sys.stderr)
  source = offline_store.open_source(
      datasets,
      teacher,
      task.environment,
      agent_config.batch_size,
      config,
      directory,
      task.seed,
  )
  learner = task.learner(STUDENT, agent_config)
  trainer = offline.OfflineTrainer(
      directory,
      task.environment,
      agent_config,
      config,
      task.evaluation,
      learner,
      source,
      task.seed,
  )
  trainer.run()
  return {
      'learner_steps': int(learner.num_steps),
      'dataset_episodes': sum(dataset.num_episodes for dataset in datasets),
      'dataset_steps': sum(dataset.num_steps for dataset in datasets),
  }


def train_online(
    directory: str | os.PathLike,
    agent: str,
    task: Task,
    agent_config: agent_config_lib.AgentConfig,
    config: config_lib.OnlineConfig,
    offline_directory: Optional[str | os.PathLike],
    teacher_directory: str | os.PathLike,
) -> Mapping[str, Any]:
  """Trains the student, or the control, online; returns counts.

  The student goes on from what it learned offline with its optimiser's moments
  kept, its target network set to its online network and an empty replay, as in
  the authors' code; without an offline directory it starts from nothing. It has
  a teacher if its method distils one. The control has neither.
  """
  learner = task.learner(agent, agent_config)
  guidance = None
  if agent == STUDENT and offline_directory is not None:
    pretrained = checkpointing.Checkpointer(
        offline.checkpoints(offline_directory), learner.state
    )
    if pretrained.restore() is None:
      raise ValueError(
          f'{offline_directory} holds no checkpoint of a student. Run'
          ' --stage=offline first.'
      )
    learner.synchronise_target()
  if agent == STUDENT and agent_config.distillation_weight > 0:
    guidance = teacher_stage.guidance(teacher_directory, task.environment)
  trainer = online.OnlineTrainer(
      pathlib.Path(directory) / agent,
      agent,
      task.environment,
      agent_config,
      config,
      task.evaluation,
      learner,
      task.seed,
      guidance,
  )
  trainer.run()
  _export(
      pathlib.Path(directory) / agent / 'bundle',
      task,
      learner,
      trainer,
      agent_config,
      teacher_directory if guidance is not None else None,
  )
  return trainer.counts()


def _export(
    directory: pathlib.Path,
    task: Task,
    learner: learning.Learner,
    trainer: online.OnlineTrainer,
    agent_config: agent_config_lib.AgentConfig,
    teacher_directory: str | os.PathLike | None,
) -> None:
  """Writes the agent as a bundle, so that it can teach the next one."""
  last = trainer.evaluations.evaluations()[-1]
  teacher = None
  if teacher_directory is not None:
    teacher = dataclasses.asdict(
        teacher_stage.load(teacher_directory, task.environment).description
    )
  bundle.export(
      directory,
      learner.network,
      bundle.Description(
          kind='q_values',
          observation_shape=task.interface.observation_shape,
          observation_dtype=task.interface.observation_dtype.name,
          action_meanings=task.interface.action_meanings,
          environment=environment_config_lib.to_json(task.environment),
          score=teacher_stage.score(
              np.array([record.episode_return for record in last]),
              task.evaluation.epsilon,
              task.environment.task,
          ),
          lineage={
              'seed': task.seed,
              'network': settings.to_json_value(task.network),
              'agent': settings.to_json_value(agent_config),
              **trainer.counts(),
              # The offline updates are a part of what it took.
              'learner_steps': int(learner.num_steps),
              'teacher': teacher,
          },
      ),
  )
