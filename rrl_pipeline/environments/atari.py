"""Atari 2600 games as a `dm_env.Environment` that emits single frames.

Preprocessing as in the evaluation protocol of Machado et al., "Revisiting the
Arcade Learning Environment" (JAIR 2018), with the choices that Dopamine made
and the reincarnating RL paper kept: sticky actions, frame skip 4, maximum over
the last two emulator frames, grey scale, area-averaged to 84x84, the game's
minimal action set, no no-op starts and no terminal at the loss of a life.
"""

import dataclasses
from typing import ClassVar

import ale_py
from ale_py import roms
from dm_env import specs
import numpy as np
from scipy import sparse

from rrl_pipeline.environments import environment


@dataclasses.dataclass(frozen=True)
class AtariConfig:
  """What game is played, and how.

  Attributes:
    game: name of the game in CamelCase, for example 'SpaceInvaders'.
    sticky_actions: probability that the emulator repeats the previous action
      in a frame, drawn anew for each frame.
    frame_skip: emulator frames per agent step.
    max_episode_steps: agent steps after which an episode is cut; this is a
      truncation, not a terminal state (27,000 steps are 30 minutes of play).
    frame_size: height and width of an observation in pixels.
    stack_size: frames in one observation of an agent. The environment emits
      single frames; whoever feeds a network stacks them.
  """

  kind: ClassVar[str] = 'atari'

  game: str = 'Pong'
  sticky_actions: float = 0.25
  frame_skip: int = 4
  max_episode_steps: int = 27_000
  frame_size: int = 84
  stack_size: int = 4

  def __post_init__(self):
    if not 0 <= self.sticky_actions < 1:
      raise ValueError(
          f'sticky_actions is a probability below 1, got {self.sticky_actions}.'
      )
    for name in ('frame_skip', 'max_episode_steps', 'frame_size', 'stack_size'):
      if getattr(self, name) < 1:
        raise ValueError(
            f'{name} must be at least 1, got {getattr(self, name)}.'
        )

  @property
  def task(self) -> str:
    """The name under which scores are kept and compared."""
    return self.game

  @property
  def reward_limit(self) -> float:
    """Agents learn from clipped rewards (Mnih et al., 2015)."""
    return 1.0


def _rom_name(game: str) -> str:
  """'SpaceInvaders' → 'space_invaders', the name under which ale-py ships it."""
  name = ''.join(f'_{c.lower()}' if c.isupper() else c for c in game)
  name = name.lstrip('_')
  # Names of datasets and random returns are in CamelCase too.
  if game[:1].islower() or name not in roms.get_all_rom_ids():
    raise ValueError(
        f'Unknown Atari game {game!r}; expected a name in CamelCase such as'
        " 'Pong', 'SpaceInvaders' or 'MsPacman'."
    )
  return name


def area_weights(source: int, target: int) -> np.ndarray:
  """[target, source] float32 weights that average areas along one axis.

  Output pixel i averages the interval [i, i + 1) * source / target of the
  input, each input pixel weighted by the length of its overlap.
  """
  edges = np.arange(target + 1) * (source / target)
  pixels = np.arange(source)
  overlap = np.minimum(edges[1:, None], pixels[None, :] + 1) - np.maximum(
      edges[:-1, None], pixels[None, :]
  )
  return (np.clip(overlap, 0, None) * (target / source)).astype(np.float32)


class AtariEnvironment(environment.NumberedEpisodes):
  """One game. Observations are uint8 [84, 84]; rewards are raw scores."""

  def __init__(self, config: AtariConfig, seed: int):
    super().__init__(config.max_episode_steps)
    self._config = config
    self._seed = seed
    self._rom = roms.get_rom_path(_rom_name(config.game))
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    self._ale = ale_py.ALEInterface()
    self._ale.setFloat('repeat_action_probability', config.sticky_actions)
    self._load(0)
    self._actions = self._ale.getMinimalActionSet()
    height, width = self._ale.getScreenDims()
    self._screens = np.zeros((2, height, width), np.uint8)
    # Each row has three or four entries: sparse is four times as fast as dense.
    self._rows = sparse.csr_matrix(area_weights(height, config.frame_size))
    self._columns = sparse.csr_matrix(area_weights(width, config.frame_size))

  @property
  def action_meanings(self) -> tuple[str, ...]:
    return tuple(action.name for action in self._actions)

  def observation_spec(self) -> specs.Array:
    size = self._config.frame_size
    return specs.BoundedArray((size, size), np.uint8, 0, 255, 'frame')

  def _begin(self, episode: int) -> np.ndarray:
    self._load(episode)
    # The first step overwrites this one, whatever the frame skip is.
    self._ale.getScreenGrayscale(self._screens[1])
    self._screens[0] = 0
    return self._frame()

  def _advance(self, action: int) -> tuple[float, np.ndarray, bool]:
    reward = 0.0
    skip = self._config.frame_skip
    for i in range(skip):
      reward += self._ale.act(self._actions[action])
      ended = self._ale.game_over(with_truncation=False)
      if ended:
        break
      if i >= skip - 2:
        self._ale.getScreenGrayscale(self._screens[i - (skip - 2)])
    return reward, self._frame(), ended

  def _load(self, episode: int) -> None:
    # ALE takes a seed only when it loads a ROM, about 0.1 s.
    sequence = np.random.SeedSequence([self._seed, episode])
    self._ale.setInt('random_seed', int(sequence.generate_state(1)[0] >> 1))
    self._ale.loadROM(self._rom)

  def _frame(self) -> np.ndarray:
    screen = np.maximum(self._screens[0], self._screens[1])
    frame = self._columns @ (self._rows @ screen.astype(np.float32)).T
    return np.rint(frame.T).astype(np.uint8, order='C')
