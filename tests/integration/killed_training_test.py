"""Training in a process that SIGKILL ends: nothing of it is lost or torn.

What a process can do at its death is simulated elsewhere; here it can do
nothing. The file is also the program that is killed: run with a directory and
a number n, it kills itself where the nth checkpoint lacks nothing but its name.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import frame_store
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import offline
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup

_ENVIRONMENT = atari.AtariConfig(frame_size=40, max_episode_steps=30)
_AGENT = dataclasses.replace(
    methods.METHODS['tabula_rasa'].agent, batch_size=8, min_replay_steps=20,
    replay_capacity=60, target_update_period=5,
)
_EVALUATION = config_lib.EvaluationConfig(num_episodes=1, num_parallel=1)
_OFFLINE = config_lib.OfflineConfig(
    num_learner_steps=20, evaluation_period=10, checkpoint_period=5,
    log_period=2,
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=120, evaluation_period=40, checkpoint_period=30,
    log_period=5, record_episodes=True,
)


def _random_store() -> frame_store.FrameStore:
  store = frame_store.FrameStore(50, (40, 40), 6, 4)
  generator = np.random.default_rng(0)
  numbers = np.arange(50)
  store.extend(
      frame_store.Rows(
          observation=generator.integers(0, 256, (50, 40, 40), np.uint8),
          action=generator.integers(0, 6, 50).astype(np.int32),
          reward=generator.choice([-1, 0, 1], 50).astype(np.float32),
          is_first=numbers % 25 == 0,
          is_last=numbers % 25 == 24,
          is_terminal=numbers == 24,
          is_padded=np.ones(50, bool),
          teacher_values=np.zeros((50, 6), np.float32),
      )
  )
  return store


def _train(directory: pathlib.Path) -> dict[str, np.ndarray]:
  """Trains offline, then online; returns the weights at the end."""
  learner = builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      _AGENT, (40, 40, 4), 'uint8', 6, seed=1,
  )
  offline.OfflineTrainer(
      directory / 'offline', _ENVIRONMENT, _AGENT, _OFFLINE, _EVALUATION,
      learner, _random_store(), seed=2,
  ).run()
  setup = online_setup.OnlineSetup(
      directory / 'online', 'control', _ENVIRONMENT, _AGENT, _ONLINE, learner,
      seed=2,
  )
  online.OnlineTrainer(setup, _EVALUATION).run()
  return {
      f'{part} {i}': variable.numpy()
      for part in ('network', 'target_network')
      for i, variable in enumerate(learner.state[part].variables)
  }


def _files(directory: pathlib.Path) -> dict[str, list[str]]:
  return {
      f'{stage}/{name}': (directory / stage / name).read_text().splitlines()
      for stage in ('offline', 'online')
      for name in ('evaluations.jsonl', 'metrics.csv')
  }


def _recorded(directory: pathlib.Path) -> dict[str, bytes]:
  """The description of the recording, and the episodes."""
  return {
      path.name: path.read_bytes()
      for path in (directory / 'online' / 'recording').glob('[!.]*')
  }


def test_training_goes_on_after_sigkill_as_if_nothing_had_happened(tmp_path):
  expected = _train(tmp_path / 'undisturbed')
  directory = tmp_path / 'killed'
  checkpoints = []
  # First in the middle of an offline checkpoint, then of an online one, whose
  # rows are saved and whose last episode is recorded already.
  for nth in (3, 5):
    process = subprocess.run(
        [sys.executable, __file__, directory, str(nth)],
        capture_output=True, text=True, check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    checkpoints.append({
        path.relative_to(directory).as_posix()
        for path in directory.glob('*/checkpoints/*')
    })
  assert checkpoints[0] == {
      f'offline/checkpoints/{name}' for name in ('5', '10', 'incomplete')
  }
  assert checkpoints[1] == {
      'offline/checkpoints/15', 'offline/checkpoints/20',
      *(f'online/checkpoints/{name}' for name in ('30', '60', 'incomplete')),
  }
  assert (directory / 'online' / 'rows' / '62-93.npz').exists()
  assert len(_recorded(directory)) == 1 + 3
  weights = _train(directory)
  assert _files(directory) == _files(tmp_path / 'undisturbed')
  assert len(_recorded(directory)) == 1 + 4
  assert _recorded(directory) == _recorded(tmp_path / 'undisturbed')
  for name, value in expected.items():
    np.testing.assert_array_equal(weights[name], value, err_msg=name)


def _main(directory: str, nth: int) -> None:
  replace, calls = os.replace, []

  def replace_or_die(source, target):
    if pathlib.Path(source).name == 'incomplete':
      calls.append(None)
    if len(calls) == nth:
      os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

  os.replace = replace_or_die
  _train(pathlib.Path(directory))


if __name__ == '__main__':
  _main(sys.argv[1], int(sys.argv[2]))
