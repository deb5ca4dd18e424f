"""Times Dopamine's published DQN (JAX) as it is.

    PEER_PYTHON benchmarks/dopamine_dqn.py [--game=Pong] [--updates=60]

A helper of `benchmarks/online.py`, which starts it with a Python that has
dopamine-rl 4.1, as this project's extra `balloon` brings it. Nothing of this
project is imported.

Environment, agent, network and replay are Dopamine's, with its defaults but for
a replay of 10,000 steps that is learned from after 200. Dopamine imports
`baselines` for another agent without requiring it: an empty module stands in.
And it reaches for the emulator through wrappers, which Gymnasium no longer
allows since 1.0: it gets the environment without them.

Each call of `train` is a learner step. Its time is that from one call to the
next: four agent steps, sampling, and the update.

Prints one line of JSON.
"""

import argparse
import json
import os
import statistics
import sys
import time
import types

# The first updates compile.
_WARM_UP = 5
_MIN_REPLAY_STEPS = 200


def _arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--game', default='Pong')
  parser.add_argument('--updates', type=int, default=60)
  return parser.parse_args()


def _stand_in_for_baselines() -> None:
  for name in ('baselines', 'baselines.common'):
    sys.modules[name] = types.ModuleType(name)
  sys.modules['baselines.common'].atari_wrappers = None


def _run(game: str, num_updates: int) -> list[tuple[float, float]]:
  """Wall and CPU clock at each update."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  _stand_in_for_baselines()
  # pylint: disable=g-import-not-at-top
  from dopamine.discrete_domains import atari_lib
  from dopamine.jax.agents.dqn import dqn_agent
  import gin

  gin.bind_parameter('ReplayBuffer.max_capacity', 10_000)
  gin.bind_parameter('ReplayBuffer.batch_size', 32)
  calls = []
  train = dqn_agent.train

  def timed_train(*args):
    calls.append((time.perf_counter(), time.process_time()))
    return train(*args)

  dqn_agent.train = timed_train
  make = atari_lib.gym.make
  atari_lib.gym.make = lambda *args, **kwargs: types.SimpleNamespace(
      env=make(*args, **kwargs).unwrapped
  )
  environment = atari_lib.create_atari_environment(game_name=game)
  agent = dqn_agent.JaxDQNAgent(
      num_actions=environment.action_space.n,
      min_replay_history=_MIN_REPLAY_STEPS,
      seed=0,
  )
  action = agent.begin_episode(environment.reset())
  while len(calls) < num_updates:
    observation, reward, terminal, _ = environment.step(int(action))
    reward = max(-1.0, min(1.0, reward))
    if terminal or environment.game_over:
      agent.end_episode(reward, terminal)
      action = agent.begin_episode(environment.reset())
    else:
      action = agent.step(reward, observation)
  return calls


def main() -> None:
  options = _arguments()
  calls = _run(options.game, options.updates)[_WARM_UP:]
  result = {}
  for clock, name in enumerate(('wall', 'cpu')):
    seconds = [b[clock] - a[clock] for a, b in zip(calls, calls[1:])]
    result[f'online_{name}_seconds'] = statistics.mean(seconds)
  print(json.dumps(result))


if __name__ == '__main__':
  main()
