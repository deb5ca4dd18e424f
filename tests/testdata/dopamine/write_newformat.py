"""Writes the sample log `newformat` with Dopamine's own replay buffer.

Run it where Dopamine is installed, which is never needed otherwise:

  pip install --no-deps dopamine-rl==4.1.2
  pip install 'numpy<2' 'jax[cpu]==0.4.38' flax==0.10.2 gin-config msgpack \
      orbax-checkpoint==0.10.3 python-snappy ale-py==0.10.1 pillow
  python write_newformat.py

A random policy plays Breakout to the end of the game, or to a time limit of 190
steps. The truth is taken down here, beside the buffer. `three_steps` holds a
log of three-step transitions, which cannot be converted. The emulator starts from
random memory, so that each run of this program plays other games.
"""

import gzip
import json
import pathlib
import tempfile

import breakout
from dopamine.jax.replay_memory import accumulator
from dopamine.jax.replay_memory import elements
from dopamine.jax.replay_memory import replay_buffer
from dopamine.jax.replay_memory import samplers
import numpy as np

FOLDER = pathlib.Path(__file__).parent / 'newformat'
CAPACITY = 600
EPISODES_PER_CHECKPOINT = (3, 4)


def make_buffer(update_horizon):
  return replay_buffer.ReplayBuffer(
      accumulator.TransitionAccumulator(
          stack_size=4, update_horizon=update_horizon, gamma=0.99
      ),
      samplers.UniformSamplingDistribution(seed=0),
      batch_size=1,
      max_capacity=CAPACITY,
  )


def play(environment, buffer, rng, time_limit=breakout.TIME_LIMIT):
  return breakout.play(
      environment,
      lambda *step: buffer.add(elements.TransitionElement(*step)),
      rng,
      time_limit,
  )


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
  environment = breakout.Breakout()
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
