"""Calls a traced function without TensorFlow's Python layers around it.

They take longer than a small network does: they cast and sort the arguments,
look whether a gradient tape watches one of the captured variables, and pack the
results. What they end in is one operation, which is public, and takes NumPy's
arrays as they are. benchmarks/graph_function.py has the figures.
"""

from typing import Any

import tensorflow as tf

from rrl_pipeline.networks import eager_tensors


class GraphFunction:
  """A `tf.function` of one signature; called with arrays, gives tensors.

  It computes bit for bit what the function computes. Gradients do not flow
  through its calls.

  Attributes:
    structure: of the results, with `tf.TensorSpec` and None as leaves.
  """

  def __init__(self, function: tf.types.experimental.ConcreteFunction):
    """Takes a traced function, as `get_concrete_function` gives it.

    Args:
      function: whose results are tensors, or nested structures of them and of
        None.
    """
    eager_tensors.stop_leak()
    # To be kept: TensorFlow forgets a graph with the last reference to this.
    self._function = function
    self._captured = function.captured_inputs
    self._dtypes = [output.dtype for output in function.outputs]
    self.structure = function.structured_outputs

  def __call__(self, *arguments: Any) -> list[tf.Tensor]:
    """Calls the function.

    Args:
      *arguments: arrays or tensors of the dtypes of the signature, which are
        not cast.

    Returns:
      The tensors of the results, in the order of the structure.

    Raises:
      tf.errors.InvalidArgumentError: an argument has another dtype, or a shape
        that an operation inside cannot take.
    """
    return tf.raw_ops.StatefulPartitionedCall(
        args=[*arguments, *self._captured], Tout=self._dtypes, f=self._function
    )
