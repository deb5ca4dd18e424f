"""Writes the sample log `laps` with the logger of the DQN Replay Dataset.

Run it where that logger and the Dopamine of its time are found:

  pip install --no-deps dopamine-rl==3.2.1
  pip install tensorflow==2.15.1 gin-config ale-py pillow
  git clone https://github.com/google-research/batch_rl
  PYTHONPATH=batch_rl python write_laps.py

A random policy plays Breakout for the given numbers of steps, after which each
episode is stored as terminal. The numbers are chosen so that the second lap
ends in padding, and is never saved. The truth is taken down here, beside the
buffer. The emulator starts from random memory, so that each run of this program
plays other games.
"""

import gzip
import json
import pathlib
import shutil

from batch_rl.baselines.replay_memory import logged_replay_buffer
import breakout
import numpy as np

FOLDER = pathlib.Path(__file__).parent / 'laps'
CAPACITY = 150
# 100 stands for the time limit.
LENGTHS = (100, 44, 100, 41, 100, 60, 100, 51)


def main():
  shutil.rmtree(FOLDER, ignore_errors=True)
  buffer = logged_replay_buffer.OutOfGraphLoggedReplayBuffer(
      str(FOLDER / 'replay_logs'), (84, 84), 4, CAPACITY, 1
  )
  environment = breakout.Breakout()
  rng = np.random.default_rng(0)
  episodes = []
  for length in LENGTHS:
    episodes.append(
        breakout.play(
            environment,
            lambda frame, action, reward, _, ends: buffer.add(
                frame, action, reward, int(ends)
            ),
            rng,
            length,
        )
    )
  buffer.log_final_buffer()
  truth = {'episodes': episodes, 'add_count': int(buffer.add_count)}
  text = json.dumps(truth).encode()
  (FOLDER / 'ground_truth.json.gz').write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == '__main__':
  main()
