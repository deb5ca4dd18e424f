"""Runs a Beam program on a cluster that lives on this machine for as long.

  python tests/integration/beam_cluster.py ENGINE COMMAND...

brings the engine up, runs the command with the flags of Beam that send its
pipeline there, and takes everything down again. The engines:

  portable  Beam's own local job service, and a pool of SDK workers
  flink     a standalone Apache Flink cluster: a job manager, a task manager of
            two slots, Beam's job server, and a pool of SDK workers of which
            each slot has one; all in processes of their own
  dask      a Dask scheduler and two workers, each in a process of its own

The exit code is that of the command, or 77 if the machine lacks what the engine
needs; the last line then says what.

Flink needs Java 11 or later. Beam's runner for it comes from Maven Central
through `mvn`; RRL_FLINK_CLASS_PATH, a job server's jar or a Java class path,
takes its place where there is no `mvn`. About 2 GB of memory are used.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Callable, Iterator, Sequence
import urllib.request

import apache_beam

NOT_AVAILABLE = 77
_START_SECONDS = 90
_TASK_SLOTS = 2
_BIN = pathlib.Path(sys.executable).parent
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>rrl</groupId><artifactId>flink</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.beam</groupId>
      <artifactId>{}</artifactId><version>{}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""
# The job server of our Beam, and an older runner that speaks the same protocol:
# mirrors of Maven Central do not have everything.
_FLINK_ARTIFACTS = (
    ('beam-runners-flink-1.20-job-server', apache_beam.__version__),
    ('beam-runners-flink-1.16', '2.50.0'),
)
# Flink reaches into Java's own modules (`env.java.opts.all` of its
# distribution).
_JAVA = (
    'java',
    '-Xmx400m',
    '--add-exports=java.base/sun.net.util=ALL-UNNAMED',
    *(
        f'--add-opens=java.base/java.{package}=ALL-UNNAMED'
        for package in (
            'io', 'lang', 'lang.reflect', 'net', 'nio', 'text', 'time', 'util',
            'util.concurrent',
        )
    ),
)
_FLINK_CONFIGURATION = """
jobmanager.rpc.address: localhost
jobmanager.bind-host: localhost
jobmanager.rpc.port: {rpc_port}
jobmanager.memory.process.size: 700m
rest.address: localhost
rest.port: {rest_port}
taskmanager.host: localhost
taskmanager.bind-host: localhost
taskmanager.numberOfTaskSlots: {task_slots}
taskmanager.cpu.cores: {task_slots}.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 64m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-metaspace.size: 192m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
io.tmp.dirs: {directory}
classloader.resolve-order: parent-first
"""


class NotAvailableError(RuntimeError):
  """The machine lacks what an engine needs."""


def _free_port() -> int:
  with socket.socket() as sock:
    sock.bind(('localhost', 0))
    return sock.getsockname()[1]


@contextlib.contextmanager
def _service(
    directory: pathlib.Path,
    name: str,
    command: Sequence[str],
    is_ready: Callable[[], bool],
) -> Iterator[None]:
  """Runs a process, with those it starts, until the block ends."""
  log = directory / f'{name}.log'
  # Workers are started as `python`, whichever comes first.
  environment = {
      **os.environ, 'PATH': f'{_BIN}{os.pathsep}{os.environ["PATH"]}'
  }
  with open(log, 'wb') as file:
    process = subprocess.Popen(
        command, stdout=file, stderr=subprocess.STDOUT, env=environment,
        start_new_session=True,
    )
  try:
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready():
      if process.poll() is not None or time.monotonic() > deadline:
        raise RuntimeError(f'{name} did not start:\n{log.read_text()[-3000:]}')
      time.sleep(0.2)
    yield
  finally:
    for number in (signal.SIGTERM, signal.SIGKILL):
      with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
      with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)


def _listens(port: int) -> Callable[[], bool]:
  def listens() -> bool:
    with contextlib.suppress(OSError):
      socket.create_connection(('localhost', port), 1).close()
      return True
    return False

  return listens


@contextlib.contextmanager
def _worker_pool(directory: pathlib.Path) -> Iterator[list[str]]:
  """A pool that starts SDK workers; yields the flags that choose it."""
  port = _free_port()
  command = (
      sys.executable, '-m', 'apache_beam.runners.worker.worker_pool_main',
      f'--service_port={port}',
  )
  with _service(directory, 'worker_pool', command, _listens(port)):
    yield [
        '--environment_type=EXTERNAL',
        f'--environment_config=localhost:{port}',
    ]


@contextlib.contextmanager
def portable(directory: pathlib.Path) -> Iterator[list[str]]:
  """Beam's own job service; yields the flags that choose it."""
  port = _free_port()
  command = (
      sys.executable, '-m',
      'apache_beam.runners.portability.local_job_service_main', f'-p{port}',
  )
  with (
      _worker_pool(directory) as flags,
      _service(directory, 'job_service', command, _listens(port)),
  ):
    yield [
        '--runner=PortableRunner', f'--job_endpoint=localhost:{port}', *flags
    ]


@contextlib.contextmanager
def dask(directory: pathlib.Path) -> Iterator[list[str]]:
  """A scheduler and two workers of Dask; yields the flags that choose them."""
  if not importlib.util.find_spec('distributed'):
    raise NotAvailableError(
        "Dask is not installed: pip install 'rrl-pipeline[dask]'"
    )
  port = _free_port()
  address = f'tcp://localhost:{port}'
  scheduler = (
      sys.executable, '-m', 'distributed.cli.dask_scheduler',
      f'--port={port}', '--no-dashboard',
  )

  def has_workers() -> bool:
    return (directory / 'workers.log').read_text().count('Registered to') == 2

  workers = (
      sys.executable, '-m', 'distributed.cli.dask_worker', address,
      '--nworkers=2', '--nthreads=1', '--no-dashboard',
      f'--local-directory={directory}',
  )
  with (
      _service(directory, 'scheduler', scheduler, _listens(port)),
      _service(directory, 'workers', workers, has_workers),
  ):
    yield [
        '--runner=apache_beam.runners.dask.dask_runner.DaskRunner',
        f'--dask_client_address={address}',
    ]


def _flink_class_path(directory: pathlib.Path) -> str:
  """The Java class path of Beam's Flink runner, Flink itself included."""
  if not shutil.which('java'):
    raise NotAvailableError('there is no java')
  given = os.environ.get('RRL_FLINK_CLASS_PATH')
  if given:
    return given
  if not shutil.which('mvn'):
    raise NotAvailableError('there is neither mvn nor RRL_FLINK_CLASS_PATH')
  for artifact, version in _FLINK_ARTIFACTS:
    (directory / 'pom.xml').write_text(_POM.format(artifact, version))
    result = subprocess.run(
        (
            'mvn', '--batch-mode', 'dependency:build-classpath',
            '-DincludeScope=runtime', '-Dmdep.outputFile=class_path',
        ),
        cwd=directory, capture_output=True, text=True, check=False,
    )
    if result.returncode == 0:
      print(f'Flink by {artifact} {version}', file=sys.stderr)
      return (directory / 'class_path').read_text().strip()
  errors = [l for l in result.stdout.splitlines() if l.startswith('[ERROR]')]
  raise NotAvailableError(f'Maven has no runner for Flink: {errors[0]}')


@contextlib.contextmanager
def flink(directory: pathlib.Path) -> Iterator[list[str]]:
  """A Flink cluster with Beam's job server; yields the flags that choose it."""
  java = (*_JAVA, '-cp', _flink_class_path(directory))
  rpc_port, rest_port, job_port, artifact_port = (
      _free_port() for _ in range(4)
  )
  (directory / 'flink-conf.yaml').write_text(
      _FLINK_CONFIGURATION.format(
          rpc_port=rpc_port,
          rest_port=rest_port,
          task_slots=_TASK_SLOTS,
          directory=directory,
      )
  )

  def has_slots(count: int) -> bool:
    url = f'http://localhost:{rest_port}/overview'
    with contextlib.suppress(OSError), urllib.request.urlopen(url) as answer:
      return json.load(answer)['slots-total'] == count
    return False

  runtime = 'org.apache.flink.runtime'
  with contextlib.ExitStack() as stack:

    def start(name, main, *arguments, is_ready):
      stack.enter_context(
          _service(directory, name, (*java, main, *arguments), is_ready)
      )

    start(
        'job_manager',
        f'{runtime}.entrypoint.StandaloneSessionClusterEntrypoint',
        '--configDir', str(directory), is_ready=lambda: has_slots(0),
    )
    # One for all slots: a pool takes the workers of two task managers for the
    # same one, and stops the one of both that is still at work.
    start(
        'task_manager', f'{runtime}.taskexecutor.TaskManagerRunner',
        '--configDir', str(directory), is_ready=lambda: has_slots(_TASK_SLOTS),
    )
    start(
        'job_server', 'org.apache.beam.runners.flink.FlinkJobServerDriver',
        f'--job-port={job_port}', f'--artifact-port={artifact_port}',
        '--expansion-port=0', f'--artifacts-dir={directory / "artifacts"}',
        f'--flink-master=localhost:{rest_port}', is_ready=_listens(job_port),
    )
    pool = stack.enter_context(_worker_pool(directory))
    yield [
        '--runner=PortableRunner',
        f'--job_endpoint=localhost:{job_port}',
        f'--artifact_endpoint=localhost:{artifact_port}',
        f'--parallelism={_TASK_SLOTS}',
        f'--sdk_worker_parallelism={_TASK_SLOTS}',
        *pool,
    ]


ENGINES = {engine.__name__: engine for engine in (portable, flink, dask)}


def main() -> int:
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--logs', help='where to keep the logs of all processes')
  parser.add_argument('engine', choices=ENGINES)
  parser.add_argument('command', nargs=argparse.REMAINDER)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as temporary:
    directory = pathlib.Path(arguments.logs or temporary).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    try:
      with ENGINES[arguments.engine](directory) as flags:
        return subprocess.run(
            [*arguments.command, *flags], check=False
        ).returncode
    except NotAvailableError as error:
      print(error, file=sys.stderr)
      return NOT_AVAILABLE


if __name__ == '__main__':
  sys.exit(main())
