"""Proves that derived shards hold what their source held."""

import dataclasses
import hashlib
import os
from typing import Any, Callable, Mapping, Optional, Sequence

from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.rlds import record_files


def check_units(
    job: derived_units.DerivedJob,
    units: Sequence[derived_units.DerivedUnit],
    check: Callable[[bytes, bytes], Optional[str]],
) -> list[dict[str, Any]]:
  """The manifests of all units, after comparing every record with its source.

  Beam's counters are no proof: they count attempts, and a runner was seen to
  report records that it had lost.

  Args:
    job: what the units share.
    units: all of them.
    check: what is wrong with a derived record (its second argument), given the
      record of the source; None if nothing is.

  Raises:
    finalize.ReconciliationError: if anything differs.
  """
  manifests = []
  for unit in units:
    manifest = job.work.finished(unit.index, unit.fingerprint)
    if manifest is None:
      raise finalize.ReconciliationError(
          f'the Beam job ended, but unit {unit.index} ({unit.shard}) was not '
          'written; give the same command again'
      )
    _check_unit(job, unit, manifest, check)
    manifests.append(manifest)
  return manifests


def _check_unit(
    job: derived_units.DerivedJob,
    unit: derived_units.DerivedUnit,
    manifest: Mapping[str, Any],
    check: Callable[[bytes, bytes], Optional[str]],
) -> None:
  path = job.work.shard(unit.shard)
  counts = derived_units.Counts()
  derived = record_files.read(path, job.file_format)
  try:
    for source in derived_units.read_unit(job, unit):
      record = next(derived, None)
      if record is None:
        break
      counts.add(record)
      problem = check(source, record)
      if problem is not None:
        raise finalize.ReconciliationError(
            f'record {counts.episodes - 1} of {path} is not what its source '
            f'gives: {problem}'
        )
    for record in derived:  # More than there should be.
      counts.add(record)
  except record_files.RecordFileError as error:
    raise finalize.ReconciliationError(str(error)) from error
  found = dataclasses.asdict(counts)
  with open(path, 'rb') as file:
    found['sha256'] = hashlib.file_digest(file, 'sha256').hexdigest()
  found['file_bytes'] = os.path.getsize(path)
  for what, expected in (
      ('its manifest says', manifest),
      (
          'the source gives',
          {'episodes': unit.num_episodes, 'steps': unit.num_steps},
      ),
  ):
    differing = [
        f'{name} is {found[name]}, {what} {expected[name]}'
        for name in found
        if name in expected and found[name] != expected[name]
    ]
    if differing:
      raise finalize.ReconciliationError(
          f'{path} is not what was written to it: {", ".join(differing)}'
      )
