"""Learner steps per second: each part of an update, both stages, and a peer.

    python benchmarks/learner.py [--network=nature] [--precision=float32]
        [--cleanrl_dir=DIR --peer_python=PATH]

One learner step is a batch of 32: the target network's forward pass, the online
network's forward and backward pass, and Adam. The parts are timed one by one
and beside them the whole step, with teacher values given, as the stages run it.
Printed beside it: the same step in bfloat16, the same step written the plain
way, with the Keras optimiser that TensorFlow 2.15 hands out by default, and how
many multiplications a step makes per second of CPU time, next to those of a
large product of matrices, which is about the most that float32 can reach here.

Then both stages. Offline: a learner step with the drawing of its transitions
from a frame store, once with teacher values stored, as in an annotated dataset,
and once with the teacher asked on each batch, as CleanRL does. Online: the
whole stage with a real Reverb server, a learner step every fourth agent step,
and a teacher that is asked at every agent step.

With --cleanrl_dir the published QDagger of CleanRL runs in the same phases on
the same machine, in a Python of its own; see benchmarks/cleanrl_qdagger.py for
what that is. Equal are batch size (32), student network and its parameters
(--network=nature or impala), teacher network, and one update per four agent
steps. Not equal is what the systems are: CleanRL runs the teacher on each
batch, stores stacked frames and has PyTorch's kernels; its agent acts at random
in about half of these online steps, which spares it the network there.

Each system makes as many threads as it has cores, and both numbers are printed.
To compare on one core, start it with `taskset -c 0`. On a busy machine compare
CPU times; with several threads not even those, since PyTorch's wait busily.
"""

import itertools
import json
import math
import os
import pathlib
import subprocess
import tempfile
from typing import Callable, Optional

from absl import app
from absl import flags
from acme import types
import clocks
import numpy as np
import untrained_teacher

from rrl_pipeline import scores
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import losses
from rrl_pipeline.environments import atari
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import stacks
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import guidance
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup

# After rrl_pipeline, which chooses TensorFlow's kernels.
import tensorflow as tf

_NETWORKS = {
    'nature': network_config.NatureConfig(padding='valid'),
    'nature_same': network_config.NatureConfig(),
    # CleanRL's has 256 hidden units, the paper's 512.
    'impala': network_config.ImpalaConfig(hidden_units=256),
}
_STEPS = flags.DEFINE_integer(
    'steps', 60, 'Learner steps to time.', lower_bound=10
)
_NETWORK = flags.DEFINE_enum('network', 'nature', list(_NETWORKS), 'Network.')
_PRECISION = flags.DEFINE_enum(
    'precision', 'float32', ['float32', 'bfloat16'], 'Of the layers.'
)
_CLEANRL_DIR = flags.DEFINE_string('cleanrl_dir', None, 'Checkout of CleanRL.')
_PEER_PYTHON = flags.DEFINE_string(
    'peer_python', None, 'Python that has the requirements of CleanRL.'
)
_BATCH, _ACTIONS, _SHAPE, _ROWS = 32, 6, (84, 84, 4), 5_000
_WARM_UP = 5


def _teacher() -> bundle.BundleTeacher:
  """The network of CleanRL's teachers, untrained."""
  return untrained_teacher.make(_NETWORKS['nature'], _SHAPE, _ACTIONS)


def _num_cores() -> int:
  """How many this process may use, and so TensorFlow's threads."""
  return len(os.sched_getaffinity(0))


def _agent(precision: Optional[str] = None) -> agent_config.AgentConfig:
  """QDagger's student, which learns as soon as it can."""
  return agent_config.AgentConfig(
      precision=precision or _PRECISION.value,
      min_replay_steps=200,
      replay_capacity=100_000,
  )


def _learner(seed: int, precision: Optional[str] = None) -> learning.Learner:
  return builder.make_learner(
      _NETWORKS[_NETWORK.value],
      _agent(precision),
      _SHAPE,
      'uint8',
      _ACTIONS,
      seed,
  )


def _store() -> frame_store.FrameStore:
  """Random frames in episodes of 1000."""
  generator = np.random.default_rng(0)
  store = frame_store.FrameStore(_ROWS, _SHAPE[:2], _ACTIONS, _SHAPE[2])
  numbers = np.arange(_ROWS) % 1_000
  store.extend(
      frame_store.Rows(
          observation=generator.integers(
              0, 256, (_ROWS, *_SHAPE[:2]), np.uint8
          ),
          action=generator.integers(0, _ACTIONS, _ROWS, np.int32),
          reward=np.zeros(_ROWS, np.float32),
          is_first=numbers == 0,
          is_last=numbers == 999,
          is_terminal=numbers == 999,
          is_padded=np.ones(_ROWS, bool),
          teacher_values=generator.normal(size=(_ROWS, _ACTIONS)).astype(
              np.float32
          ),
      )
  )
  return store


def _plain_step(transitions: types.Transition) -> Callable[[], object]:
  """The same update without this package's choices."""
  network, target = (_learner(seed).network for seed in (1, 2))
  optimizer = tf.keras.optimizers.Adam(1e-4, epsilon=1.5e-4)
  inputs = [tf.constant(x) for x in transitions]

  @tf.function
  def step(o_tm1, a_tm1, r_t, discount_t, o_t, teacher_values):
    q_t = target(o_t)
    with tf.GradientTape() as tape:
      q_tm1 = network(o_tm1)
      errors = losses.n_step_td_errors(
          q_tm1, a_tm1, r_t, discount_t, q_t, q_t
      )
      loss = tf.reduce_mean(losses.huber(errors)) + 3.0 * tf.reduce_mean(
          losses.distillation(q_tm1, teacher_values, 0.1)
      )
    variables = network.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return loss

  return lambda: step(*inputs).numpy()


def _step_multiplications(network: tf.keras.Model) -> int:
  """Of one learner step, in convolutions and dense layers."""
  counts = []
  for layer in network.layers:
    if isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.Dense)):
      positions = layer.output_shape[1:-1]
      counts.append(math.prod((*positions, *layer.kernel.shape)))
  # Forward in both networks; backward once for kernels and once for inputs,
  # but not for the first layer's.
  return _BATCH * (4 * sum(counts) - counts[0])


def _product_rate() -> float:
  """Multiplications per second of CPU time in a product of matrices."""
  size = 1_024
  matrix = tf.random.normal([size, size])
  once = clocks.measure(lambda: tf.matmul(matrix, matrix).numpy(), 20)
  return size**3 / once.cpu


def _print_parts(transitions: types.Transition) -> None:
  learner = _learner(0)
  network = learner.network
  forward = tf.function(network)
  observation = tf.constant(transitions.observation)

  @tf.function
  def backward(x):
    with tf.GradientTape() as tape:
      value = tf.reduce_sum(network(x))
    gradients = tape.gradient(value, network.trainable_variables)
    return tf.add_n([tf.reduce_sum(g) for g in gradients])

  repeats = _STEPS.value
  one_forward = clocks.measure(lambda: forward(observation).numpy(), repeats)
  both = clocks.measure(lambda: backward(observation).numpy(), repeats)
  whole = clocks.measure(
      lambda: learner.step(transitions, 3.0, 1e-4).loss.numpy(), repeats
  )
  mixed_learner = _learner(0, 'bfloat16')
  mixed = clocks.measure(
      lambda: mixed_learner.step(transitions, 3.0, 1e-4).loss.numpy(), repeats
  )
  plain = clocks.measure(_plain_step(transitions), repeats)
  print(f'{_NETWORK.value}, {_PRECISION.value}:'
        f' {network.count_params():,} parameters, batch {_BATCH},'
        f' {_num_cores()} cores')
  for name, part in (
      ('target network, forward', one_forward),
      ('online network, both ways', both),
      ('learner step', whole),
      ('learner step, bfloat16', mixed),
      ('plain step, default Adam', plain),
  ):
    print(f'{name:26} {part.wall * 1e3:7.1f} ms, {part.cpu * 1e3:7.1f} ms CPU')
  for name, slow, fast in (
      ('plain / learner', plain, whole),
      ('learner / bfloat16', whole, mixed),
  ):
    print(f'ratio {name:20} {slow.wall / fast.wall:7.2f} by the clock,'
          f' {slow.cpu / fast.cpu:6.2f} by CPU time')
  count = _step_multiplications(network)
  print(f'{count / 1e9:.2f} billion multiplications a step:'
        f' {count / whole.cpu / 1e9:.0f} billion per CPU second;'
        f' a product of matrices {_product_rate() / 1e9:.0f} billion')


def _offline(
    store: frame_store.FrameStore, teacher: Optional[bundle.BundleTeacher]
) -> clocks.Time:
  """Of a learner step; a teacher given is asked on each batch."""
  learner, agent = _learner(0), _agent()
  numbers = itertools.count()

  def step():
    batch = store.sample(_BATCH, agent.n_step, agent.discount, 0, next(numbers))
    if teacher is not None:
      observation = stacks.contiguous(batch.observation)
      batch = batch._replace(
          observation=observation, extras=teacher.values(observation)
      )
    learner.step(batch, 3.0, 1e-4).loss.numpy()

  return clocks.measure(step, _STEPS.value)


def _online() -> clocks.Time:
  """Of one learner step and the agent steps before it."""
  agent, learner = _agent(), _learner(0)
  update, calls = learner.update, []

  def timed_update(*args):
    result = update(*args)
    result.metrics.loss.numpy()
    calls.append(clocks.both())
    return result

  learner.update = timed_update
  steps = agent.min_replay_steps + agent.update_period * _STEPS.value
  with tempfile.TemporaryDirectory() as directory:
    setup = online_setup.OnlineSetup(
        pathlib.Path(directory),
        'benchmark',
        atari.AtariConfig(game='Pong'),
        agent,
        config_lib.OnlineConfig(
            num_actor_steps=steps,
            evaluation_period=10 * steps,
            checkpoint_period=10 * steps,
        ),
        learner,
        0,
        guidance.Guidance(_teacher(), scores.Scale(random=-21, teacher=21)),
    )
    online.OnlineTrainer(
        setup, config_lib.EvaluationConfig(num_episodes=1, num_parallel=1)
    ).run()
  # The first call traces the update.
  elapsed = calls[-1] - calls[_WARM_UP]
  return clocks.Time(*elapsed / (len(calls) - 1 - _WARM_UP))


def _peer() -> dict[str, float]:
  """What benchmarks/cleanrl_qdagger.py prints."""
  script = pathlib.Path(__file__).with_name('cleanrl_qdagger.py')
  output = subprocess.run(
      [
          _PEER_PYTHON.value,
          os.fspath(script),
          f'--cleanrl_dir={_CLEANRL_DIR.value}',
          f'--network={_NETWORK.value}',
          f'--offline_steps={_STEPS.value}',
          f'--online_updates={_STEPS.value}',
      ],
      check=True,
      stdout=subprocess.PIPE,
      text=True,
  ).stdout
  return json.loads(output.splitlines()[-1])


def _print_stages(store: frame_store.FrameStore) -> None:
  peer = _peer() if _CLEANRL_DIR.value else None
  if peer is not None:
    print(f"threads: TensorFlow {_num_cores()}, PyTorch {peer['threads']}")
  for phase, title, count, ours in (
      (
          'offline', 'offline, learner steps, teacher values stored',
          1, _offline(store, None),
      ),
      (
          'offline', 'offline, learner steps, teacher asked on each batch',
          1, _offline(store, _teacher()),
      ),
      (
          'online', 'online, agent steps, teacher asked in each state',
          _agent().update_period, _online(),
      ),
  ):
    print(title)
    print(f'  rrl_pipeline {count / ours.wall:8.1f} /s,'
          f' {ours.cpu / count * 1e3:6.1f} ms CPU each')
    if peer is None:
      continue
    wall, cpu = (peer[f'{phase}_{clock}_seconds'] for clock in ('wall', 'cpu'))
    print(f'  CleanRL      {count / wall:8.1f} /s,'
          f' {cpu / count * 1e3:6.1f} ms CPU each, teacher asked on each batch')
    print(f'  ratio        {wall / ours.wall:8.2f} by the clock,'
          f' {cpu / ours.cpu:6.2f} by CPU time')


def main(argv):
  del argv
  if (_CLEANRL_DIR.value is None) != (_PEER_PYTHON.value is None):
    raise app.UsageError('--cleanrl_dir and --peer_python go together.')
  if _CLEANRL_DIR.value and _NETWORK.value == 'nature_same':
    raise app.UsageError('CleanRL has no network like nature_same.')
  store = _store()
  agent = _agent()
  _print_parts(store.sample(_BATCH, agent.n_step, agent.discount, 0, 0))
  _print_stages(store)


if __name__ == '__main__':
  app.run(main)
