"""A replay log of any length for benchmarks: real Pong frames, repeated."""

import gzip
import os
import pathlib
import pickle

_SAMPLE = (
    pathlib.Path(__file__).resolve().parents[1]
    / 'tests' / 'testdata' / 'dopamine' / 'unwrapped' / 'checkpoints'
)


def write(log_dir: str, repeats: int) -> int:
  """Writes a log that repeats the sample's episodes; returns their steps.

  The sample's ring is not full, so its entries begin with the padding of an
  episode and end with the end of one: they can be laid end to end. Two pixels
  of an episode's first frame tell its repetition, so that no two are equal.
  """
  # Imported here: whoever imports this module pays for its imports in memory.
  import numpy as np
  from rrl_pipeline.logs import dopamine_files as files
  from rrl_pipeline.logs import formats
  from rrl_pipeline.logs import npy_gzip

  os.makedirs(log_dir)
  sample = str(_SAMPLE)
  index = formats.open_reader(formats.LogConfig(sample)).index()
  (number,) = index.checkpoints
  count = index.accounting.adds
  firsts = [span.first_add for span in index.spans]
  for element in (
      files.OBSERVATION, files.ACTION, files.REWARD, files.TERMINAL
  ):
    rows = npy_gzip.RowStream(files.path_of(sample, element, number))
    column = rows.read(count)
    rows.close()
    header = {
        'descr': np.lib.format.dtype_to_descr(column.dtype),
        'fortran_order': False,
        'shape': (count * repeats, *column.shape[1:]),
    }
    with gzip.open(files.path_of(log_dir, element, 0), 'wb', 6) as file:
      np.lib.format.write_array_header_1_0(file, header)
      for repetition in range(repeats):
        if element == files.OBSERVATION:
          column[firsts, 0, :2] = divmod(repetition, 256)
        file.write(column.tobytes())
  ends = files.read_end_indices(
      files.path_of(sample, files.EPISODE_END_INDICES, number), count
  )
  all_ends = {end + count * i for end in ends for i in range(repeats)}
  path = files.path_of(log_dir, files.EPISODE_END_INDICES, 0)
  with gzip.open(path, 'wb') as file:
    pickle.dump(all_ends, file)
  with gzip.open(files.path_of(log_dir, files.ADD_COUNT, 0), 'wb') as file:
    np.save(file, np.array(count * repeats))
  pathlib.Path(files.sentinel_path(log_dir, 0)).write_bytes(b'done')
  return index.accounting.transitions * repeats
