"""Online agent steps per second: beside peers, part by part, against floors.

    python benchmarks/online.py [--game=Pong] [--updates=100] [--rounds=3]
        [--cleanrl_dir=DIR --cleanrl_python=PATH] [--dopamine_python=PATH]

Runs the online stage as it is, in one process, with a real Reverb server: an
agent step with its inference and insertion, and at every fourth of them an
update by a batch of 32. With peers, they and the online stage take turns, round
after round, on the same machine:

* the QDagger of CleanRL (benchmarks/cleanrl_qdagger.py) beside our QDagger,
  both with CleanRL's Nature network and a teacher of the same network;
* the DQN of Dopamine (benchmarks/dopamine_dqn.py) beside our DQN, both with
  Dopamine's Nature network, whose paddings make it twice as large.

Equal are network, batch size, replay ratio and game. Not equal is what the
systems are: see the two files, each of which runs its peer as it is published.

Then the parts of an agent step are printed beside what each costs on its own: a
bare step of the environment, a call of the network, a row through Reverb, a
gathering of the frames of a batch, an update by the same batch again and again.
Inference, insertion, sampling and all else that is neither environment nor
update are the overhead; what of it is above the floors is what this system adds
to the work that has to be done.

On a busy machine compare CPU times. To compare on one core, start it with
`taskset -c 0`.
"""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
from typing import Callable, Mapping, Optional

from absl import app
from absl import flags
from acme import types
import clocks
import numpy as np
import untrained_teacher

from rrl_pipeline import scores
from rrl_pipeline.agents import acting
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import tables
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import guidance
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import timing

# After rrl_pipeline, which chooses TensorFlow's kernels.
import reverb
import tensorflow as tf

_GAME = flags.DEFINE_string('game', 'Pong', 'Atari game.')
_UPDATES = flags.DEFINE_integer('updates', 100, 'Updates to time.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Times that all systems run.')
_CLEANRL_DIR = flags.DEFINE_string('cleanrl_dir', None, 'Checkout of CleanRL.')
_CLEANRL_PYTHON = flags.DEFINE_string(
    'cleanrl_python', None, 'Python that has the requirements of CleanRL.'
)
_DOPAMINE_PYTHON = flags.DEFINE_string(
    'dopamine_python', None, 'Python that has dopamine-rl 4.1.'
)
_PARTS = ('environment', 'inference', 'insert', 'sample', 'learner')
_BATCH, _UPDATE_PERIOD, _SHAPE = 32, 4, (84, 84, 4)
# The first updates trace graphs and allocate memory.
_WARM_UP = 5
_CLEANRL_NETWORK = network_config.NatureConfig(padding='valid')
_DOPAMINE_NETWORK = network_config.NatureConfig()


class _Done(Exception):
  """Enough was timed."""


class _Marks:
  """Both clocks, and those of the parts, at each update."""

  def __init__(self):
    self._marks = []

  def mark(self, trainer: online.OnlineTrainer) -> None:
    self._marks.append((clocks.both(), dict(trainer.stopwatch.seconds)))
    if len(self._marks) > _WARM_UP + _UPDATES.value:
      raise _Done

  def per_step(self) -> dict[str, clocks.Time]:
    """Of an agent step as a whole, and of each part of it."""
    (first, first_parts), (last, last_parts) = (
        self._marks[_WARM_UP],
        self._marks[-1],
    )
    steps = _UPDATE_PERIOD * (len(self._marks) - 1 - _WARM_UP)
    parts = [(last_parts[part] - first_parts[part]) / steps for part in _PARTS]
    whole = (last - first) / steps
    return {
        part: clocks.Time(*time)
        for part, time in (
            *zip(_PARTS, parts),
            ('other', whole - sum(parts)),
            ('agent step', whole),
        )
    }


def _agent(method: str) -> agent_config.AgentConfig:
  return dataclasses.replace(
      methods.METHODS[method].agent,
      batch_size=_BATCH,
      n_step=1,
      update_period=_UPDATE_PERIOD,
      min_replay_steps=200,
      epsilon_start=0.01,
  )


def _num_actions() -> int:
  return factory.interface(atari.AtariConfig(game=_GAME.value)).num_actions


def _learner(
    network: network_config.NatureConfig, agent: agent_config.AgentConfig
) -> learning.Learner:
  return builder.make_learner(
      network, agent, _SHAPE, 'uint8', _num_actions(), 0
  )


def _guidance() -> guidance.Guidance:
  teacher = untrained_teacher.make(_CLEANRL_NETWORK, _SHAPE, _num_actions())
  return guidance.Guidance(teacher, scores.Scale(random=-21, teacher=21))


def _online_stage(
    network: network_config.NatureConfig, method: str
) -> dict[str, clocks.Time]:
  agent, marks = _agent(method), _Marks()
  learner = _learner(network, agent)
  update = learner.update

  def timed_update(*args):
    marks.mark(trainer)
    return update(*args)

  learner.update = timed_update
  endless = 10**6
  with tempfile.TemporaryDirectory() as directory:
    setup = online_setup.OnlineSetup(
        pathlib.Path(directory),
        'benchmark',
        atari.AtariConfig(game=_GAME.value),
        agent,
        config_lib.OnlineConfig(
            num_actor_steps=endless,
            evaluation_period=endless,
            checkpoint_period=endless,
        ),
        learner,
        0,
        _guidance() if method == 'qdagger' else None,
    )
    trainer = online.OnlineTrainer(
        setup, config_lib.EvaluationConfig(), timing.Stopwatch(clocks.both)
    )
    try:
      trainer.run()
    except _Done:
      return marks.per_step()


def _peer(python: str, script: str, *options: str) -> clocks.Time:
  """Of an agent step of what a script next to this one runs."""
  path = pathlib.Path(__file__).with_name(script)
  run = subprocess.run(
      [python, os.fspath(path), f'--game={_GAME.value}', *options],
      capture_output=True,
      text=True,
      check=False,
  )
  if run.returncode:
    raise RuntimeError(f'{script} failed:\n{run.stderr}')
  result = json.loads(run.stdout.splitlines()[-1])
  return clocks.Time(*(
      result[f'online_{clock}_seconds'] / _UPDATE_PERIOD
      for clock in ('wall', 'cpu')
  ))


def _cleanrl() -> clocks.Time:
  return _peer(
      _CLEANRL_PYTHON.value,
      'cleanrl_qdagger.py',
      f'--cleanrl_dir={_CLEANRL_DIR.value}',
      '--network=nature',
      '--offline_steps=10',
      f'--online_updates={_UPDATES.value}',
  )


def _dopamine() -> clocks.Time:
  return _peer(
      _DOPAMINE_PYTHON.value,
      'dopamine_dqn.py',
      f'--updates={_WARM_UP + _UPDATES.value}',
  )


def _compare(
    name: str,
    ours: Callable[[], Mapping[str, clocks.Time]],
    theirs: Callable[[], clocks.Time],
) -> None:
  ratios = []
  for i in range(_ROUNDS.value):
    own, other = ours()['agent step'], theirs()
    ratios.append(clocks.Time(other.wall / own.wall, other.cpu / own.cpu))
    print(
        f'round {i + 1}: online stage {1 / own.wall:6.1f} agent steps/s,'
        f' {own.cpu * 1e3:6.2f} ms CPU each; {name} {1 / other.wall:6.1f},'
        f' {other.cpu * 1e3:6.2f} ms'
    )
  print(
      f'ratio to {name}, median:'
      f' {statistics.median(ratio.wall for ratio in ratios):.2f} by the clock,'
      f' {statistics.median(ratio.cpu for ratio in ratios):.2f} by CPU time'
  )


def _floors(
    network: network_config.NatureConfig, method: str
) -> dict[str, clocks.Time]:
  """Of each part of an agent step on its own."""
  agent, repeats = _agent(method), 4 * _UPDATES.value
  generator = np.random.default_rng(0)
  environment = factory.make(atari.AtariConfig(game=_GAME.value), 0)
  environment.reset()
  actions = iter(generator.integers(0, _num_actions(), repeats + _WARM_UP))
  learner = _learner(network, agent)
  policy = acting.GreedyPolicy(learner.network)
  observation = generator.integers(0, 256, (1, *_SHAPE), np.uint8)
  frames = generator.integers(0, 256, (5_000, 84, 84), np.uint8)
  window = np.arange(_SHAPE[2] + agent.n_step)
  batch = generator.integers(0, 4_000, _BATCH)[:, np.newaxis] + window
  stacked = np.moveaxis(frames[batch], 1, -1)
  transitions = types.Transition(
      np.ascontiguousarray(stacked[..., :4]),
      np.zeros(_BATCH, np.int32),
      np.zeros(_BATCH, np.float32),
      np.ones(_BATCH, np.float32),
      np.ascontiguousarray(stacked[..., -4:]),
      np.zeros((_BATCH, _num_actions()), np.float32),
  )
  return {
      'environment': clocks.measure(
          lambda: environment.step(next(actions)), repeats
      ),
      'inference': clocks.measure(lambda: policy(observation), repeats),
      'insert': clocks.measure(_bare_reverb(frames[0]), repeats),
      'sample': _per_step(
          clocks.measure(lambda: frames.take(batch, axis=0), _UPDATES.value)
      ),
      'learner': _per_step(
          clocks.measure(
              lambda: learner.step(transitions, 0.0, 1e-4).loss.numpy(),
              _UPDATES.value,
          )
      ),
  }


def _per_step(update: clocks.Time) -> clocks.Time:
  return clocks.Time(update.wall / _UPDATE_PERIOD, update.cpu / _UPDATE_PERIOD)


def _bare_reverb(frame: np.ndarray) -> Callable[[], object]:
  """Writes one frame to a queue, and reads it."""
  signature = tf.TensorSpec(frame.shape, frame.dtype)
  server = reverb.Server([tables.step_queue(signature, 8)])
  client = reverb.Client(f'localhost:{server.port}')
  writer = client.trajectory_writer(num_keep_alive_refs=1)
  samples = client.sample(
      tables.STEPS, num_samples=10**9, emit_timesteps=False
  )

  def pass_through():
    writer.append(frame)
    writer.create_item(tables.STEPS, 1.0, writer.history[-1])
    writer.flush(block_until_num_items=4)
    return next(samples), server

  return pass_through


def _print_parts(
    times: Mapping[str, clocks.Time],
    floors: Mapping[str, Optional[clocks.Time]],
) -> None:
  whole = times['agent step']
  print(f'{"ms per agent step":18} {"clock":>7} {"CPU":>7} {"share":>6}'
        f' {"floor":>7} {"ratio":>6}  (share, floor and ratio by CPU time)')
  for name, part in times.items():
    line = (
        f'{name:18} {part.wall * 1e3:7.3f} {part.cpu * 1e3:7.3f}'
        f' {part.cpu / whole.cpu:6.1%}'
    )
    if name in floors:
      floor = floors[name].cpu
      line += f' {floor * 1e3:7.3f} {part.cpu / floor:6.2f}'
    print(line)
  replay = sum(times[name].cpu for name in ('insert', 'sample', 'other'))
  overhead = replay + times['inference'].cpu
  floor = sum(floors[name].cpu for name in ('inference', 'insert', 'sample'))
  print(
      f'overhead outside environment and training: {overhead / whole.cpu:.1%};'
      f' without inference {replay / whole.cpu:.1%};'
      f' above the floors {(overhead - floor) / whole.cpu:.1%}'
  )


def main(argv):
  del argv
  if (_CLEANRL_DIR.value is None) != (_CLEANRL_PYTHON.value is None):
    raise app.UsageError('--cleanrl_dir and --cleanrl_python go together.')
  print(f'{_GAME.value}: {_UPDATES.value} updates, one per four agent steps')
  if _CLEANRL_DIR.value:
    _compare(
        "CleanRL's QDagger",
        lambda: _online_stage(_CLEANRL_NETWORK, 'qdagger'),
        _cleanrl,
    )
  if _DOPAMINE_PYTHON.value:
    _compare(
        "Dopamine's DQN",
        lambda: _online_stage(_DOPAMINE_NETWORK, 'tabula_rasa'),
        _dopamine,
    )
  for name, network in (
      ("CleanRL's", _CLEANRL_NETWORK),
      ("Dopamine's", _DOPAMINE_NETWORK),
  ):
    print(f'DQN with {name} Nature network')
    _print_parts(
        _online_stage(network, 'tabula_rasa'), _floors(network, 'tabula_rasa')
    )


if __name__ == '__main__':
  app.run(main)
