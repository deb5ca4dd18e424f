"""Times CleanRL's published QDagger as it is, from a folder of its sources.

    PEER_PYTHON benchmarks/cleanrl_qdagger.py --cleanrl_dir=DIR
        [--network=impala] [--offline_steps=60] [--online_updates=60]

A helper of `benchmarks/learner.py` and `benchmarks/online.py`, which start it
with a Python that has CleanRL's own requirements. These were used:

    pip install torch gymnasium==0.29.1 ale-py==0.10.1 stable-baselines3==2.3.2 \
        'opencv-python-headless<4.12' tyro tensorboard huggingface_hub moviepy

Nothing of this project is imported.

What runs is `cleanrl/qdagger_dqn_atari_impalacnn.py`, unmodified but for this:

* the teacher is an untrained network of CleanRL's DQN instead of a download;
* evaluations return at once;
* with --network=nature the student is CleanRL's Nature network, which is the
  teacher's class, instead of Impala's.

Each call of the optimiser is a learner step. Its time is that from one call to
the next: sampling, the networks of student, target and teacher, and the update;
online, the agent steps in between as well.

Prints one line of JSON: seconds of each kind, and PyTorch's threads.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
import types

_SCRIPT = 'cleanrl/qdagger_dqn_atari_impalacnn.py'
_STUDENT = 'QNetwork(envs)'
_UPDATE_PERIOD = 4
# The first steps allocate memory and choose kernels.
_WARM_UP = 5


def _arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--cleanrl_dir', required=True)
  parser.add_argument('--network', choices=('impala', 'nature'), required=True)
  parser.add_argument('--game', default='Pong')
  parser.add_argument('--offline_steps', type=int, default=60)
  parser.add_argument('--online_updates', type=int, default=60)
  return parser.parse_args()


def _published_source(folder: pathlib.Path, network: str) -> str:
  path = folder / _SCRIPT
  if not path.is_file():
    raise ValueError(
        f'{folder} has no {_SCRIPT}; give the folder of a checkout of CleanRL.'
    )
  source = path.read_text(encoding='utf-8')
  if network == 'nature':
    if source.count(_STUDENT) != 2:
      raise ValueError(
          f'{path} does not make its two networks by {_STUDENT} as the version'
          ' does that this benchmark is for (fe8d8a0).'
      )
    source = source.replace(_STUDENT, 'TeacherModel(envs)')
  return source


def _run(options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
  """Wall and CPU clock at each call of the optimiser, by phase."""
  folder = pathlib.Path(options.cleanrl_dir).resolve()
  source = _published_source(folder, options.network)
  sys.path.insert(0, str(folder))
  # Only what is imported after the path is set is the checkout's. ale-py makes
  # its games known to Gymnasium when it is imported.
  import ale_py  # pylint: disable=unused-import
  import huggingface_hub
  import torch

  import cleanrl.dqn_atari
  import cleanrl_utils.evals.dqn_eval

  calls = []
  step = torch.optim.Adam.step

  def timed_step(self, *args, **kwargs):
    result = step(self, *args, **kwargs)
    calls.append((time.perf_counter(), time.process_time()))
    return result

  torch.optim.Adam.step = timed_step
  cleanrl_utils.evals.dqn_eval.evaluate = lambda *args, **kwargs: [1.0]
  six_actions = types.SimpleNamespace(
      single_action_space=types.SimpleNamespace(n=6)
  )
  weights = cleanrl.dqn_atari.QNetwork(six_actions).state_dict()
  warm_up_steps = 200
  sys.argv = [
      _SCRIPT,
      '--no-cuda',
      f'--env-id={options.game}NoFrameskip-v4',
      '--buffer-size=5000',
      '--teacher-eval-episodes=1',
      '--teacher-steps=500',
      f'--offline-steps={options.offline_steps}',
      f'--learning-starts={options.offline_steps + warm_up_steps}',
      '--total-timesteps='
      f'{warm_up_steps + _UPDATE_PERIOD * options.online_updates}',
  ]
  with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
    path = os.path.join(temporary, 'teacher.cleanrl_model')
    torch.save(weights, path)
    huggingface_hub.hf_hub_download = lambda *args, **kwargs: path
    with contextlib.redirect_stdout(sys.stderr):
      exec(  # pylint: disable=exec-used
          compile(source, _SCRIPT, 'exec'),
          {'__name__': '__main__', '__file__': _SCRIPT},
      )
  return {
      'offline': calls[: options.offline_steps],
      'online': calls[options.offline_steps :],
  }


def main() -> None:
  options = _arguments()
  times = _run(options)
  # Not before the checkout is in the path.
  import torch

  result = {'threads': torch.get_num_threads()}
  for phase, calls in times.items():
    calls = calls[_WARM_UP:]
    for clock, name in enumerate(('wall', 'cpu')):
      seconds = [b[clock] - a[clock] for a, b in zip(calls, calls[1:])]
      result[f'{phase}_{name}_seconds'] = statistics.mean(seconds)
  print(json.dumps(result))


if __name__ == '__main__':
  main()
