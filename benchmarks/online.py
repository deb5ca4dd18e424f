"""Online agent steps per second, and where the time goes.

    python benchmarks/online.py [--steps=2000] [--game=Pong]

Runs the online stage as it is, with a real Reverb server and a student of the
Nature CNN learning every fourth step, and prints the share of each part. The
same steps with nothing but environment, inference and learner in a bare loop
are printed beside it: what is between the two is the price of replay and
bookkeeping.
"""

import dataclasses
import tempfile
import time

from absl import app
from absl import flags
import numpy as np

from rrl_pipeline.agents import acting
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import wrappers
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import frame_store
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import online

_STEPS = flags.DEFINE_integer('steps', 2_000, 'Agent steps to time.')
_GAME = flags.DEFINE_string('game', 'Pong', 'Atari game.')
_PARTS = ('environment', 'inference', 'replay', 'learner')


def _make_learner(environment, config):
  return builder.make_learner(
      network_config.NatureConfig(),
      config,
      (84, 84, 4),
      'uint8',
      environment.action_spec().num_values,
      0,
  )


def _bare_loop(environment_config, config) -> float:
  """Seconds of the same work without Reverb, records or checkpoints."""
  environment = factory.make(environment_config, 0)
  num_actions = environment.action_spec().num_values
  learner = _make_learner(environment, config)
  policy = acting.GreedyPolicy(learner.network)
  generator = np.random.default_rng(0)
  store = frame_store.FrameStore(_STEPS.value, (84, 84), num_actions, 4)
  stacker = wrappers.FrameStacker(environment.observation_spec(), 4)
  timestep = environment.reset()
  observation = stacker.reset(timestep.observation)
  rows = frame_store.Rows(
      observation=generator.integers(0, 256, (64, 84, 84), dtype=np.uint8),
      action=np.zeros(64, np.int32),
      reward=np.zeros(64, np.float32),
      is_first=np.arange(64) == 0,
      is_last=np.zeros(64, bool),
      is_terminal=np.zeros(64, bool),
      is_padded=np.ones(64, bool),
      teacher_values=np.zeros((64, num_actions), np.float32),
  )
  store.extend(rows)
  batch = store.sample(config.batch_size, config.n_step, config.discount, 0, 0)
  learner.step(batch, 0.0, 1e-4)
  start = time.perf_counter()
  for step in range(1, _STEPS.value + 1):
    action = acting.explore(
        policy(observation[np.newaxis])[0], 0.01, num_actions, generator
    )
    timestep = environment.step(action)
    if timestep.first():
      observation = stacker.reset(timestep.observation)
    else:
      observation = stacker.push(timestep.observation)
    if step % config.update_period == 0:
      learner.step(batch, 0.0, 1e-4).loss.numpy()
  return time.perf_counter() - start


def main(argv):
  del argv
  environment_config = atari.AtariConfig(game=_GAME.value)
  config = dataclasses.replace(
      methods.METHODS['tabula_rasa'].agent,
      min_replay_steps=200,
      replay_capacity=100_000,
      epsilon_start=0.01,
  )
  environment = factory.make(environment_config, 0)
  with tempfile.TemporaryDirectory() as directory:
    trainer = online.OnlineTrainer(
        directory,
        'benchmark',
        environment_config,
        config,
        config_lib.OnlineConfig(
            num_actor_steps=_STEPS.value,
            evaluation_period=10 * _STEPS.value,
            checkpoint_period=10 * _STEPS.value,
        ),
        config_lib.EvaluationConfig(num_episodes=1, num_parallel=1),
        _make_learner(environment, config),
        seed=0,
    )
    start = time.perf_counter()
    trainer.run()
    total = time.perf_counter() - start
    seconds = trainer.stopwatch.seconds
  # The evaluation at the end is not a part of acting and learning.
  total -= seconds['evaluation']
  bare = _bare_loop(environment_config, config)
  print(f'{_GAME.value}, {_STEPS.value} agent steps, one learner step per four')
  for part in _PARTS:
    per_step = seconds[part] / _STEPS.value * 1e3
    print(f'{part:12} {per_step:7.3f} ms/step {seconds[part] / total:6.1%}')
  other = total - sum(seconds[part] for part in _PARTS)
  print(f'{"other":12} {other / _STEPS.value * 1e3:7.3f} ms/step'
        f' {other / total:6.1%}')
  print(f'online stage {_STEPS.value / total:8.1f} agent steps/s')
  print(f'bare loop    {_STEPS.value / bare:8.1f} agent steps/s')
  print(f'ratio online stage / bare loop {bare / total:.2f}')


if __name__ == '__main__':
  app.run(main)
