"""Mean returns of uniformly random play in MinAtar's games.

    python benchmarks/minatar_random_play.py [--episodes=1000] [--seed=0]

Scores are normalised by these figures. Nothing is learned: every action is
drawn with equal probability from a game's minimal set, with the sticky actions
and the ramping difficulty of the default configuration.
"""

from absl import app
from absl import flags
import numpy as np

from rrl_pipeline.environments import minatar

_EPISODES = flags.DEFINE_integer('episodes', 1000, 'Episodes of each game.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the games and of the actions.')


def _play(game: str) -> tuple[np.ndarray, int]:
  """Returns of the episodes, and how many steps they took."""
  environment = minatar.MinAtarEnvironment(
      minatar.MinAtarConfig(game=game), _SEED.value
  )
  generator = np.random.default_rng(_SEED.value)
  num_actions = environment.action_spec().num_values
  returns, num_steps = [], 0
  for _ in range(_EPISODES.value):
    timestep, total = environment.reset(), 0.0
    while not timestep.last():
      timestep = environment.step(int(generator.integers(num_actions)))
      total += float(timestep.reward)
      num_steps += 1
    returns.append(total)
  return np.array(returns), num_steps


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'expected only flags, got {argv[1]!r}')
  print('game           mean return  standard error  steps per episode')
  for game in minatar.GAMES:
    returns, num_steps = _play(game)
    error = returns.std(ddof=1) / np.sqrt(len(returns))
    print(
        f'{game:<14} {returns.mean():11.3f}  {error:14.3f}'
        f'  {num_steps / len(returns):17.1f}',
        flush=True,
    )


if __name__ == '__main__':
  app.run(main)
