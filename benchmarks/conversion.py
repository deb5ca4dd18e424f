"""Measures the conversion of a replay log, and others beside it.

  python benchmarks/conversion.py

Converts one log of real Pong frames (the test data, repeated) in several ways,
each in a process of its own, and prints transitions per second, processor time,
peak memory and bytes per transition:

  bare loop    gunzip, PNG, serialise, write; no checks, no Beam: the limit
  beam job     beam_jobs/build_rlds.py in one process
  beam job x2  the same in two worker processes
  raw          the same in one process, raw frames in ArrayRecord
  tfds beam    a TFDS builder on Beam with TFDS's own encoder

The first, the second and the fourth also say where the processor time goes. By
default the log is as long as Dopamine's, a million entries with 7 GB of frames
in one file; --repeats=8 makes a short one.

Then it prints how conversion scales, from one process to two: with that log, and
with one of the same length in several files, each a unit of work. A process of
Beam takes a second to start; the rates without that are those of longer logs.
"""

import argparse
import contextlib
import importlib
import json
import math
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Iterator, Mapping, Sequence

import repeated_log

# Imports of the ways themselves are where they are used, so that each pays, in
# memory, for its own only.


_SAMPLE = (
    pathlib.Path(__file__).resolve().parents[1]
    / 'tests' / 'testdata' / 'dopamine' / 'unwrapped' / 'checkpoints'
)


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
    num_files = len(list(pathlib.Path(log_dir).glob('add_count_ckpt.*')))
    options['num_shards'] = max(num_processes, num_files)
  stopwatch.start()
  config = build_rlds.BuildRldsConfig(
      log_dir, data_dir, checkpoints='all', **options
  )
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


_FILES = 4  # Of the log in several files.
# What is less says nothing of scaling, so that is left out.
_MIN_REPEATS = 16
ONE = 'beam job'
TWO = 'beam job x2'
WAYS: dict[str, Callable[[str, str, Stopwatch], None]] = {
    'bare loop': convert_bare,
    ONE: convert_with_job,
    TWO: convert_with_two_processes,
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


def _run(way: str, log_dir: str) -> dict[str, Any]:
  """Measures in a process of its own."""
  with tempfile.TemporaryDirectory() as directory:
    data_dir = os.path.join(directory, 'data')
    result = subprocess.run(
        [sys.executable, __file__, '--measure', way, log_dir, data_dir],
        capture_output=True, text=True, check=False,
    )
  if result.returncode:
    sys.exit(f'{way} failed:\n{result.stderr}')
  return json.loads(result.stdout.splitlines()[-1])


def print_ways(
    ways: Sequence[str], log_dir: str, transitions: int
) -> dict[str, float]:
  """Measures the ways and prints a table; returns the seconds of each."""
  print(
      f'{"":12} {"transitions/s":>14} {"time":>6} {"CPU µs each":>12} '
      f'{"CPU":>6} {"peak MB":>8} {"bytes each":>11}  parts of the CPU µs'
  )
  reference = None
  seconds = {}
  for way in ways:
    figures = _run(way, log_dir)
    reference = reference or figures
    seconds[way] = figures['seconds']
    parts = ', '.join(
        f'{name} {part / transitions * 1e6:.1f}'
        for name, part in figures['parts'].items()
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
      f'Time and CPU are also given as multiples of {ways[0]}. Imports are not '
      'timed but count for memory, which is that of the largest process. CPU '
      'includes worker processes from their start.'
  )
  return seconds


def print_scaling(
    start: tuple[int, Mapping[str, float]],
    logs: Mapping[str, tuple[int, Mapping[str, float]]],
) -> None:
  """Prints how much faster two processes are than one.

  Args:
    start: transitions of a short log, and the seconds of both ways with it.
    logs: the same of long logs, by what tells them apart.
  """
  print('seconds in one process, and in two:')
  short, starts = start
  one, two = (starts[way] for way in (ONE, TWO))
  print(f'{short} transitions, mostly the start: {one:.2f} s, {two:.2f} s')
  for name, (transitions, seconds) in logs.items():
    one, two = (seconds[way] for way in (ONE, TWO))
    rest_one, rest_two = (seconds[way] - starts[way] for way in (ONE, TWO))
    print(
        f'{transitions} transitions in {name}: {one:.2f} s, {two:.2f} s: '
        f'{one / two:.2f} times as fast; without the start '
        f'{(transitions - short) / rest_one:,.0f} and '
        f'{(transitions - short) / rest_two:,.0f} transitions/s: '
        f'{rest_one / rest_two:.2f} times'
    )


def main() -> None:
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      '--repeats', type=int, default=77,
      help='how often to repeat the 12912 steps of the test data (77)',
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

    def write_log(repeats: int, num_files: int) -> tuple[str, int]:
      log_dir = os.path.join(directory, f'log-{repeats}-{num_files}')
      count = repeated_log.write(_SAMPLE, log_dir, repeats, num_files)
      return log_dir, count

    log_dir, transitions = write_log(flags.repeats, 1)
    print(f'a log of {transitions} transitions')
    one_file = transitions, print_ways(flags.ways, log_dir, transitions)
    if not {ONE, TWO} <= set(flags.ways) or flags.repeats < _MIN_REPEATS:
      return

    def measure_both(*log: int) -> tuple[int, dict[str, float]]:
      log_dir, transitions = write_log(*log)
      return transitions, {
          way: _run(way, log_dir)['seconds'] for way in (ONE, TWO)
      }

    each = math.ceil(flags.repeats / _FILES)
    several = measure_both(each * _FILES, _FILES)
    print_scaling(
        measure_both(1, 1),
        {'one file': one_file, f'{_FILES} files': several},
    )


if __name__ == '__main__':
  main()
