"""Writes the sample log beside this file, with Dopamine's own replay buffer.

Run it where Dopamine is installed, which is never needed otherwise:

  pip install --no-deps dopamine-rl==4.1.2
  pip install 'numpy<2' 'jax[cpu]==0.4.38' flax==0.10.2 gin-config msgpack \
      orbax-checkpoint==0.10.3 python-snappy ale-py==0.10.1 pillow
  python write_log.py

A random policy plays Breakout to the end of the game, or to a time limit of 190
steps. The truth is taken down here, beside the buffer. `three_steps` holds a
log of three-step transitions, which cannot be converted.
"""

import gzip
import json
import pathlib
import tempfile
import zlib

import ale_py
from ale_py import roms
from dopamine.jax.replay_memory import accumulator
from dopamine.jax.replay_memory import elements
from dopamine.jax.replay_memory import replay_buffer
from dopamine.jax.replay_memory import samplers
import numpy as np
from PIL import Image

FOLDER = pathlib.Path(__file__).parent
CAPACITY = 600
EPISODES_PER_CHECKPOINT = (3, 4)
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


def make_buffer(update_horizon):
  return replay_buffer.ReplayBuffer(
      accumulator.TransitionAccumulator(
          stack_size=4, update_horizon=update_horizon, gamma=0.99
      ),
      samplers.UniformSamplingDistribution(seed=0),
      batch_size=1,
      max_capacity=CAPACITY,
  )


def play(environment, buffer, rng, time_limit=TIME_LIMIT):
  """Plays and logs an episode; returns the truth about it."""
  frames, actions, rewards = [environment.reset()], [], []
  terminal = False
  while not terminal and len(actions) < time_limit:
    action = int(rng.integers(environment.num_actions))
    frame, reward, terminal = environment.step(action)
    reward = float(np.clip(reward, -1, 1))
    buffer.add(
        elements.TransitionElement(
            frames[-1],
            action,
            reward,
            terminal,
            terminal or len(actions) + 1 == time_limit,
        )
    )
    frames.append(frame)
    actions.append(action)
    rewards.append(reward)
  return {
      'length': len(actions),
      'terminal': terminal,
      'actions': actions,
      'rewards': rewards,
      'frame_crc32': [zlib.crc32(frame.tobytes()) for frame in frames],
  }


def save(buffer, folder, number):
  """Saves a checkpoint and compresses its file into a folder."""
  with tempfile.TemporaryDirectory() as directory:
    buffer.save(directory, number)
    name = f'{number}/replay/checkpoint.msgpack'
    contents = (pathlib.Path(directory) / name).read_bytes()
  target = FOLDER / folder / f'{name}.gz'
  target.parent.mkdir(parents=True, exist_ok=True)
  target.write_bytes(gzip.compress(contents, 9, mtime=0))


def main():
  rng = np.random.default_rng(4)
  environment = Breakout()
  buffer = make_buffer(update_horizon=1)
  truth = {'episodes': [], 'checkpoints': []}
  for number, episodes in enumerate(EPISODES_PER_CHECKPOINT):
    truth['episodes'] += [
        play(environment, buffer, rng) for _ in range(episodes)
    ]
    truth['checkpoints'].append({
        'add_count': buffer.add_count,
        'episodes': len(truth['episodes']),
    })
    save(buffer, 'checkpoints', number)
  text = json.dumps(truth).encode()
  (FOLDER / 'ground_truth.json.gz').write_bytes(gzip.compress(text, 9, mtime=0))
  buffer = make_buffer(update_horizon=3)
  play(environment, buffer, rng, time_limit=30)
  save(buffer, 'three_steps', 0)


if __name__ == '__main__':
  main()
