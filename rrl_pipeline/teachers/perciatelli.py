"""Perciatelli44, the network that flew stratospheric balloons for Loon.

Bellemare et al., "Autonomous navigation of stratospheric balloons using
reinforcement learning" (Nature, 2020): a quantile regression DQN trained for
more than a month by a distributed system. The Balloon Learning Environment
ships it as a frozen TensorFlow 1 graph. Its weights are read out of the graph
as what they are, constants; no session is ever opened.
"""

import importlib.util
import pathlib
import re

import numpy as np
import tensorflow as tf

from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import factory
from rrl_pipeline.networks import heads

NUM_FEATURES = 1099
NUM_ACTIONS = 3
NUM_QUANTILES = 51
NETWORK = network_config.MlpConfig((600,) * 7)

_PACKAGE = 'balloon_learning_environment'
_LAYER = re.compile(r'Online/fully_connected(?:_(\d+))?/(weights|biases)')


def read_weights() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
  """Reads the weights out of the graph in the installed package.

  Returns:
    Kernel and bias of each layer, float32: seven hidden ones, [1099, 600] and
    six times [600, 600], then the head, [600, 153]. Output 51 a + i of the
    head is quantile i of action a: the graph reshapes it to [B, 3, 51] and
    averages over the last axis.

  Raises:
    ValueError: the Balloon Learning Environment is not installed, or its graph
      is not the one described here.
  """
  path = _graph_path()
  graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
  found = {}
  for node in graph.node:
    match = _LAYER.fullmatch(node.name)
    if match:
      value = tf.make_ndarray(node.attr['value'].tensor)
      found[int(match[1] or 0), match[2]] = value
  shapes = {key: value.shape for key, value in found.items()}
  sizes = (NUM_FEATURES, *NETWORK.hidden_sizes, NUM_ACTIONS * NUM_QUANTILES)
  expected = {}
  for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
    expected[layer, 'weights'] = (inputs, outputs)
    expected[layer, 'biases'] = (outputs,)
  if shapes != expected:
    raise ValueError(
        f'{path} is not the graph of Perciatelli44: expected the shapes'
        f' {expected}, got {shapes}. Install balloon-learning-environment 1.0.1'
        ' anew.'
    )
  return tuple(
      (found[layer, 'weights'], found[layer, 'biases'])
      for layer in range(len(sizes) - 1)
  )


def make_network() -> tf.keras.Model:
  """Perciatelli44 as a Keras network, float32 [B, 1099] → Q float32 [B, 3].

  It is built like a student with that torso and head, which can therefore
  begin with its weights. Its variables are, in this order, kernel and bias of
  the layers hidden_0 to hidden_6 and of the head, as `read_weights` has them.
  """
  network = factory.make(
      NETWORK,
      heads.QuantileHead(NUM_ACTIONS, NUM_QUANTILES),
      (NUM_FEATURES,),
      'float32',
      seed=0,  # Of weights that are not kept.
  ).values
  network.set_weights([array for pair in read_weights() for array in pair])
  return network


def _graph_path() -> pathlib.Path:
  # Found without being imported: the import brings JAX along.
  spec = importlib.util.find_spec(_PACKAGE)
  if spec is None:
    raise ValueError(
        'Perciatelli44 comes with the Balloon Learning Environment, which is'
        " not installed: pip install 'rrl-pipeline[balloon]'."
    )
  return pathlib.Path(spec.origin).parent / 'models' / 'perciatelli44.pb'
