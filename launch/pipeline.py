"""The stages of the pipeline: what each reads, and which function does it.

The functions are imported when their stage runs: so --help is fast, and a
command imports Beam, TensorFlow or Reverb only if one of its stages needs it.
"""

import hashlib
import pathlib
from typing import TYPE_CHECKING

from rrl_pipeline import settings
from rrl_pipeline import stages
from rrl_pipeline.launch import costs

if TYPE_CHECKING:
  from rrl_pipeline.agents import config as agent_config
  from rrl_pipeline.training import online_setup
  from rrl_pipeline.training import students


# Names of the outputs that are further datasets; they sort behind 'dataset'.
_MIXED = 'mixed_'
_LEARNER_STEPS = 'learner_steps'


def _teacher(context: stages.Context) -> stages.Result:
  from rrl_pipeline.training import teacher

  config = context.config
  teacher.obtain(
      context.directory,
      config.environment,
      config.teacher,
      config.evaluation,
      config.seed,
      context.run.command.read_text(encoding='utf-8').strip(),
  )
  loaded = teacher.load(context.directory, config.environment)
  return stages.Result(
      outputs={'sha256': loaded.sha256},
      counts={'mean_return': loaded.description.score['mean_return']},
  )


def _collect(context: stages.Context) -> stages.Result:
  config = context.config
  if config.dataset.path:
    return stages.Result()
  if config.logs.path:
    logs = pathlib.Path(config.logs.path)
    if not logs.is_dir():
      raise ValueError(
          f'logs.path is {config.logs.path!r}, which is no directory; give the'
          ' directory of a replay log, or leave it out to collect one'
      )
    return stages.Result(outputs={'logs': context.relative(logs)})
  from rrl_pipeline.training import collection
  from rrl_pipeline.training import teacher

  logs = context.directory / 'logs'
  collected = collection.collect(
      logs,
      config.environment,
      config.collect,
      teacher.load(context.run.stage('teacher'), config.environment),
      config.seed,
  )
  return stages.Result(
      outputs={'logs': context.relative(logs)},
      counts={
          'actor_steps': collected.steps,
          'frames': collected.steps * config.environment.frame_skip,
          'episodes': collected.episodes,
          'mean_return': collected.mean_return,
      },
  )


def _dataset(context: stages.Context) -> stages.Result:
  config = context.config
  if config.dataset.path:
    return _with_mixed(context, _check_dataset(context, config.dataset.path))
  from rrl_pipeline.beam_jobs import build_rlds
  from rrl_pipeline.beam_jobs import finalize
  from rrl_pipeline.environments import factory
  from rrl_pipeline.rlds import replay_datasets

  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          log_dir=str(context.input_path('collect', 'logs')),
          data_dir=str(context.directory),
          dataset=replay_datasets.OF_KIND[config.environment.kind],
          # What is no game is named after who plays, as the log says.
          name=getattr(config.environment, 'game', ''),
          run=config.dataset.run,
          checkpoints=config.logs.checkpoints,
          stack_size=config.environment.stack_size,
          num_actions=factory.interface(config.environment).num_actions,
      )
  )
  if config.dataset.card:
    from rrl_pipeline.beam_jobs import compute_statistics

    compute_statistics.compute(
        compute_statistics.ComputeStatisticsConfig(summary.path)
    )
  shards = finalize.published_metadata(summary.path)['shards']
  result = stages.Result(
      outputs={
          'dataset': context.relative(pathlib.Path(summary.path)),
          'sha256': settings.fingerprint(shards),
      },
      counts={
          'episodes': summary.episodes,
          'transitions': summary.transitions,
          'steps': summary.steps,
          'bytes': summary.num_bytes,
          'rejected_episodes': summary.rejected_episodes,
          'padding': summary.padding,
          'left_out': summary.left_out,
      },
  )
  return _with_mixed(context, result)


def _with_mixed(
    context: stages.Context, result: stages.Result
) -> stages.Result:
  """Adds the datasets that are mixed with the run's own, if any."""
  outputs, counts = dict(result.outputs), dict(result.counts)
  for i, path in enumerate(context.config.dataset.mix, 1):
    mixed = _check_dataset(context, path)
    outputs[f'{_MIXED}{i:03d}'] = mixed.outputs['dataset']
    outputs[f'sha256_of_{_MIXED}{i:03d}'] = mixed.outputs['sha256']
    counts[f'{_MIXED}{i:03d}'] = mixed.counts
  return stages.Result(outputs, counts)


def _check_dataset(context: stages.Context, path: str) -> stages.Result:
  from rrl_pipeline.rlds import loading

  dataset = loading.RldsDataset(path)
  sizes = {
      path.name: path.stat().st_size for path in sorted(dataset.path.iterdir())
  }
  return stages.Result(
      outputs={
          'dataset': context.relative(dataset.path),
          'sha256': settings.fingerprint(sizes),
      },
      counts={
          'episodes': dataset.num_episodes,
          'steps': dataset.num_steps,
          'bytes': sum(sizes.values()),
      },
  )


def _offline(context: stages.Context) -> stages.Result:
  if not context.config.offline.num_learner_steps:
    return stages.Result(counts={_LEARNER_STEPS: 0})
  from rrl_pipeline.training import students

  counts = students.train_offline(
      context.directory,
      task(context),
      context.config.agent,
      context.config.offline,
      _datasets(context),
      context.run.stage('teacher'),
  )
  return stages.Result(_hash_of_evaluations(context.directory), counts)


def online(context: stages.Context) -> stages.Result:
  """Trains the agents, or exports those that are trained."""
  from rrl_pipeline.training import students

  outputs, counts = {}, {}
  for agent, agent_config in online_agents(context).items():
    directory = context.directory / agent
    counts[agent] = students.train_online(
        directory,
        task(context),
        agent_config,
        lambda agent=agent: prepare_online(context, agent),
    )
    outputs[agent] = context.relative(directory / 'bundle')
    outputs |= _hash_of_evaluations(directory, f'{agent}_')
  return stages.Result(outputs, counts)


def online_agents(
    context: stages.Context,
) -> dict[str, 'agent_config.AgentConfig']:
  """The agents that learn online, by name."""
  config = context.config
  return dict(zip(_agent_names(context), (config.agent, config.tabula_rasa)))


def _agent_names(context: stages.Context) -> tuple[str, ...]:
  from rrl_pipeline.training import students

  if context.config.control:
    return students.STUDENT, students.TABULA_RASA
  return (students.STUDENT,)


def prepare_online(
    context: stages.Context, agent: str
) -> 'online_setup.OnlineSetup':
  """What this agent's online training begins with."""
  from rrl_pipeline.training import students

  config = context.config
  pretrained = None
  if (
      agent == students.STUDENT
      and context.inputs['offline']['counts'][_LEARNER_STEPS]
  ):
    pretrained = context.run.stage('offline')
  return students.prepare_online(
      context.directory / agent,
      agent,
      task(context),
      online_agents(context)[agent],
      config.online,
      pretrained,
      context.run.stage('teacher'),
      config.offline,
      _datasets(context),
  )


def _evaluate(context: stages.Context) -> stages.Result:
  from rrl_pipeline.training import final_evaluation

  counts = final_evaluation.evaluate(
      context.directory,
      _agent_names(context),
      task(context),
      context.run.stage('online'),
      context.run.stage('teacher'),
  )
  return stages.Result(_hash_of_evaluations(context.directory), counts)


def _report(context: stages.Context) -> stages.Result:
  from rrl_pipeline.reports import report

  report.write_report(
      report.build_report(context.run.root, context.config.report),
      context.directory,
  )
  return stages.Result(
      outputs={
          'html': context.relative(context.directory / 'report.html'),
          'json': context.relative(context.directory / 'report.json'),
      }
  )


def _datasets(context: stages.Context) -> list[pathlib.Path]:
  """The run's own dataset, and then those that are mixed with it."""
  return [
      context.input_path('dataset', name)
      for name in sorted(context.inputs['dataset']['outputs'])
      if name == 'dataset' or name.startswith(_MIXED)
  ]


def task(context: stages.Context) -> 'students.Task':
  """What all stages of all agents have in common."""
  from rrl_pipeline.training import students

  config = context.config
  return students.Task(
      environment=config.environment,
      network=config.network,
      evaluation=config.evaluation,
      seed=config.seed,
  )


def _hash_of_evaluations(
    directory: pathlib.Path, prefix: str = ''
) -> dict[str, str]:
  """What an agent did in its evaluations tells its weights from others."""
  data = (directory / 'evaluations.jsonl').read_bytes()
  return {f'{prefix}evaluations_sha256': hashlib.sha256(data).hexdigest()}


STAGES = (
    stages.Stage(
        name='teacher',
        summary='Takes a teacher bundle, or trains a DQN to be the teacher.',
        needs=(),
        reads=('seed', 'environment', 'teacher', 'evaluation'),
        run=_teacher,
        cost=costs.teacher,
    ),
    stages.Stage(
        name='collect',
        summary='Lets the teacher play, into replay logs as Dopamine writes.',
        needs=('teacher',),
        reads=('seed', 'environment', 'collect', 'logs', 'dataset'),
        run=_collect,
        cost=costs.collect,
    ),
    stages.Stage(
        name='dataset',
        summary='Converts the logs to an RLDS dataset of TFDS, with Beam.',
        needs=('collect',),
        reads=('environment', 'logs', 'dataset'),
        run=_dataset,
        cost=costs.dataset,
    ),
    stages.Stage(
        name='offline',
        summary='Pre-trains the student on the dataset, if its method does.',
        needs=('teacher', 'dataset'),
        reads=(
            'seed',
            'environment',
            'network',
            'agent',
            'offline',
            'evaluation',
        ),
        run=_offline,
        cost=costs.offline,
    ),
    stages.Stage(
        name='online',
        summary='Goes on training the student online; and the control.',
        needs=('teacher', 'dataset', 'offline'),
        reads=(
            'seed',
            'environment',
            'network',
            'agent',
            'tabula_rasa',
            'control',
            'offline',
            'online',
            'evaluation',
        ),
        run=online,
        cost=costs.online,
    ),
    stages.Stage(
        name='evaluate',
        summary='Plays more episodes with each agent, and films the student.',
        needs=('teacher', 'online'),
        reads=('seed', 'environment', 'network', 'control', 'evaluation'),
        run=_evaluate,
        cost=costs.evaluate,
    ),
    stages.Stage(
        name='report',
        summary='Puts scores, curves, costs and a film into one HTML page.',
        needs=('teacher', 'online', 'evaluate'),
        reads=('report',),
        run=_report,
        cost=costs.report,
        cheap=True,
    ),
)
