"""Long replay logs for measurements: a short one, repeated."""

import gzip
import os
import pathlib
import pickle

import numpy as np

from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader


def write(
    sample_dir: str | os.PathLike[str],
    log_dir: str,
    repeats: int,
    num_checkpoints: int = 1,
) -> int:
  """Writes a log that repeats the episodes of another one.

  Two pixels of an episode's first frame tell its repetition, so that no two are
  equal.

  Args:
    sample_dir: of a log of Dopamine with one checkpoint. Its ring must not be
      full and must end with the end of an episode: such entries can be laid end
      to end.
    log_dir: of the new log.
    repeats: how often.
    num_checkpoints: in how many checkpoints of equal size, of which none holds
      entries of another one; a divisor of `repeats`.

  Returns:
    How many transitions the new log has.

  Raises:
    ValueError: if the repetitions do not fill the checkpoints evenly.
  """
  if repeats % num_checkpoints:
    raise ValueError(
        f'{repeats} repetitions do not fill {num_checkpoints} checkpoints '
        'evenly; expected a multiple'
    )
  sample = os.fspath(sample_dir)
  index = formats.open_reader(formats.LogConfig(sample)).index()
  os.makedirs(log_dir)
  each = repeats // num_checkpoints
  for number in range(num_checkpoints):
    _write_checkpoint(sample, index, log_dir, number, each)
  return index.accounting.transitions * repeats


def _write_checkpoint(
    sample: str, index: reader.LogIndex, log_dir: str, number: int,
    repeats: int,
) -> None:
  """Writes the `number`th share of the repetitions, a full ring."""
  (sample_number,) = index.checkpoints
  count = index.accounting.adds
  firsts = [span.first_add for span in index.spans]
  for element in (
      files.OBSERVATION, files.ACTION, files.REWARD, files.TERMINAL
  ):
    rows = npy_gzip.RowStream(files.path_of(sample, element, sample_number))
    column = rows.read(count)
    rows.close()
    header = {
        'descr': np.lib.format.dtype_to_descr(column.dtype),
        'fortran_order': False,
        'shape': (count * repeats, *column.shape[1:]),
    }
    with gzip.open(files.path_of(log_dir, element, number), 'wb', 6) as file:
      np.lib.format.write_array_header_1_0(file, header)
      for repetition in range(number * repeats, (number + 1) * repeats):
        if element == files.OBSERVATION:
          column[firsts, 0, :2] = divmod(repetition, 256)
        file.write(column.tobytes())
  ends = files.read_end_indices(
      files.path_of(sample, files.EPISODE_END_INDICES, sample_number), count
  )
  all_ends = {end + count * i for end in ends for i in range(repeats)}
  path = files.path_of(log_dir, files.EPISODE_END_INDICES, number)
  with gzip.open(path, 'wb') as file:
    pickle.dump(all_ends, file)
  with gzip.open(files.path_of(log_dir, files.ADD_COUNT, number), 'wb') as file:
    np.save(file, np.array(count * repeats * (number + 1)))
  pathlib.Path(files.sentinel_path(log_dir, number)).write_bytes(b'done')
