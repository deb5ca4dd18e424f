"""The teacher stage: takes a teacher bundle, or trains a DQN and makes one."""

import dataclasses
import os
import pathlib
import shutil

from rrl_pipeline import scores
from rrl_pipeline import settings
from rrl_pipeline.agents import acting
from rrl_pipeline.agents import builder
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import random_returns
from rrl_pipeline.teachers import balloon
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import agent_export
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import seeding

_AGENT = 'teacher'
_BUNDLE = 'bundle'


def obtain(
    directory: str | os.PathLike,
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.TeacherConfig,
    evaluation_config: config_lib.EvaluationConfig,
    seed: int,
    command: str,
) -> bundle.Description:
  """Puts a teacher's bundle into `directory`/bundle.

  Args:
    directory: of the stage.
    environment_config: the environment that it shall teach in.
    config: where it comes from.
    evaluation_config: how a teacher that is trained here is evaluated.
    seed: of the run.
    command: the command that trains it, for its lineage.

  Raises:
    ValueError: if the bundle that was given does not fit the environment.
  """
  directory = pathlib.Path(directory)
  target = directory / _BUNDLE
  if config.bundle:
    with balloon.located(config.bundle) as source:
      _read(source, environment_config).load()
      shutil.rmtree(target, ignore_errors=True)
      shutil.copytree(source, target)
  elif not target.exists():
    _train(
        directory, environment_config, config, evaluation_config, seed, command
    )
  description = bundle.read_description(target)
  guidance_lib.warn_of_weak_teacher(
      description.score['mean_return'],
      random_returns.RANDOM_RETURNS.get(environment_config.task),
  )
  return description


def read(
    directory: str | os.PathLike,
    environment_config: environment_config_lib.EnvironmentConfig,
) -> bundle.Bundle:
  """The bundle that `obtain` put into `directory`, its model not loaded."""
  return _read(pathlib.Path(directory) / _BUNDLE, environment_config)


def load(
    directory: str | os.PathLike,
    environment_config: environment_config_lib.EnvironmentConfig,
) -> bundle.BundleTeacher:
  """The teacher that `obtain` put into `directory`."""
  return read(directory, environment_config).load()


def guidance(
    directory: str | os.PathLike,
    environment_config: environment_config_lib.EnvironmentConfig,
) -> guidance_lib.Guidance:
  """The teacher with the scale of the student's returns.

  Raises:
    ValueError: if the teacher is no better than random play: QDagger would
      silently turn into DQN.
  """
  teacher = load(directory, environment_config)
  return guidance_lib.Guidance(
      teacher=teacher, scale=scale(teacher.description, environment_config)
  )


def scale(
    description: bundle.Description,
    environment_config: environment_config_lib.EnvironmentConfig,
) -> scores.Scale:
  """The scale on which random play is 0 and a teacher is 1.

  Raises:
    ValueError: if the teacher is no better than random play.
  """
  return scores.Scale(
      random=random_returns.random_return(environment_config.task),
      teacher=description.score['mean_return'],
  )


def _read(
    path: pathlib.Path,
    environment_config: environment_config_lib.EnvironmentConfig,
) -> bundle.Bundle:
  found = bundle.read(path)
  found.check_fits(
      environment_config_lib.to_json(environment_config),
      factory.interface(environment_config),
  )
  return found


def _train(
    directory: pathlib.Path,
    environment_config: environment_config_lib.EnvironmentConfig,
    config: config_lib.TeacherConfig,
    evaluation_config: config_lib.EvaluationConfig,
    seed: int,
    command: str,
) -> None:
  interface = factory.interface(environment_config)
  learner = builder.make_learner(
      config.network,
      config.agent,
      interface.observation_shape,
      interface.observation_dtype.name,
      interface.num_actions,
      seeding.derive(seed, _AGENT, 'network'),
  )
  parent = None
  if config.initial_bundle:
    with balloon.located(config.initial_bundle) as source:
      initial = _read(source, environment_config).load()
    initial.copy_network_to(learner.network)
    learner.synchronise_target()
    parent = dataclasses.asdict(initial.description)
  setup = online_setup.OnlineSetup(
      directory,
      _AGENT,
      environment_config,
      config.agent,
      config.online,
      learner,
      seed,
  )
  trainer = online.OnlineTrainer(setup, evaluation_config)
  trainer.run()
  records = evaluation.evaluate(
      environment_config,
      evaluation_config,
      acting.GreedyPolicy(learner.network),
      evaluation.Progress(
          _AGENT,
          'teacher',
          seed,
          int(learner.num_steps),
          trainer.actor_steps,
      ),
      evaluation_config.num_final_episodes,
  )
  agent_export.export(
      directory / _BUNDLE,
      learner.network,
      environment_config,
      records,
      evaluation_config.epsilon,
      {
          'command': command,
          'seed': seed,
          'network': settings.to_json_value(config.network),
          'agent': settings.to_json_value(config.agent),
          'online': settings.to_json_value(config.online),
          **trainer.counts(),
          'teacher': parent,
      },
  )
