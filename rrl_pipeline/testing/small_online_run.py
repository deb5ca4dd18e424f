"""A run whose online stage can begin: everything is real, but small.

ALE's Pong in short episodes, a network of two filters, and a teacher of random
weights. It takes ten seconds, most of them to import TensorFlow.
"""

import json
import pathlib
from typing import Any

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import builder
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.launch import launch
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import actor_role
from rrl_pipeline.training import metric_log

# Updates of the offline stage, behind which those of the online stage count.
OFFLINE_STEPS = 20
# Steps in the replay with which learning begins, and steps for an update.
MIN_REPLAY_STEPS, UPDATE_PERIOD = 100, 4
# Steps from which on the teacher is not needed.
WEANING_STEPS = 800
_EPISODE_STEPS = 45
_SETTINGS = (
    'control=false',
    f'environment.max_episode_steps={_EPISODE_STEPS}',
    'network.channels=2,2,2',
    'network.hidden_units=8',
    'collect.num_steps=100',
    'collect.num_parallel=2',
    'dataset.card=false',
    'agent.batch_size=4',
    f'agent.min_replay_steps={MIN_REPLAY_STEPS}',
    f'agent.update_period={UPDATE_PERIOD}',
    f'agent.weaning.steps={WEANING_STEPS}',
    'agent.target_update_period=10',
    f'offline.num_learner_steps={OFFLINE_STEPS}',
    f'offline.evaluation_period={OFFLINE_STEPS}',
    f'offline.checkpoint_period={OFFLINE_STEPS}',
    'offline.log_period=10',
    'online.log_period=10',
    'evaluation.num_episodes=2',
    'evaluation.num_parallel=2',
)


def prepare(
    directory: pathlib.Path,
    num_steps: int,
    evaluation_period: int,
    checkpoint_period: int,
    *settings: str,
) -> pathlib.Path:
  """Runs the stages before the online one.

  Args:
    directory: gets the teacher and the run.
    num_steps: agent steps of the online stage.
    evaluation_period: of them.
    checkpoint_period: of them.
    *settings: further ones, such as 'agent.replay_capacity=1000'.

  Returns:
    The run's directory.

  Raises:
    ValueError: if a stage failed; it said why.
  """
  config = atari.AtariConfig(max_episode_steps=_EPISODE_STEPS)
  environment = factory.make(config, 0)
  network = builder.make_network(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      algorithm_config.DqnConfig(),
      (84, 84, 4),
      'uint8',
      environment.action_spec().num_values,
      seed=3,
  )
  bundle.export(
      directory / 'teacher',
      network,
      bundle.Description(
          kind='q_values',
          observation_shape=(84, 84, 4),
          action_meanings=environment.action_meanings,
          environment=environment_config.to_json(config),
          score={'mean_return': 5.0, 'std_return': 1.0, 'num_episodes': 1},
          lineage={'command': 'none', 'teacher': None},
      ),
  )
  run = directory / 'run'
  changes = (
      f'teacher.bundle={directory / "teacher"}',
      *_SETTINGS,
      f'online.num_actor_steps={num_steps}',
      f'online.evaluation_period={evaluation_period}',
      f'online.checkpoint_period={checkpoint_period}',
      *settings,
  )
  code = launch.main([
      'launch',
      '--preset=pong_quick',
      '--stage=teacher,collect,dataset,offline',
      f'--run_dir={run}',
      *(f'--set={change}' for change in changes),
  ])
  if code:
    raise ValueError(f'the stages before the online one ended with {code}')
  return run


def problems(
    run_dir: pathlib.Path,
    num_steps: int,
    evaluation_period: int,
    num_actors: int,
) -> list[str]:
  """What is wrong with the online stage of a run that should be complete.

  Args:
    run_dir: of `prepare`.
    num_steps: likewise.
    evaluation_period: likewise.
    num_actors: that played.

  Returns:
    A line for each number that is not as it must be.
  """
  agent = run_dir / 'online' / 'student'
  found = []

  def expect(what: str, value: Any, is_right: bool) -> None:
    if not is_right:
      found.append(f'{what}: {value}')

  done = run_dir / 'online' / 'DONE.json'
  if not done.exists():
    return ['the stage is not done']
  counts = json.loads(done.read_text())['counts']['student']
  expect('agent steps', counts, counts['actor_steps'] == num_steps)
  expect('frames', counts, counts['frames'] == 4 * num_steps)
  # Updates that were not made: until so many steps could be drawn, and the
  # pieces under way then may have been an episode more in each environment.
  # Those under way when an earlier learner ended never could be drawn.
  lag = num_steps // UPDATE_PERIOD - counts['learner_steps']
  num_environments = actor_role.NUM_ENVIRONMENTS * num_actors
  lost = num_steps - counts['stored_steps']
  longest = MIN_REPLAY_STEPS + _EPISODE_STEPS * num_environments + lost
  expect(
      'updates that are missing',
      lag,
      MIN_REPLAY_STEPS // UPDATE_PERIOD - 1
      <= lag
      <= longest // UPDATE_PERIOD + 1,
  )
  rows = metric_log.read_rows(agent / 'metrics.csv')
  # A learner that began anew may have begun with other pieces.
  for row in rows[-10:]:
    updates = row['step'] - OFFLINE_STEPS
    ratio = row['actor_steps'] // UPDATE_PERIOD - updates
    expect('updates that were missing', row, ratio == lag)
    expect(
        'the teacher is followed',
        row,
        row['distillation_weight'] == 0 or row['actor_steps'] < WEANING_STEPS,
    )
    expect('staleness', row, 0 <= row['staleness'] <= row['max_staleness'])
  steps = [row['actor_steps'] for row in rows]
  expect('steps of metrics', steps, steps == sorted(set(steps)))
  records = [
      json.loads(line)
      for line in (agent / 'evaluations.jsonl').read_text().splitlines()
  ]
  episodes = [(record['actor_steps'], record['episode']) for record in records]
  expected = [
      (step, episode)
      for step in range(evaluation_period, num_steps + 1, evaluation_period)
      for episode in (0, 1)
  ]
  expect('evaluations', episodes, episodes == expected)
  waiting = [path.name for path in (agent / 'snapshots').iterdir()]
  expect('weights not evaluated', waiting, not waiting)
  expect('bundle', 'missing', (agent / 'bundle').is_dir())
  return found
