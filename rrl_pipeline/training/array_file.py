"""Files of named arrays, whole or not there: NumPy's npz without its pickles.

`numpy.savez` would do but for a full disk: it leaves an open archive behind,
which complains once more when it is collected.
"""

import os
from typing import Mapping
import zipfile

import numpy as np

from rrl_pipeline import run_directory


def write(
    path: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    compressed: bool = False,
) -> None:
  """Writes arrays of numbers, which `numpy.load` can read too.

  Raises:
    OSError: they could not be written; the error names the file.
  """
  method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
  with run_directory.whole_file(path) as file, zipfile.ZipFile(
      file, 'w', method
  ) as archive:
    for name, array in arrays.items():
      with archive.open(f'{name}.npy', 'w', force_zip64=True) as member:
        np.lib.format.write_array(
            member, np.asanyarray(array), allow_pickle=False
        )


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Reads what `write` wrote.

  Raises:
    ValueError: the file is damaged, or holds objects instead of numbers.
  """
  try:
    with np.load(path, allow_pickle=False) as arrays:
      return {name: arrays[name] for name in arrays.files}
  except (ValueError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
        f'{path} is no file of arrays ({error}); restore or remove it'
    ) from error
