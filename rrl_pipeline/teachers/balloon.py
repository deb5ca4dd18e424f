"""The teachers of balloons that need no training, by their names.

Both come out of the installed Balloon Learning Environment or its paper, so
none is kept in this package: a bundle is written where one is asked for.
"""

import contextlib
import os
import pathlib
import tempfile
import types
from typing import Any, Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from rrl_pipeline import settings
from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import balloon_policies
from rrl_pipeline.environments import config as config_lib
from rrl_pipeline.environments import random_returns
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

# Mean return and its standard deviation from seed to seed, on the 100 seeds of
# the environment's suite `small`, flown by its own evaluation
# (rrl_pipeline/training/balloon_evaluation.py).
_RETURNS: Mapping[str, tuple[float, float]] = types.MappingProxyType({
    'perciatelli44': (410.33, 269.74),
    'station_seeker': (358.00, 260.98),
})
_NUM_SEEDS = 100

_LINEAGES: Mapping[str, Mapping[str, Any]] = types.MappingProxyType({
    # What its training took was not published.
    'perciatelli44': {
        'command': (
            'read out of the frozen graph in balloon-learning-environment;'
            ' trained by Bellemare et al. (Nature, 2020)'
        ),
        'network': settings.to_json_value(perciatelli.NETWORK),
        'agent': {
            'algorithm': {
                'kind': 'quantile',
                'num_quantiles': perciatelli.NUM_QUANTILES,
            },
        },
        'teacher': None,
    },
    # Nothing was learned.
    'station_seeker': {
        'command': 'the rule of Bellemare et al. (Nature, 2020)',
        'actor_steps': 0,
        'learner_steps': 0,
        'frames': 0,
        'teacher': None,
    },
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


def export(name: str, directory: str | os.PathLike) -> None:
  """Writes a teacher's bundle; whole or not at all.

  Args:
    name: one of `NAMES`.
    directory: of the bundle.

  Raises:
    ValueError: as `make_network` does.
  """
  config = balloon_config.BalloonConfig()
  mean_return, std_return = _RETURNS[name]
  bundle.export(
      directory,
      make_network(name),
      bundle.Description(
          kind=_KINDS[name],
          observation_shape=(perciatelli.NUM_FEATURES,),
          observation_dtype='float32',
          action_meanings=balloon_policies.ACTION_MEANINGS,
          environment=config_lib.to_json(config),
          score={
              'mean_return': mean_return,
              'std_return': std_return,
              'num_episodes': _NUM_SEEDS,
              'epsilon': 0.0,
              'random_return': random_returns.random_return(config.task),
          },
          lineage=_LINEAGES[name],
      ),
  )


@contextlib.contextmanager
def located(name: str) -> Iterator[pathlib.Path]:
  """The folder of a bundle, which the caller may copy or load from.

  Args:
    name: one of `NAMES`, or whatever `bundle.find` takes. The bundle of the
      former is written for the time of the context.

  Raises:
    ValueError: as `export` and `bundle.find` do.
  """
  if name not in NAMES:
    yield bundle.find(name)
    return
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory) / name
    export(name, path)
    yield path
