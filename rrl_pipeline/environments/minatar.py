"""MinAtar's five games as a `dm_env.Environment` (the extra `minatar`).

Young and Tian, "MinAtar: An Atari-inspired testbed for thorough and
reproducible reinforcement learning experiments" (2019, arXiv:1903.03176). The
games are those of the authors' package, with their sticky actions and ramping
difficulty. Two choices follow Atari instead of the paper: an agent chooses
among a game's minimal set of actions (the paper: among all six), and an
episode may be cut after a number of steps.
"""

import dataclasses
from typing import Any, ClassVar, Optional

from dm_env import specs
import numpy as np

from rrl_pipeline.environments import environment

# Their modules in the package.
_MODULES = {
    'Asterix': 'asterix',
    'Breakout': 'breakout',
    'Freeway': 'freeway',
    'Seaquest': 'seaquest',
    'SpaceInvaders': 'space_invaders',
}
GAMES = tuple(_MODULES)
# The package's letters, in the words of the Arcade Learning Environment.
_MEANINGS = {
    'n': 'NOOP',
    'l': 'LEFT',
    'u': 'UP',
    'r': 'RIGHT',
    'd': 'DOWN',
    'f': 'FIRE',
}


@dataclasses.dataclass(frozen=True)
class MinAtarConfig:
  """What game is played, and how.

  Attributes:
    game: one of GAMES.
    sticky_actions: probability that a step repeats the previous action.
    max_episode_steps: steps after which an episode is cut; this is a
      truncation, not a terminal state. (Freeway ends itself after 2,501 steps,
      which the package and so this class call a terminal state.)
  """

  kind: ClassVar[str] = 'minatar'

  game: str = 'Breakout'
  sticky_actions: float = 0.1
  max_episode_steps: int = 5_000

  def __post_init__(self):
    if self.game not in _MODULES:
      raise ValueError(
          f'Unknown MinAtar game {self.game!r}; expected one of'
          f' {", ".join(GAMES)}.'
      )
    if not 0 <= self.sticky_actions < 1:
      raise ValueError(
          f'sticky_actions is a probability below 1, got {self.sticky_actions}.'
      )
    if self.max_episode_steps < 1:
      raise ValueError(
          f'max_episode_steps must be at least 1, got {self.max_episode_steps}.'
      )

  @property
  def task(self) -> str:
    """Its name in records and reports."""
    return f'MinAtar-{self.game}'

  @property
  def frame_skip(self) -> int:
    """Each step is one frame of the game."""
    return 1

  @property
  def stack_size(self) -> int:
    """One observation shows what moves where; nothing is stacked."""
    return 1

  @property
  def reward_limit(self) -> Optional[float]:
    """Rewards are small and are learned from as they are, as in the paper."""
    return None


class MinAtarEnvironment(environment.NumberedEpisodes):
  """One game. Observations are uint8 [10, 10, channels] of 0 and 255.

  Each channel shows where things of one kind are.
  """

  def __init__(self, config: MinAtarConfig, seed: int):
    super().__init__(config.max_episode_steps)
    self._seed = seed
    self._game = _package().Environment(
        _MODULES[config.game], sticky_action_prob=config.sticky_actions
    )
    self._actions = self._game.minimal_action_set()

  @property
  def action_meanings(self) -> tuple[str, ...]:
    letters = self._game.env.action_map
    return tuple(_MEANINGS[letters[action]] for action in self._actions)

  def observation_spec(self) -> specs.Array:
    shape = tuple(self._game.state_shape())
    return specs.BoundedArray(shape, np.uint8, 0, 255, 'channels')

  def _begin(self, episode: int) -> np.ndarray:
    sequence = np.random.SeedSequence([self._seed, episode])
    self._game.seed(int(sequence.generate_state(1)[0]))
    self._game.reset()
    # The package would let the last action of an episode stick in the next.
    self._game.last_action = 0
    return self._observation()

  def _advance(self, action: int) -> tuple[float, np.ndarray, bool]:
    reward, ended = self._game.act(self._actions[action])
    return reward, self._observation(), ended

  def _observation(self) -> np.ndarray:
    return self._game.state().astype(np.uint8) * np.uint8(255)


def _package() -> Any:
  """The package, which takes a second to import: it brings its display."""
  try:
    import minatar
  except ImportError as error:
    raise ValueError(
        'The MinAtar games need the package MinAtar: pip install'
        " 'rrl-pipeline[minatar]'."
    ) from error
  return minatar
