"""Measures the conversion of a replay log, and others beside it.

  python benchmarks/conversion.py --repeats=8

Converts one log of real Pong frames (the test data, repeated) in four ways,
each in a process of its own, and prints transitions per second, processor time,
peak memory and bytes per transition:

  bare loop    gunzip, PNG, serialise, write; no checks, no Beam: the limit
  beam job     beam_jobs/build_rlds.py in one process
  beam job x2  the same in two worker processes
  tfds beam    a TFDS builder on Beam with TFDS's own encoder
"""

import argparse
import gzip
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

_SAMPLE = (
    pathlib.Path(__file__).resolve().parents[1]
    / 'tests' / 'testdata' / 'dopamine' / 'unwrapped' / 'checkpoints'
)


def write_log(log_dir: str, repeats: int) -> int:
  """Writes a log that repeats the sample's episodes; returns their steps.

  The sample's ring is not full, so its entries begin with the padding of an
  episode and end with the end of one: they can be laid end to end.
  """
  # Modules are imported where they are used, so that each way of converting
  # pays, in memory, for its own only.
  import numpy as np
  from rrl_pipeline.logs import dopamine
  from rrl_pipeline.logs import dopamine_files as files
  from rrl_pipeline.logs import npy_gzip

  os.makedirs(log_dir)
  index = dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(_SAMPLE))
  ).index()
  (number,) = index.checkpoints
  count = index.accounting.adds
  for element in (
      files.OBSERVATION, files.ACTION, files.REWARD, files.TERMINAL
  ):
    rows = npy_gzip.RowStream(files.path_of(str(_SAMPLE), element, number))
    column = rows.read(count)
    rows.close()
    header = {
        'descr': np.lib.format.dtype_to_descr(column.dtype),
        'fortran_order': False,
        'shape': (count * repeats, *column.shape[1:]),
    }
    with gzip.open(files.path_of(log_dir, element, 0), 'wb', 6) as file:
      np.lib.format.write_array_header_1_0(file, header)
      for _ in range(repeats):
        file.write(column.tobytes())
  ends = files.read_end_indices(
      files.path_of(str(_SAMPLE), files.EPISODE_END_INDICES, number), count
  )
  all_ends = {end + count * i for end in ends for i in range(repeats)}
  path = files.path_of(log_dir, files.EPISODE_END_INDICES, 0)
  with gzip.open(path, 'wb') as file:
    pickle.dump(all_ends, file)
  with gzip.open(files.path_of(log_dir, files.ADD_COUNT, 0), 'wb') as file:
    np.save(file, np.array(count * repeats))
  pathlib.Path(files.sentinel_path(log_dir, 0)).write_bytes(b'done')
  return index.accounting.transitions * repeats


def convert_bare(log_dir: str, data_dir: str) -> float:
  """The least that any conversion must do, in one loop."""
  from rrl_pipeline.logs import dopamine
  from rrl_pipeline.rlds import png
  from rrl_pipeline.rlds import schema
  from rrl_pipeline.rlds import tf_example
  from rrl_pipeline.rlds import tfrecord

  start = time.perf_counter()
  log_reader = dopamine.DopamineReader(dopamine.DopamineLogConfig(log_dir))
  encoder = png.PngEncoder((84, 84), png.default_compressor())
  os.makedirs(data_dir)
  with open(os.path.join(data_dir, 'shard.tfrecord'), 'wb') as file:
    for stream in log_reader.read(log_reader.index().spans):
      frames = [
          encoder.encode(frame) for block in stream.frames for frame in block
      ]
      episode = schema.EncodedEpisode(
          stream.span, frames, stream.actions, stream.rewards, None, None, ''
      )
      record = schema.to_record(episode, '', encoder.blank)
      tfrecord.write(file, tf_example.serialize(record))
  return time.perf_counter() - start


def convert_with_job(
    log_dir: str, data_dir: str, num_shards: int = 1, *beam_args: str
) -> float:
  """Our Beam job."""
  from rrl_pipeline.beam_jobs import build_rlds

  config = build_rlds.BuildRldsConfig(log_dir, data_dir, num_shards=num_shards)
  start = time.perf_counter()
  build_rlds.convert(config, beam_args)
  return time.perf_counter() - start


def convert_with_two_processes(log_dir: str, data_dir: str) -> float:
  """Our Beam job in two worker processes."""
  return convert_with_job(
      log_dir, data_dir, 2, '--direct_num_workers=2',
      '--direct_running_mode=multi_processing',
  )


def read_episodes(log_dir: str) -> Iterator[tuple[str, dict[str, Any]]]:
  """Episodes with raw frames, for TFDS to encode."""
  from rrl_pipeline.logs import dopamine
  from rrl_pipeline.rlds import schema

  log_reader = dopamine.DopamineReader(dopamine.DopamineLogConfig(log_dir))
  for stream in log_reader.read(log_reader.index().spans):
    blocks = [frame[..., None] for block in stream.frames for frame in block]
    episode = schema.EncodedEpisode(
        stream.span, blocks, stream.actions, stream.rewards, None, None, ''
    )
    record = schema.to_record(episode, '', blocks[0] * 0)
    yield str(stream.span.episode_id), record


def convert_with_tfds(log_dir: str, data_dir: str) -> float:
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

  start = time.perf_counter()
  PlainReplay(data_dir=data_dir).download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          try_download_gcs=False,
          beam_options=pipeline_options.PipelineOptions(
              ['--runner=FnApiRunner']
          ),
      )
  )
  return time.perf_counter() - start


WAYS: dict[str, Callable[[str, str], float]] = {
    'bare loop': convert_bare,
    'beam job': convert_with_job,
    'beam job x2': convert_with_two_processes,
    'tfds beam': convert_with_tfds,
}


def _measure(way: str, log_dir: str, data_dir: str) -> dict[str, float]:
  """Converts in this process and tells what it took."""
  before = time.process_time()
  seconds = WAYS[way](log_dir, data_dir)
  own_cpu = time.process_time() - before
  children = resource.getrusage(resource.RUSAGE_CHILDREN)
  with open('/proc/self/status', encoding='utf-8') as file:
    peak = int(re.search(r'VmHWM:\s*(\d+) kB', file.read())[1])
  return {
      'seconds': seconds,
      'cpu_seconds': own_cpu + children.ru_utime + children.ru_stime,
      'peak_mb': max(peak, children.ru_maxrss) / 1024,
      'bytes': sum(
          path.stat().st_size
          for path in pathlib.Path(data_dir).rglob('*tfrecord*')
      ),
  }


def main() -> None:
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      '--repeats', type=int, default=8,
      help='how often to repeat the 12912 steps of the test data (8)',
  )
  parser.add_argument('--measure', nargs=3, help=argparse.SUPPRESS)
  flags = parser.parse_args()
  if flags.measure:
    print(json.dumps(_measure(*flags.measure)))
    return
  with tempfile.TemporaryDirectory() as directory:
    log_dir = os.path.join(directory, 'log')
    transitions = write_log(log_dir, flags.repeats)
    print(f'a log of {transitions} transitions')
    print(
        f'{"":12} {"transitions/s":>14} {"CPU µs each":>12} '
        f'{"peak MB":>8} {"bytes each":>11} {"CPU ratio":>10}'
    )
    reference = None
    for i, way in enumerate(WAYS):
      result = subprocess.run(
          [
              sys.executable, __file__, '--measure', way, log_dir,
              os.path.join(directory, str(i)),
          ],
          capture_output=True, text=True, check=False,
      )
      if result.returncode:
        sys.exit(f'{way} failed:\n{result.stderr}')
      figures = json.loads(result.stdout.splitlines()[-1])
      reference = reference or figures['cpu_seconds']
      print(
          f'{way:12} {transitions / figures["seconds"]:14,.0f} '
          f'{figures["cpu_seconds"] / transitions * 1e6:12.1f} '
          f'{figures["peak_mb"]:8.0f} '
          f'{figures["bytes"] / transitions:11.0f} '
          f'{figures["cpu_seconds"] / reference:9.2f}x',
          flush=True,
      )
  print(
      'Imports are not timed but count for memory, which is that of the '
      'largest process. CPU includes worker processes from their start.'
  )


if __name__ == '__main__':
  main()
