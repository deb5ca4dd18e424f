"""Tests of Perciatelli44 against its own graph and a forward pass in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from rrl_pipeline.environments import balloon_compatibility
from rrl_pipeline.teachers import perciatelli

pytest.importorskip(
    'balloon_learning_environment', reason='it has the graph: .[balloon]'
)
balloon_compatibility.install()

from balloon_learning_environment.agents import perciatelli44  # pylint: disable=g-import-not-at-top,wrong-import-position


@pytest.fixture(scope='module', name='observations')
def fixture_observations():
  """Features within their bounds, among them those of unreachable levels."""
  generator = np.random.default_rng(0)
  features = generator.uniform(0, 1, (64, perciatelli.NUM_FEATURES))
  features[:, 3:7] = features[:, 3:7] * 2 - 1
  winds = features[:, 16:].reshape(64, 361, 3)
  winds[generator.random((64, 361)) < 0.6] = (0, 1, 1)
  return features.astype(np.float32)


@pytest.fixture(scope='module', name='graph_values')
def fixture_graph_values(observations):
  """Q-values and quantiles by a session of the graph."""
  with tf.Graph().as_default():
    with perciatelli44.load_perciatelli_session() as session:
      return session.run(
          ['import/q_values:0', 'import/Online/Reshape:0'],
          {'import/observation:0': observations},
      )


def _forward(observations):
  """Quantiles by matrix products."""
  x = observations.astype(np.float64)
  *hidden, (kernel, bias) = perciatelli.read_weights()
  for hidden_kernel, hidden_bias in hidden:
    x = np.maximum(x @ hidden_kernel + hidden_bias, 0)
  return (x @ kernel + bias).reshape(-1, 3, 51)


def test_network_equals_graph(observations, graph_values):
  values = perciatelli.make_network()(observations).numpy()
  assert values.shape == (64, 3) and values.dtype == np.float32
  np.testing.assert_allclose(values, graph_values[0], rtol=1e-5, atol=1e-4)
  np.testing.assert_array_equal(
      values.argmax(axis=1), graph_values[0].argmax(axis=1)
  )


def test_quantiles_are_ordered_action_by_action(observations, graph_values):
  quantiles = _forward(observations)
  np.testing.assert_allclose(quantiles, graph_values[1], rtol=1e-5, atol=1e-3)
  np.testing.assert_allclose(
      quantiles.mean(axis=2), graph_values[0], rtol=1e-5, atol=1e-4
  )


def test_variables_are_those_that_were_read():
  variables = perciatelli.make_network().variables
  assert [v.name for v in variables] == [
      f'{layer}/{kind}:0'
      for layer in (*(f'hidden_{i}' for i in range(7)), 'quantiles')
      for kind in ('kernel', 'bias')
  ]
  assert sum(v.shape.num_elements() for v in variables) == 2_915_553
  for variable, value in zip(
      variables, (a for pair in perciatelli.read_weights() for a in pair)
  ):
    np.testing.assert_array_equal(variable, value)


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  with pytest.raises(ValueError, match=r"pip install 'rrl-pipeline\[balloon\]"):
    perciatelli.read_weights()


def test_another_graph_is_refused(monkeypatch, tmp_path):
  graph = tf.compat.v1.GraphDef()
  path = tmp_path / 'perciatelli44.pb'
  path.write_bytes(graph.SerializeToString())
  monkeypatch.setattr(perciatelli, '_graph_path', lambda: path)
  with pytest.raises(ValueError, match='not the graph of Perciatelli44'):
    perciatelli.read_weights()
