"""Loads arrays and containers from pickles of other projects, nothing else.

A pickle is a program: it may name any function of any module and have it
called. Here it gets none. The few names that stand for arrays lead to the
functions of this file, and nothing that a pickle names is ever imported. Other
objects of the libraries that write checkpoints, such as an optimiser's state,
become empty objects, and any other name ends the loading.
"""

import collections
import io
import math
import pickle
import pickletools
import re
from typing import Any, Callable, Mapping, Optional

import numpy as np

# Their objects lie beside the weights; none of them is needed.
_IGNORED_PACKAGES = ('flax', 'jax', 'jaxlib', 'optax')
_NUMPY_CORES = ('numpy.core', 'numpy._core')
_DTYPE = re.compile(r'[biuf][1248]')
_MAX_AXES = 8
# Of one checkpoint; containers that hold each other would have no end.
_MAX_VALUES = 1_000

# By the module and the name that a pickle gives.
_Names = Mapping[tuple[str, str], Any]


class RefusedError(Exception):
  """What a pickle asks for that it does not get."""


class _Dtype:
  """A dtype; its byte order follows as its state."""

  def __init__(self, code: str, *unused_flags: Any):
    if not isinstance(code, str) or not _DTYPE.fullmatch(code):
      raise RefusedError(f'it has an array of dtype {code!r:.40}')
    self._code = code
    self._order = '='

  def __setstate__(self, state: Any) -> None:
    if state[1] not in ('<', '>', '|', '='):
      raise RefusedError(f'a dtype has byte order {state[1]!r:.40}')
    self._order = state[1]

  def array(self, data: Any, shape: Any, order: str) -> np.ndarray:
    """The array of these bytes.

    Raises:
      RefusedError: if they do not fit.
    """
    dtype = np.dtype(self._order + self._code)
    if (
        not isinstance(shape, tuple)
        or len(shape) > _MAX_AXES
        or not all(isinstance(n, int) and n >= 0 for n in shape)
        or not isinstance(data, (bytes, bytearray))
        or len(data) != math.prod(shape) * dtype.itemsize
    ):
      raise RefusedError(
          f'an array of shape {shape!r:.40} has other bytes'
      )
    return np.frombuffer(data, dtype).reshape(shape, order=order)


class _Array:
  """An array; its contents follow as its state."""

  def __init__(self, *unused_arguments: Any):
    self.value: Optional[np.ndarray] = None

  def __setstate__(self, state: Any) -> None:
    _, shape, dtype, is_fortran, data = state
    self.value = _dtype(dtype).array(data, shape, 'F' if is_fortran else 'C')


class _FrozenDict(dict):
  """A dictionary of flax; the oldest pickles give its contents as a state."""

  def __setstate__(self, state: Any) -> None:
    _, slots = state
    self.update(slots['_dict'])


class _Ignored:
  """Stands for an object that is not needed; whatever is put in is dropped."""

  def __init__(self, *unused_arguments: Any, **unused_options: Any):
    pass

  def __setstate__(self, state: Any) -> None:
    pass

  def __setitem__(self, key: Any, value: Any) -> None:
    pass

  def extend(self, values: Any) -> None:
    pass

  append = extend


class _Function:
  """A function whose attributes a pickle cannot change."""

  def __init__(self, function: Callable[..., Any]):
    self._function = function

  def __call__(self, *arguments: Any) -> Any:
    return self._function(*arguments)

  def __setstate__(self, state: Any) -> None:
    raise RefusedError('it changes a function')


def _dtype(value: Any) -> _Dtype:
  if not isinstance(value, _Dtype):
    raise RefusedError('an array has no dtype')
  return value


def _scalar(dtype: Any, data: Any) -> Any:
  return _dtype(dtype).array(data, (), 'C').item()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
  """Stands for how NumPy rebuilds an array in protocol 5."""
  array = _Array()
  array.value = _dtype(dtype).array(data, shape, 'F' if order == 'F' else 'C')
  return array


def _from_jax(
    unused_function: Any, unused_arguments: Any, state: Any, *unused: Any
) -> _Array:
  """Stands for how JAX rebuilds an array from that of NumPy."""
  array = _Array()
  array.__setstate__(state)
  return array


def _encode(text: Any, encoding: Any) -> bytes:
  """Stands for how Python 3 writes bytes in protocol 2."""
  if encoding != 'latin1':
    raise RefusedError(f'it has bytes as {encoding!r:.40}')
  return text.encode('latin1')


_NAMES = {
    ('_codecs', 'encode'): _Function(_encode),
    ('__builtin__', 'bytes'): _Function(lambda: b''),
    ('collections', 'OrderedDict'): collections.OrderedDict,
    ('flax.core.frozen_dict', 'FrozenDict'): _FrozenDict,
    # The same under two names: until 0.3, and since 0.4.
    ('jax._src.device_array', 'reconstruct_device_array'): _Function(_from_jax),
    ('jax._src.array', '_reconstruct_array'): _Function(_from_jax),
    ('numpy', 'dtype'): _Function(_Dtype),
    ('numpy', 'ndarray'): _Function(_Array),
    **{
        (f'{core}.{module}', name): _Function(function)
        for core in _NUMPY_CORES
        for module, name, function in (
            ('multiarray', '_reconstruct', _Array),
            ('multiarray', 'scalar', _scalar),
            ('numeric', '_frombuffer', _from_buffer),
        )
    },
}


class _Unpickler(pickle.Unpickler):
  """Knows the names above and those of its caller."""

  def __init__(
      self,
      contents: bytes,
      names: _Names,
      persistent: Optional[Callable[[Any], Any]],
  ):
    super().__init__(io.BytesIO(contents))
    self._names = names
    self._persistent = persistent

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) in self._names:
      return self._names[module, name]
    if module.split('.')[0] in _IGNORED_PACKAGES:
      # A class of its own: what a pickle does to it goes no further.
      return type('Ignored', (_Ignored,), {})
    raise RefusedError(f'it asks for {module}.{name}'[:200])

  def persistent_load(self, pid: Any) -> Any:
    if self._persistent is None:
      raise RefusedError('it refers to something outside of it')
    return self._persistent(pid)


def load(
    contents: bytes,
    path: str,
    functions: Optional[_Names] = None,
    constants: Optional[_Names] = None,
    persistent: Optional[Callable[[Any], Any]] = None,
) -> Any:
  """Loads a pickle of dictionaries, lists, numbers, text and arrays.

  Args:
    contents: of the pickle.
    path: of the file, for messages.
    functions: what further functions stand for, by module and name.
    constants: likewise for what is not called.
    persistent: gives what the pickle refers to outside of itself.

  Returns:
    What was pickled; `arrays` takes the arrays out.

  Raises:
    ValueError: if it asks for anything else or is damaged.
  """
  names = {
      **_NAMES,
      **{key: _Function(f) for key, f in (functions or {}).items()},
      **(constants or {}),
  }
  try:
    _check_memo(contents)
    return _Unpickler(contents, names, persistent).load()
  # A damaged pickle may raise nearly anything.
  except Exception as error:  # pylint: disable=broad-except
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise ValueError(
        f'{path} is not a checkpoint that can be read: {reason[:200]}. Only'
        ' numbers, text, arrays and containers are taken from a pickle, because'
        ' a pickle may otherwise run any program.'
    ) from error


def _check_memo(contents: bytes) -> None:
  """Refuses numbers of remembered objects for which memory would be taken."""
  for opcode, argument, position in pickletools.genops(contents):
    if opcode.name in ('PUT', 'BINPUT', 'LONG_BINPUT') and argument > position:
      raise RefusedError(f'it remembers {argument} objects')


def arrays(tree: Any, path: str) -> dict[str, np.ndarray]:
  """The arrays in nested dictionaries, by names such as 'Dense_0/kernel'.

  Args:
    tree: part of what `load` returned.
    path: of the file, for messages.

  Raises:
    ValueError: if there is anything else.
  """
  found = {}
  waiting = [('', tree)]
  for _ in range(_MAX_VALUES):
    if not waiting:
      return found
    name, value = waiting.pop()
    if isinstance(value, dict):
      waiting.extend(
          (f'{name}/{key}'.removeprefix('/'), part)
          for key, part in value.items()
      )
    elif isinstance(value, _Array) and value.value is not None:
      found[name] = value.value
    else:
      raise ValueError(
          f'{path} has no array at {name or "the top"!r}: expected the weights'
          ' of a network, as nested dictionaries of arrays.'
      )
  raise ValueError(f'{path} has more than {_MAX_VALUES} values for weights.')


def array_of(value: np.ndarray) -> Any:
  """An array as `load` gives it, for functions that stand for others."""
  array = _Array()
  array.value = value
  return array
