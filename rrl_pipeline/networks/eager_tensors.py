"""Keeps TensorFlow's eager tensors from losing memory under Python 3.11.

Python 3.11 gives each new object whose class has a `__dict__` a block for its
attributes. Whoever destroys the object must free that block too, and the C++
of TensorFlow 2.15 does not: every eager tensor leaves 48 bytes behind for ever
(https://github.com/tensorflow/tensorflow/issues/62551). An update of a learner
makes 44 of them.
"""

import ctypes
import sys

import tensorflow as tf

# <typeslots.h>
_PY_TP_NEW = 65


def stop_leak() -> None:
  """Makes eager tensors from now on without that block; once is enough.

  They are allocated as Python allocates instances of a subclass of `float`,
  say: a `__dict__` comes into being with the first attribute that is set. That
  one is not freed either, but setting attributes of tensors is rare.

  Where Python or TensorFlow are others than those, this does nothing.
  """
  if sys.version_info[:2] != (3, 11):
    return
  python = ctypes.pythonapi
  get_slot = ctypes.PYFUNCTYPE(
      ctypes.c_void_p, ctypes.py_object, ctypes.c_int
  )(('PyType_GetSlot', python))
  eager_tensor = type(tf.constant(0))
  with_block = get_slot(object, _PY_TP_NEW)
  if get_slot(eager_tensor, _PY_TP_NEW) != with_block:
    return
  # Python can read this slot but not set it to a function in C.
  slots = (ctypes.c_void_p * (type.__basicsize__ // 8)).from_address(
      id(eager_tensor)
  )
  slots[slots[:].index(with_block)] = ctypes.cast(
      python.PyType_GenericNew, ctypes.c_void_p
  )
