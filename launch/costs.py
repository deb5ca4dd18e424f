"""Says in one line, before a stage runs, what it will take."""

import math

from rrl_pipeline import stages


def teacher(context: stages.Context) -> str:
  config = context.config.teacher
  if config.bundle:
    return f'checks and copies the teacher {config.bundle}: some seconds'
  seconds = _online_seconds(
      context, config.network, config.agent, config.online.num_actor_steps
  )
  return (
      f'trains a teacher for {config.online.num_actor_steps:,} agent steps:'
      f' about {_duration(seconds)} and evaluations'
  )


def collect(context: stages.Context) -> str:
  config = context.config
  if config.dataset.path:
    return f'nothing to collect: the dataset is {config.dataset.path}'
  if config.logs.path:
    return f'nothing to collect: the logs are in {config.logs.path}'
  from rrl_pipeline.environments import factory
  from rrl_pipeline.training import probe
  from rrl_pipeline.training import teacher as teacher_stage

  environment, num_parallel = config.environment, config.collect.num_parallel
  num_players = min(max(1, config.collect.num_workers), num_parallel)
  player = teacher_stage.load(context.run.stage('teacher'), environment)
  seconds = config.collect.num_steps * (
      probe.seconds_per_environment_step(environment) / num_players
      + probe.seconds_per_batch(
          player.actions, factory.interface(environment), num_parallel
      )
      / num_parallel
  )
  num_bytes = config.collect.num_steps * _frame_bytes(environment)
  return (
      f'{config.collect.num_steps:,} agent steps, {_size(num_bytes)} of frames'
      f' before compression: about {_duration(seconds)}'
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
  seconds = config.offline.num_learner_steps * _update_seconds(
      context, config.network, config.agent
  )
  return (
      f'{config.offline.num_learner_steps:,} updates, {_size(num_bytes)} of'
      f' frames in {place}: about {_duration(seconds)} and evaluations'
  )


def online(context: stages.Context) -> str:
  config = context.config
  steps = config.online.num_actor_steps
  seconds = _online_seconds(context, config.network, config.agent, steps)
  agents = 'the student'
  if config.control:
    seconds += _online_seconds(
        context, config.network, config.tabula_rasa, steps
    )
    agents += ' and as many of the control'
  return (
      f'{steps:,} agent steps of {agents}: about {_duration(seconds)} and'
      ' evaluations'
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


def _task(context, network):
  from rrl_pipeline.training import students

  return students.Task(
      environment=context.config.environment,
      network=network,
      evaluation=context.config.evaluation,
      seed=context.config.seed,
  )


def _update_seconds(context, network, agent) -> float:
  from rrl_pipeline.training import probe

  task = _task(context, network)
  learner = task.learner('probe', agent)
  return probe.seconds_per_update(learner, agent, task.interface)


def _online_seconds(context, network, agent, num_actor_steps: int) -> float:
  from rrl_pipeline.agents import acting
  from rrl_pipeline.training import probe

  task = _task(context, network)
  policy = acting.GreedyPolicy(task.learner('probe', agent).network)
  return num_actor_steps * (
      probe.seconds_per_environment_step(task.environment)
      + probe.seconds_per_batch(policy, task.interface, 1)
      + _update_seconds(context, network, agent) / agent.update_period
  )


def _duration(seconds: float) -> str:
  """'40 s', '25 min' or '3.5 h'."""
  if seconds < 100:
    return f'{seconds:.0f} s'
  if seconds < 6000:
    return f'{seconds / 60:.0f} min'
  return f'{seconds / 3600:.1f} h'


def _size(num_bytes: float) -> str:
  """'2.1 MB' or '7.1 GB'."""
  if num_bytes < 1e9:
    return f'{num_bytes / 1e6:.1f} MB'
  return f'{num_bytes / 1e9:.1f} GB'
