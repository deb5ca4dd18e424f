"""Learner steps per second, and the share of each part of an update.

    python benchmarks/learner.py [--steps=60] [--padding=same]

One learner step is a batch of 32: the target network's forward pass, the online
network's forward and backward pass, and Adam. The parts are timed one by one
and beside them the whole step, with teacher values given, as the stages run it.
Printed beside it: the same step written the plain way, with the Keras
optimiser that TensorFlow 2.15 hands out by default.
"""

import time
from typing import Callable

from absl import app
from absl import flags
from acme import types
import numpy as np

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import losses
from rrl_pipeline.agents import methods
from rrl_pipeline.networks import config as network_config

# After rrl_pipeline, which chooses TensorFlow's kernels.
import tensorflow as tf

_STEPS = flags.DEFINE_integer('steps', 60, 'Learner steps to time.')
_PADDING = flags.DEFINE_enum(
    'padding', 'same', ['same', 'valid'], 'Padding of the Nature CNN.'
)
_BATCH, _ACTIONS, _SHAPE = 32, 6, (84, 84, 4)


def _milliseconds(function: Callable[[], object], repeats: int) -> float:
  function()
  function()
  start = time.perf_counter()
  for _ in range(repeats):
    function()
  return (time.perf_counter() - start) / repeats * 1e3


def _transitions() -> types.Transition:
  generator = np.random.default_rng(0)
  frames = generator.integers(0, 256, (2, _BATCH, *_SHAPE), dtype=np.uint8)
  return types.Transition(
      observation=frames[0],
      action=generator.integers(0, _ACTIONS, _BATCH, dtype=np.int32),
      reward=np.zeros(_BATCH, np.float32),
      discount=np.full(_BATCH, 0.97, np.float32),
      next_observation=frames[1],
      extras=generator.normal(size=(_BATCH, _ACTIONS)).astype(np.float32),
  )


def _plain_step(network, target, transitions) -> Callable[[], object]:
  """The same update without this package's choices."""
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


def main(argv):
  del argv
  config = network_config.NatureConfig(padding=_PADDING.value)
  agent = methods.METHODS['qdagger'].agent
  learner = builder.make_learner(config, agent, _SHAPE, 'uint8', _ACTIONS, 0)
  transitions = _transitions()
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
  one_forward = _milliseconds(lambda: forward(observation).numpy(), repeats)
  both = _milliseconds(lambda: backward(observation).numpy(), repeats)
  whole = _milliseconds(
      lambda: learner.step(transitions, 3.0, 1e-4).loss.numpy(), repeats
  )
  other = builder.make_learner(config, agent, _SHAPE, 'uint8', _ACTIONS, 1)
  plain = _milliseconds(
      _plain_step(
          other.network,
          builder.make_network(
              config, agent.algorithm, _SHAPE, 'uint8', _ACTIONS, 2
          ),
          transitions,
      ),
      repeats,
  )
  print(f'{network.count_params():,} parameters, padding {config.padding}')
  print(f'target network, forward      {one_forward:7.1f} ms')
  print(f'online network, both ways    {both:7.1f} ms')
  rest = whole - one_forward - both
  print(f'Adam, losses, copying        {rest:7.1f} ms')
  print(f'learner step                 {whole:7.1f} ms = {1e3 / whole:.1f} /s')
  print(f'plain step, default Adam     {plain:7.1f} ms = {1e3 / plain:.1f} /s')
  print(f'ratio plain / learner        {plain / whole:7.2f}')


if __name__ == '__main__':
  app.run(main)
