"""The folder in which a conversion grows until it is complete.

It lies beside the folder of the finished version, `<version>`:

    .work-<version>/job.json       what is being converted, and how
    .work-<version>/lock           held by the process that converts
    .work-<version>/manifests/     one for each finished unit, written last
    .work-<version>/progress/      steps done so far of the units at work
    .work-<version>/errors/        what stopped a unit
    .work-<version>/duplicates.json   episodes that equal earlier ones
    .work-<version>/dataset/       the shards; becomes `<version>` by renaming

A unit is done if, and only if, its manifest is there, fits the job and names a
shard of the right size. Workers find the folder by its path, so it must be on
storage that all of them see.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import socket
from typing import Any, Iterator, Mapping, Optional

from rrl_pipeline.logs import atomic


class BusyError(RuntimeError):
  """Another process is converting into the same folder."""


class OtherJobError(ValueError):
  """The folder holds the work of a conversion with other options."""


@dataclasses.dataclass(frozen=True)
class WorkDirectory:
  """Paths and contents of a work folder.

  Attributes:
    root: its path.
  """

  root: str

  @classmethod
  def beside(cls, version_dir: str) -> 'WorkDirectory':
    """The work folder of the version that will be at `version_dir`."""
    parent, version = os.path.split(version_dir)
    return cls(os.path.join(parent, f'.work-{version}'))

  @property
  def dataset(self) -> str:
    return os.path.join(self.root, 'dataset')

  def shard(self, name: str) -> str:
    return os.path.join(self.dataset, name)

  def _of_unit(self, kind: str, unit: int) -> str:
    return os.path.join(self.root, kind, f'unit-{unit:05d}.json')

  def manifest(self, unit: int) -> str:
    return self._of_unit('manifests', unit)

  def progress(self, unit: int) -> str:
    return self._of_unit('progress', unit)

  def error(self, unit: int) -> str:
    return self._of_unit('errors', unit)

  @property
  def duplicates(self) -> str:
    return os.path.join(self.root, 'duplicates.json')

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """Holds the folder for this process; the system frees it when it dies.

    Raises:
      BusyError: if another process holds it.
    """
    os.makedirs(self.root, exist_ok=True)
    path = os.path.join(self.root, 'lock')
    with open(path, 'a+', encoding='utf-8') as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError as error:
        file.seek(0)
        raise BusyError(
            f'{self.root} is in use by {file.read().strip()}; wait until it '
            'has finished, or convert to another --data_dir'
        ) from error
      file.truncate(0)
      file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
      file.flush()
      yield

  def begin(
      self, options: Mapping[str, Any], sources: Mapping[str, Any]
  ) -> bool:
    """Makes the folder ready for a job, keeping what an earlier run finished.

    Args:
      options: what decides the contents of the shards besides the log.
      sources: what identifies the log's files.

    Returns:
      Whether work on another version of the log was thrown away.

    Raises:
      OtherJobError: if the folder was begun with other options.
    """
    job = {'options': dict(options), 'sources': dict(sources)}
    path = os.path.join(self.root, 'job.json')
    earlier = read_json(path)
    if earlier is not None:
      check_options(earlier['options'], options, self.root)
    discard = earlier is not None and earlier['sources'] != job['sources']
    if discard:
      shutil.rmtree(self.dataset, ignore_errors=True)
      shutil.rmtree(os.path.join(self.root, 'manifests'), ignore_errors=True)
      with contextlib.suppress(FileNotFoundError):
        os.remove(self.duplicates)
    for kind in ('progress', 'errors'):
      shutil.rmtree(os.path.join(self.root, kind), ignore_errors=True)
    for kind in ('manifests', 'progress', 'errors', 'dataset'):
      directory = os.path.join(self.root, kind)
      os.makedirs(directory, exist_ok=True)
      atomic.remove_temporary_files(directory)
    write_json(path, job)
    return discard

  def finished(self, unit: int, fingerprint: str) -> Optional[dict[str, Any]]:
    """The manifest of a unit, or None if it is not done."""
    manifest = read_json(self.manifest(unit))
    if manifest is None or manifest['fingerprint'] != fingerprint:
      return None
    path = self.shard(manifest['shard'])
    if (
        not os.path.exists(path)
        or os.path.getsize(path) != manifest['file_bytes']
    ):
      return None
    return manifest

  def steps_done(self, num_units: int) -> int:
    """Logged steps that the units at work say they have converted."""
    reports = (read_json(self.progress(unit)) for unit in range(num_units))
    return sum(report['transitions'] for report in reports if report)

  def errors(self, num_units: int) -> list[str]:
    """What stopped units, in their order."""
    reports = (read_json(self.error(unit)) for unit in range(num_units))
    return [report['error'] for report in reports if report]


def check_options(
    earlier: Mapping[str, Any], now: Mapping[str, Any], where: str
) -> None:
  """Raises OtherJobError if options differ, naming them."""
  differing = [
      f'{name} was {earlier.get(name)!r} and is {now.get(name)!r}'
      for name in sorted({*earlier, *now})
      if earlier.get(name) != now.get(name)
  ]
  if differing:
    raise OtherJobError(
        f'{where} was made with other options: {"; ".join(differing)}. Give '
        'the same ones again, convert to another --data_dir or --run, or '
        'delete that folder to start anew'
    )


def write_json(path: str, value: Any) -> None:
  with atomic.replacing(path) as file:
    file.write(json.dumps(value, indent=2, sort_keys=True).encode())


def read_json(path: str) -> Optional[Any]:
  """The value of a JSON file; None if there is no such file."""
  try:
    with open(path, encoding='utf-8') as file:
      return json.load(file)
  except FileNotFoundError:
    return None
