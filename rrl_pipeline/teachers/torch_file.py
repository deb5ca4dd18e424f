"""Reads the arrays in files of `torch.save`, without PyTorch.

Since version 1.6 such a file is a zip archive, not compressed:

    <name>/data.pkl    a pickle that refers to storages by their keys
    <name>/data/<key>  the numbers of a storage
    <name>/byteorder   'little' or 'big'; may be missing

Nothing but numbers, text, containers and tensors is loaded; see `array_pickle`.
"""

import io
import pathlib
from typing import Any
import zipfile

import numpy as np
from numpy.lib import stride_tricks

from rrl_pipeline.teachers import array_pickle

_ZIP_START = b'PK\x03\x04'
_MAX_AXES = 8
# Names of storage classes; a parameter of a network is never anything else.
_DTYPES = {
    'DoubleStorage': '<f8',
    'FloatStorage': '<f4',
    'HalfStorage': '<f2',
    'LongStorage': '<i8',
    'IntStorage': '<i4',
    'ByteStorage': '|u1',
    'BoolStorage': '|b1',
}


def load(path: pathlib.Path) -> Any:
  """What was saved; `array_pickle.arrays` takes the tensors out as arrays.

  Raises:
    ValueError: if it is no such file, is damaged, or holds anything else.
  """
  contents = path.read_bytes()
  if not contents.startswith(_ZIP_START):
    raise ValueError(
        f'{path} is not a zip archive as torch.save writes since version 1.6.'
        ' If an older version wrote it, load and save it anew with PyTorch.'
    )
  files = _unzip(contents, path)
  pickles = [name for name in files if name.endswith('/data.pkl')]
  if len(pickles) != 1:
    raise ValueError(
        f'{path} holds {len(pickles)} files data.pkl; expected the one of'
        ' torch.save.'
    )
  root = pickles[0].removesuffix('data.pkl')
  if files.get(f'{root}byteorder', b'little') != b'little':
    raise ValueError(
        f'{path} was written on a big-endian machine: load and save it anew on'
        ' another one with PyTorch.'
    )

  def storage(reference: Any) -> np.ndarray:
    kind, dtype, key, _, count = reference
    if kind != 'storage' or dtype not in _DTYPES.values():
      raise array_pickle.RefusedError('it refers to something beside tensors')
    contents = files.get(f'{root}data/{key}')
    if contents is None or len(contents) != count * np.dtype(dtype).itemsize:
      raise array_pickle.RefusedError(
          f'its storage {key!r:.40} is missing or not of {count!r:.40} numbers'
      )
    return np.frombuffer(contents, dtype)

  return array_pickle.load(
      files[pickles[0]],
      str(path),
      functions={
          ('torch._utils', '_rebuild_tensor_v2'): _tensor,
          ('torch._utils', '_rebuild_parameter'): lambda tensor, *_: tensor,
      },
      # Text, because a pickle could change an object that is shared.
      constants={('torch', name): dtype for name, dtype in _DTYPES.items()},
      persistent=storage,
  )


def _unzip(contents: bytes, path: pathlib.Path) -> dict[str, bytes]:
  """The files of an archive, together no larger than it is."""
  try:
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
      for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED:
          raise zipfile.BadZipFile(f'{info.filename} is compressed')
      if sum(info.file_size for info in archive.infolist()) > len(contents):
        raise zipfile.BadZipFile('its files overlap')
      return {name: archive.read(name) for name in archive.namelist()}
  # A damaged archive may raise nearly anything.
  except Exception as error:  # pylint: disable=broad-except
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise ValueError(
        f'{path} is a damaged archive of torch.save: {reason[:200]}.'
    ) from error


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *unused: Any
) -> Any:
  """Stands for how PyTorch rebuilds a tensor from its storage."""
  if (
      not isinstance(storage, np.ndarray)
      or not isinstance(shape, tuple)
      or not isinstance(strides, tuple)
      or len(shape) != len(strides)
      or len(shape) > _MAX_AXES
      or not all(
          isinstance(n, int) and n >= 0 for n in (offset, *shape, *strides)
      )
  ):
    raise array_pickle.RefusedError('it has a tensor of another kind')
  last = offset + sum((n - 1) * s for n, s in zip(shape, strides))
  if 0 in shape or last >= len(storage):
    raise array_pickle.RefusedError(
        f'a tensor of shape {shape!r:.40} has too few numbers'
    )
  view = stride_tricks.as_strided(
      storage[offset:],
      shape,
      [stride * storage.itemsize for stride in strides],
      writeable=False,
  )
  # A stride of 0 may make much of little.
  if view.size > len(storage):
    raise array_pickle.RefusedError(
        f'a tensor of shape {shape!r:.40} repeats its numbers'
    )
  return array_pickle.array_of(np.ascontiguousarray(view))
