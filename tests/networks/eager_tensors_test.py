"""Tests that eager tensors leave no memory behind."""

import copy

import numpy as np

from rrl_pipeline.networks import eager_tensors
from rrl_pipeline.testing import blocks_left
import tensorflow as tf


def test_a_tensor_leaves_nothing_behind():
  eager_tensors.stop_leak()
  eager_tensors.stop_leak()
  value = np.float32(3)
  # It left one block.
  assert blocks_left.per_call(lambda _: tf.constant(value), 2_000) < 0.2


def test_tensors_are_as_they_were():
  old = tf.constant([1, 2])
  eager_tensors.stop_leak()
  new = tf.constant([1, 2])
  assert type(new) is type(old)
  assert new.__dict__ == {}
  new.note = 'kept'
  assert new.note == 'kept' and not hasattr(old, 'note')
  np.testing.assert_array_equal(copy.deepcopy(new) + old, [2, 4])
