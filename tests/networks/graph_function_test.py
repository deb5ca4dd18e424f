import numpy as np
import pytest
import tensorflow as tf

from rrl_pipeline.networks import graph_function


def _counted_sums():
  """A function with a variable, and results of which one is None."""
  count = tf.Variable(0)

  @tf.function
  def function(x, scale):
    count.assign_add(1)
    return {'sum': tf.reduce_sum(x, axis=1) * scale, 'none': None}, count + 0

  return function, count


def test_it_gives_what_the_function_gives():
  rng = np.random.default_rng(0)
  function, count = _counted_sums()
  graph = graph_function.GraphFunction(
      function.get_concrete_function(
          tf.TensorSpec((None, 3)), tf.TensorSpec(())
      )
  )
  assert graph.structure[0]['none'] is None
  for calls, size in enumerate((1, 4, 7), 1):
    x = rng.normal(size=(size, 3)).astype(np.float32)
    sums, number = graph(x, np.float32(0.5))
    np.testing.assert_allclose(sums, x.sum(axis=1) / 2, rtol=1e-5)
    assert number.numpy() == count.numpy() == calls


def test_weights_are_those_of_the_moment():
  network = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(4,))])
  graph = graph_function.GraphFunction(
      tf.function(lambda x: network(x)).get_concrete_function(  # pylint: disable=unnecessary-lambda
          tf.TensorSpec((None, 4))
      )
  )
  x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
  for _ in range(2):
    kernel, bias = network.get_weights()
    np.testing.assert_allclose(graph(x)[0], x @ kernel + bias, rtol=1e-5)
    network.set_weights([kernel * 2, bias + 1])


@pytest.mark.parametrize('view', [
    lambda x: x.T.copy().T, lambda x: x[::2], lambda x: x[:, ::-1],
    lambda x: x.copy().byteswap().view(x.dtype.newbyteorder()),
])
def test_arrays_may_lie_in_memory_as_they_like(view):
  x = view(np.arange(24, dtype=np.int32).reshape(8, 3))
  graph = graph_function.GraphFunction(
      tf.function(lambda y: y + 1).get_concrete_function(
          tf.TensorSpec((None, 3), tf.int32)
      )
  )
  np.testing.assert_array_equal(graph(x)[0], x + 1)


def test_another_dtype_is_an_error():
  graph = graph_function.GraphFunction(
      tf.function(lambda x: x + 1).get_concrete_function(
          tf.TensorSpec((None, 3), tf.float32)
      )
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match='float'):
    graph(np.zeros((2, 3), np.uint8))
