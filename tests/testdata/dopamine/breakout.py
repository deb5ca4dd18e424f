"""Breakout, played by a random policy, for the writers of sample logs."""

from typing import Any, Callable

import zlib

import ale_py
from ale_py import roms
import numpy as np
from PIL import Image

TIME_LIMIT = 190
FRAME_SKIP = 4


class Breakout:
  """Steps of four emulator frames, seen as gray frames of 84 by 84."""

  def __init__(self):
    self._emulator = ale_py.ALEInterface()
    self._emulator.setInt('random_seed', 1)
    self._emulator.loadROM(roms.get_rom_path('breakout'))
    self._actions = self._emulator.getMinimalActionSet()
    self.num_actions = len(self._actions)

  def reset(self) -> np.ndarray:
    self._emulator.reset_game()
    return self._frame()

  def step(self, action: int) -> tuple[np.ndarray, float, bool]:
    reward = sum(
        self._emulator.act(self._actions[action]) for _ in range(FRAME_SKIP)
    )
    return self._frame(), float(reward), self._emulator.game_over()

  def _frame(self) -> np.ndarray:
    image = Image.fromarray(self._emulator.getScreenGrayscale())
    return np.asarray(image.resize((84, 84), Image.Resampling.BOX))


def play(
    environment: Breakout,
    add: Callable[[np.ndarray, int, float, bool, bool], None],
    rng: np.random.Generator,
    time_limit: int = TIME_LIMIT,
) -> dict[str, Any]:
  """Plays and logs an episode.

  Args:
    environment: to play in.
    add: logs a step: the frame before the action, the action, the clipped
      reward, whether the game ended, and whether the episode did.
    rng: of the policy.
    time_limit: in steps.

  Returns:
    The truth about the episode of T steps, with the CRC-32 of T + 1 frames.
  """
  frames, actions, rewards = [environment.reset()], [], []
  terminal = False
  while not terminal and len(actions) < time_limit:
    action = int(rng.integers(environment.num_actions))
    frame, reward, terminal = environment.step(action)
    actions.append(action)
    rewards.append(float(np.clip(reward, -1, 1)))
    ends = terminal or len(actions) == time_limit
    add(frames[-1], action, rewards[-1], terminal, ends)
    frames.append(frame)
  return {
      'length': len(actions),
      'terminal': terminal,
      'actions': actions,
      'rewards': rewards,
      'frame_crc32': [zlib.crc32(frame.tobytes()) for frame in frames],
  }
