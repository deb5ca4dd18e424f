"""The stages in which the student learns: offline, then online."""

import dataclasses
import os
import pathlib
import sys
from typing import Any, Callable, Mapping, Optional, Sequence

import tensorflow as tf

from rrl_pipeline import run_directory
from rrl_pipeline import settings
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import method_config
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config_lib
from rrl_pipeline.rlds import loading
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import agent_export
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import offline
from rrl_pipeline.training import offline_store
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import seeding
from rrl_pipeline.training import teacher as teacher_stage
from rrl_pipeline.training import teacher_data

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
      self,
      agent: str,
      config: agent_config_lib.AgentConfig,
      teacher_kind: str = 'q_values',
  ) -> learning.Learner:
    """An untrained learner; `teacher_kind` as in a bundle's description."""
    return builder.make_learner(
        self.network,
        config,
        self.interface.observation_shape,
        self.interface.observation_dtype.name,
        self.interface.num_actions,
        seeding.derive(self.seed, agent, 'network'),
        teacher_kind,
    )

  def q_network(
      self, agent: str, config: agent_config_lib.AgentConfig
  ) -> tf.keras.Model:
    """The `network` of such a learner, for who acts but does not learn."""
    return builder.make_value_network(
        self.network,
        config.algorithm,
        self.interface.observation_shape,
        self.interface.observation_dtype.name,
        self.interface.num_actions,
        seeding.derive(self.seed, agent, 'network'),
        config.precision,
    ).values

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
  """Pre-trains the student on one or several datasets; returns counts.

  Raises:
    ValueError: if a dataset does not fit, or the teacher is one that the online
      stage would refuse.
  """
  teacher = teacher_stage.read(teacher_directory, task.environment)
  if agent_config.needs_teacher:
    teacher_stage.scale(teacher.description, task.environment)
  datasets = _open_datasets(task, config, dataset_paths)
  source = offline_store.open_source(
      datasets,
      teacher,
      task.environment,
      agent_config.batch_size,
      config,
      directory,
      task.seed,
  )
  learner = _make_learner(task, STUDENT, agent_config, teacher)
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


def prepare_online(
    directory: str | os.PathLike,
    agent: str,
    task: Task,
    agent_config: agent_config_lib.AgentConfig,
    config: config_lib.OnlineConfig,
    offline_directory: Optional[str | os.PathLike],
    teacher_directory: str | os.PathLike,
    offline_config: config_lib.OfflineConfig = config_lib.OfflineConfig(),
    dataset_paths: Sequence[str | os.PathLike] = (),
) -> online_setup.OnlineSetup:
  """Makes a learner as its method wants it when its online stage begins.

  Args:
    directory: of the agent in the stage.
    agent: its name.
    task: what all agents have in common.
    agent_config: its method, which says what becomes of what it learned
      offline, and whether a teacher or data are needed.
    config: for how long.
    offline_directory: of its offline stage; None if it had none.
    teacher_directory: of the stage that put the teacher there.
    offline_config: how the datasets are read, where data are needed.
    dataset_paths: the datasets.

  Raises:
    ValueError: if checkpoint, teacher or datasets are missing or do not fit.
  """
  directory = pathlib.Path(directory)
  teacher = teacher_stage.read(teacher_directory, task.environment)
  # Conservatism is for data of others.
  online_config = dataclasses.replace(agent_config, conservative_weight=0.0)
  learner = _make_learner(task, agent, online_config, teacher)
  if offline_directory is not None:
    _switch(learner, agent_config.switch, offline_directory)
  guidance = None
  if agent_config.needs_teacher:
    guidance = teacher_stage.guidance(teacher_directory, task.environment)
  data = teacher_data.TeacherData()
  if agent_config.needs_data:
    data = _open_data(
        directory,
        task,
        agent_config,
        offline_config,
        dataset_paths,
        teacher,
    )
  had_teacher = (
      offline_directory is not None
      or agent_config.needs_teacher
      or agent_config.needs_data
      or agent_config.initial_network == 'teacher'
  )
  return online_setup.OnlineSetup(
      directory,
      agent,
      task.environment,
      online_config,
      config,
      learner,
      task.seed,
      guidance,
      data,
      teacher.description if had_teacher else None,
  )


def train_online(
    directory: str | os.PathLike,
    task: Task,
    agent_config: agent_config_lib.AgentConfig,
    prepare: Callable[[], online_setup.OnlineSetup],
) -> Mapping[str, Any]:
  """Trains an agent online and exports it; returns counts.

  Args:
    directory: of the agent in the stage.
    task: what all agents have in common.
    agent_config: its method, for the record.
    prepare: makes what it begins with; called once this process is the only one
      that may train it.

  Raises:
    LockedError: if another process trains this agent.
  """
  directory = pathlib.Path(directory)
  with run_directory.RunDirectory(directory).lock():
    setup = prepare()
    trainer = online.OnlineTrainer(setup, task.evaluation)
    trainer.run()
    lineage = setup.lineage
    agent_export.export(
        directory / 'bundle',
        setup.learner.network,
        task.environment,
        trainer.evaluations.evaluations()[-1],
        task.evaluation.epsilon,
        {
            'seed': task.seed,
            'network': settings.to_json_value(task.network),
            'agent': settings.to_json_value(agent_config),
            **trainer.counts(),
            # The offline updates are a part of what it took.
            'learner_steps': int(setup.learner.num_steps),
            'teacher': dataclasses.asdict(lineage) if lineage else None,
        },
    )
  return trainer.counts()


def _make_learner(
    task: Task,
    agent: str,
    agent_config: agent_config_lib.AgentConfig,
    teacher: bundle.Bundle,
) -> learning.Learner:
  """A learner with the network that its method begins with."""
  learner = task.learner(agent, agent_config, teacher.description.kind)
  if agent_config.initial_network == 'teacher':
    loaded = teacher.load()
    try:
      loaded.copy_network_to(learner.network)
    except ValueError as error:
      build = teacher.description.lineage.get('network', 'not said there')
      raise ValueError(
          f'Agent {agent!r} begins with the network of its teacher, but its own'
          ' is built differently; give the settings of --set network.… that the'
          f" lineage in the teacher's bundle.json has: {build}."
      ) from error
    learner.synchronise_target()
  return learner


def _switch(
    learner: learning.Learner,
    config: method_config.SwitchConfig,
    offline_directory: str | os.PathLike,
) -> None:
  """Gives a learner what it learned offline, as far as the method keeps it."""
  pretrained = checkpointing.Checkpointer(
      offline.checkpoints(offline_directory), learner.state
  )
  if pretrained.restore(may_fall_back=False) is None:
    raise ValueError(
        f'{offline_directory} holds no checkpoint of a student. Run'
        ' --stage=offline first.'
    )
  if config.target == 'copied':
    learner.synchronise_target()
  if config.optimizer == 'fresh':
    learner.reset_optimizer()


def _open_datasets(
    task: Task,
    config: config_lib.OfflineConfig,
    paths: Sequence[str | os.PathLike],
) -> list[loading.RldsDataset]:
  """Opens datasets, and says what they lack."""
  datasets = [
      loading.RldsDataset(path, config.episode_filter()) for path in paths
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
  return datasets


def _open_data(
    directory: pathlib.Path,
    task: Task,
    agent_config: agent_config_lib.AgentConfig,
    config: config_lib.OfflineConfig,
    paths: Sequence[str | os.PathLike],
    teacher: bundle.Bundle,
) -> teacher_data.TeacherData:
  """What an agent takes from the datasets online."""
  datasets = _open_datasets(task, config, paths)
  source = newest = None
  ratio = agent_config.rehearsal.ratio
  if ratio and datasets:
    source = offline_store.open_source(
        datasets,
        teacher,
        task.environment,
        max(1, round(ratio * agent_config.batch_size)),
        config,
        directory,
        task.seed,
        agent_config.learns_from_teacher,
    )
  if agent_config.switch.replay == 'logs' and datasets:
    newest = teacher_data.newest_episodes(
        datasets, agent_config.replay_capacity, teacher.num_actions
    )
  return teacher_data.TeacherData(source, newest)
