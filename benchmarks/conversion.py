"""Measures the conversion of a replay log, and others beside it.

  python benchmarks/conversion.py --repeats=8

Converts one log of real Pong frames (the test data, repeated) in several ways,
each in a process of its own, and prints transitions per second, processor time,
peak memory and bytes per transition:

  bare loop    gunzip, PNG, serialise, write; no checks, no Beam: the limit
  beam job     beam_jobs/build_rlds.py in one process
  beam job x2  the same in two worker processes
  raw          the same in one process, raw frames in ArrayRecord
  tfds beam    a TFDS builder on Beam with TFDS's own encoder

The first, the second and the fourth also say where the processor time goes.
--repeats=77 makes a log as long as Dopamine's by default, of a million entries
with 7 GB of frames in one file.
"""

import argparse
import contextlib
import gzip
import importlib
import json
import os
import pathlib
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Iterator

# Imports of the ways themselves are where they are used, so that each pays, in
# memory, for its own only.


_SAMPLE = (
    pathlib.Path(__file__).resolve().parents[1]
    / 'tests' / 'testdata' / 'dopamine' / 'unwrapped' / 'checkpoints'
)


def write_log(log_dir: str, repeats: int) -> int:
  """Writes a log that repeats the sample's episodes; returns their steps.

  The sample's ring is not full, so its entries begin with the padding of an
  episode and end with the end of one: they can be laid end to end. Two pixels
  of an episode's first frame tell its repetition, so that no two are equal.
  """
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


class Stopwatch:
  """Times a program and adds up the processor time of its parts."""

  def __init__(self):
    self.seconds = {}

  def start(self) -> None:
    """Imports are done, the conversion begins."""
    self.began = time.perf_counter()
    self.cpu_began = time.process_time()

  @contextlib.contextmanager
  def measuring(self, part: str) -> Iterator[None]:
    start = time.process_time()
    yield
    self.add(part, time.process_time() - start)

  def add(self, part: str, seconds: float) -> None:
    self.seconds[part] = self.seconds.get(part, 0.0) + seconds


def convert_bare(log_dir: str, data_dir: str, stopwatch: Stopwatch) -> None:
  """The least that any conversion must do, in one loop."""
  from rrl_pipeline.logs import formats
  from rrl_pipeline.rlds import encoding
  from rrl_pipeline.rlds import observations
  from rrl_pipeline.rlds import png
  from rrl_pipeline.rlds import record_files
  from rrl_pipeline.rlds import schema
  from rrl_pipeline.rlds import tf_example

  stopwatch.start()
  log_reader = formats.open_reader(formats.LogConfig(log_dir))
  encoder = encoding.make_encoder(
      observations.ObservationFormat(schema.ATARI_FRAME_SHAPE, schema.PNG),
      png.default_compressor(),
  )
  os.makedirs(data_dir)
  path = os.path.join(data_dir, 'shard.tfrecord')
  with record_files.open_writer(path, record_files.TFRECORD) as writer:
    for stream in log_reader.read(log_reader.index().spans):
      frames = []
      while True:
        with stopwatch.measuring('gunzip'):
          block = next(stream.frames, None)
        if block is None:
          break
        with stopwatch.measuring('encode'):
          frames += encoder.encode_block(block)
      with stopwatch.measuring('serialise'):
        episode = schema.EncodedEpisode(
            stream.span, frames, stream.actions, stream.rewards, None, None, ''
        )
        record = tf_example.serialize(
            schema.to_record(episode, '', encoder.blank)
        )
      with stopwatch.measuring('write'):
        writer.write(record)


def _measure_parts(stopwatch: Stopwatch) -> None:
  """Makes the job say how long its parts take."""
  from rrl_pipeline.logs import npy_gzip
  from rrl_pipeline.rlds import encoding
  from rrl_pipeline.rlds import png
  from rrl_pipeline.rlds import record_files
  from rrl_pipeline.rlds import tf_example

  def measure(owner: Any, name: str, part: str) -> None:
    function = getattr(owner, name)

    def measured(*args):
      with stopwatch.measuring(part):
        return function(*args)

    setattr(owner, name, measured)

  measure(npy_gzip.RowStream, '_fill', 'gunzip')
  measure(png.PngEncoder, 'encode_block', 'encode')
  measure(encoding.RawEncoder, 'encode_block', 'encode')
  measure(tf_example, 'serialize', 'serialise')
  open_writer = record_files.open_writer

  @contextlib.contextmanager
  def measured_writer(path, file_format):
    with open_writer(path, file_format) as writer:
      measure(writer, 'write', 'write')
      yield writer

  record_files.open_writer = measured_writer


def convert_with_job(
    log_dir: str,
    data_dir: str,
    stopwatch: Stopwatch,
    num_processes: int = 1,
    **options: Any,
) -> None:
  """Our Beam job. The parts of worker processes are not measured."""
  from rrl_pipeline.beam_jobs import build_rlds

  importlib.import_module(
      'rrl_pipeline.datasets.atari_replay.atari_replay_dataset_builder'
  )
  beam_args = ()
  if num_processes == 1:
    _measure_parts(stopwatch)
  else:
    beam_args = (
        f'--direct_num_workers={num_processes}',
        '--direct_running_mode=multi_processing',
    )
    options['num_shards'] = num_processes
  stopwatch.start()
  config = build_rlds.BuildRldsConfig(log_dir, data_dir, **options)
  build_rlds.convert(config, beam_args)


def convert_raw(log_dir: str, data_dir: str, stopwatch: Stopwatch) -> None:
  """Our Beam job, making the smallest dataset."""
  convert_with_job(
      log_dir, data_dir, stopwatch, file_format='array_record',
      frame_encoding='raw',
  )


def convert_with_two_processes(
    log_dir: str, data_dir: str, stopwatch: Stopwatch
) -> None:
  """Our Beam job in two worker processes."""
  convert_with_job(log_dir, data_dir, stopwatch, num_processes=2)


def read_episodes(log_dir: str) -> Iterator[tuple[str, dict[str, Any]]]:
  """Episodes with raw frames, for TFDS to encode."""
  from rrl_pipeline.logs import formats
  from rrl_pipeline.rlds import schema

  log_reader = formats.open_reader(formats.LogConfig(log_dir))
  for stream in log_reader.read(log_reader.index().spans):
    frames = [frame[..., None] for block in stream.frames for frame in block]
    episode = schema.EncodedEpisode(
        stream.span, frames, stream.actions, stream.rewards, None, None, ''
    )
    record = schema.to_record(episode, '', frames[0] * 0)
    yield str(stream.span.episode_id), record


def convert_with_tfds(
    log_dir: str, data_dir: str, stopwatch: Stopwatch
) -> None:
  """The way TFDS documents: a builder whose examples come from Beam."""
  import apache_beam as beam
  from apache_beam.options import pipeline_options
  import tensorflow_datasets as tfds
  from rrl_pipeline.rlds import schema

  class PlainReplay(tfds.core.GeneratorBasedBuilder):
    """A builder without any of our own encoding."""

    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      return tfds.core.DatasetInfo(
          builder=self, features=schema.atari_features()
      )

    def _split_generators(self, dl_manager):
      return {'train': self._generate_examples()}

    def _generate_examples(self):
      return (
          beam.Create([log_dir])
          | beam.Reshuffle()
          | beam.FlatMap(read_episodes)
      )

  stopwatch.start()
  PlainReplay(data_dir=data_dir).download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          try_download_gcs=False,
          beam_options=pipeline_options.PipelineOptions(
              ['--runner=FnApiRunner']
          ),
      )
  )


WAYS: dict[str, Callable[[str, str, Stopwatch], None]] = {
    'bare loop': convert_bare,
    'beam job': convert_with_job,
    'beam job x2': convert_with_two_processes,
    'raw': convert_raw,
    'tfds beam': convert_with_tfds,
}


def measure(way: str, log_dir: str, data_dir: str) -> dict[str, Any]:
  """Converts in this process and tells what it took."""
  stopwatch = Stopwatch()
  WAYS[way](log_dir, data_dir, stopwatch)
  seconds = time.perf_counter() - stopwatch.began
  own_cpu = time.process_time() - stopwatch.cpu_began
  children = resource.getrusage(resource.RUSAGE_CHILDREN)
  with open('/proc/self/status', encoding='utf-8') as file:
    peak = int(re.search(r'VmHWM:\s*(\d+) kB', file.read())[1])
  parts = stopwatch.seconds
  if parts:
    parts['rest'] = own_cpu - sum(parts.values())
  return {
      'seconds': seconds,
      'cpu_seconds': own_cpu + children.ru_utime + children.ru_stime,
      'peak_mb': max(peak, children.ru_maxrss) / 1024,
      'bytes': sum(
          path.stat().st_size
          for path in pathlib.Path(data_dir).rglob('*record*')
      ),
      'parts': parts,
  }


def _run(way: str, log_dir: str, data_dir: str) -> dict[str, Any]:
  """Measures in a process of its own."""
  result = subprocess.run(
      [sys.executable, __file__, '--measure', way, log_dir, data_dir],
      capture_output=True, text=True, check=False,
  )
  if result.returncode:
    sys.exit(f'{way} failed:\n{result.stderr}')
  return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      '--repeats', type=int, default=8,
      help='how often to repeat the 12912 steps of the test data (8)',
  )
  parser.add_argument(
      '--ways', nargs='+', choices=WAYS, default=list(WAYS), metavar='WAY',
      help='which to measure (all)',
  )
  parser.add_argument('--measure', nargs=3, help=argparse.SUPPRESS)
  flags = parser.parse_args()
  if flags.measure:
    print(json.dumps(measure(*flags.measure)))
    return
  with tempfile.TemporaryDirectory() as directory:
    log_dir = os.path.join(directory, 'log')
    transitions = write_log(log_dir, flags.repeats)
    print(f'a log of {transitions} transitions')
    print(
        f'{"":12} {"transitions/s":>14} {"time":>6} {"CPU µs each":>12} '
        f'{"CPU":>6} {"peak MB":>8} {"bytes each":>11}  parts of the CPU µs'
    )
    reference = None
    for i, way in enumerate(flags.ways):
      figures = _run(way, log_dir, os.path.join(directory, str(i)))
      reference = reference or figures
      parts = ', '.join(
          f'{name} {seconds / transitions * 1e6:.1f}'
          for name, seconds in figures['parts'].items()
      )
      print(
          f'{way:12} {transitions / figures["seconds"]:14,.0f} '
          f'{figures["seconds"] / reference["seconds"]:5.2f}x '
          f'{figures["cpu_seconds"] / transitions * 1e6:12.1f} '
          f'{figures["cpu_seconds"] / reference["cpu_seconds"]:5.2f}x '
          f'{figures["peak_mb"]:8.0f} '
          f'{figures["bytes"] / transitions:11.0f}  {parts}',
          flush=True,
      )
  print(
      f'Time and CPU are also given as multiples of {flags.ways[0]}. Imports '
      'are not timed but count for memory, which is that of the largest '
      'process. CPU includes worker processes from their start.'
  )


if __name__ == '__main__':
  main()
