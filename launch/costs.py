"""Says in one line, before a stage runs, what it will take."""

import math

from rrl_pipeline import formats
from rrl_pipeline import stages
from rrl_pipeline.launch import stage_seconds


def teacher(context: stages.Context) -> str:
  config = context.config.teacher
  if config.bundle:
    return f'checks and copies the teacher {config.bundle}: some seconds'
  seconds = stage_seconds.teacher(context.config)
  return (
      f'trains a teacher for {config.online.num_actor_steps:,} agent steps:'
      f' about {formats.seconds(seconds)} and evaluations'
  )


def collect(context: stages.Context) -> str:
  config = context.config
  if config.dataset.path:
    return f'nothing to collect: the dataset is {config.dataset.path}'
  if config.logs.path:
    return f'nothing to collect: the logs are in {config.logs.path}'
  from rrl_pipeline.training import teacher as teacher_stage

  environment = config.environment
  player = teacher_stage.load(context.run.stage('teacher'), environment)
  seconds = stage_seconds.collect(config, player.actions)
  num_bytes = config.collect.num_steps * _frame_bytes(environment)
  return (
      f'{config.collect.num_steps:,} agent steps, {formats.size(num_bytes)} of'
      f' frames before compression: about {formats.seconds(seconds)}'
  )


def dataset(context: stages.Context) -> str:
  config = context.config
  if config.dataset.path:
    return f'checks the dataset {config.dataset.path}'
  return (
      f"converts {context.input_path('collect', 'logs')} to RLDS; the job says"
      ' how much that is'
  )


def offline(context: stages.Context) -> str:
  config = context.config
  if not config.offline.num_learner_steps:
    return 'the student learns nothing offline'
  counts = context.inputs['dataset']['counts']
  steps = counts['steps'] + sum(
      mixed['steps'] for mixed in counts.values() if isinstance(mixed, dict)
  )
  num_bytes = steps * _frame_bytes(config.environment)
  place = config.offline.placement(num_bytes).value
  seconds = stage_seconds.offline(config)
  return (
      f'{config.offline.num_learner_steps:,} updates,'
      f' {formats.size(num_bytes)} of frames in {place}: about'
      f' {formats.seconds(seconds)} and evaluations'
  )


def online(context: stages.Context) -> str:
  config = context.config
  agents = 'the student'
  if config.control:
    agents += ' and as many of the control'
  return (
      f'{config.online.num_actor_steps:,} agent steps of {agents}: about'
      f' {formats.seconds(stage_seconds.online(config))} and evaluations'
  )


def evaluate(context: stages.Context) -> str:
  config = context.config
  agents = 'student and control' if config.control else 'the student'
  return (
      f'{config.evaluation.num_final_episodes} episodes of {agents}: some'
      ' minutes'
  )


def report(context: stages.Context) -> str:
  config = context.config.report
  return (
      f'figures and intervals ({config.bootstrap_resamples:,} resamples) of'
      f' {1 + len(config.other_runs)} run(s): under a minute'
  )


def _frame_bytes(environment) -> int:
  from rrl_pipeline.environments import factory

  frame = factory.interface(environment).frame
  return math.prod(frame.shape) * frame.dtype.itemsize
