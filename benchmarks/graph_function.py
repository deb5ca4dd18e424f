"""What TensorFlow's Python adds to a call of a small network's function.

    python benchmarks/graph_function.py [--calls=500]

Called as the pipeline calls them, and as `tf.function` and its concrete
functions are called, are MinAtar's network on one observation, which is what an
agent asks at each step; one update of QDagger's learner on a batch of 32; and a
teacher's Nature network on one observation. All ways compute the same, bit for
bit. They take turns, call by call, so that whatever else the machine does meets
all alike.
"""

from typing import Callable

from absl import app
from absl import flags
from acme import types
import clocks
import numpy as np

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import methods
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import graph_function
from rrl_pipeline.networks import nature

# After rrl_pipeline, which chooses TensorFlow's kernels.
import tensorflow as tf

_CALLS = flags.DEFINE_integer('calls', 500, 'Calls of each way.')
_BATCH, _ACTIONS = 32, 6
_MINATAR_SHAPE, _ATARI_SHAPE = (10, 10, 4), (84, 84, 4)

_Way = Callable[[], object]


def _observations(shape: tuple[int, ...], count: int) -> np.ndarray:
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, (count, *shape), np.uint8)


def _ways(
    function: tf.types.experimental.PolymorphicFunction,
    arrays: list[np.ndarray],
) -> dict[str, _Way]:
  """The ways to call a function."""
  concrete = function.get_concrete_function(*arrays)
  graph = graph_function.GraphFunction(concrete)
  return {
      'tf.function': lambda: function(*arrays),
      'concrete function': lambda: concrete(*map(tf.constant, arrays)),
      'GraphFunction': lambda: graph(*arrays),
  }


def _inference() -> dict[str, _Way]:
  network = builder.make_network(
      network_config.MinatarConfig(), methods.METHODS['qdagger'].agent.algorithm,
      _MINATAR_SHAPE, 'uint8', _ACTIONS, 0,
  )
  function = tf.function(lambda x: tf.argmax(network(x), axis=1))
  return _ways(function, [_observations(_MINATAR_SHAPE, 1)])


def _update() -> dict[str, _Way]:
  learner = builder.make_learner(
      network_config.MinatarConfig(), methods.METHODS['qdagger'].agent,
      _MINATAR_SHAPE, 'uint8', _ACTIONS, 0,
  )
  observations = _observations(_MINATAR_SHAPE, 2 * _BATCH)
  transitions = types.Transition(
      observations[:_BATCH],
      np.zeros(_BATCH, np.int32),
      np.ones(_BATCH, np.float32),
      np.full(_BATCH, 0.97, np.float32),
      observations[_BATCH:],
      np.zeros((_BATCH, _ACTIONS), np.float32),
  )
  weights = np.array(learning.LossWeights(distillation=3.0), np.float32)
  return _ways(
      learner._traced_step,  # pylint: disable=protected-access
      [weights, np.float32(1e-4), np.ones(_BATCH, np.float32), *transitions],
  )


def _teacher() -> dict[str, _Way]:
  network = nature.make(
      network_config.NatureConfig(padding='valid'), _ATARI_SHAPE, _ACTIONS, 0
  )
  function = tf.function(lambda x: network(x))  # pylint: disable=unnecessary-lambda
  return _ways(function, [_observations(_ATARI_SHAPE, 1)])


def main(argv):
  del argv
  for title, make in (
      ('MinAtar network, one observation', _inference),
      ('MinAtar network, one update of 32', _update),
      ("teacher's Nature network, one observation", _teacher),
  ):
    print(title)
    times = clocks.take_turns(make(), _CALLS.value)
    slowest = times['tf.function']
    for name, time in times.items():
      print(
          f'  {name:18}{time.wall * 1e6:7.0f} us,{time.cpu * 1e6:7.0f} us CPU'
          f'   × {slowest.wall / time.wall:.2f} by the clock,'
          f' {slowest.cpu / time.cpu:.2f} by CPU time'
      )


if __name__ == '__main__':
  app.run(main)
