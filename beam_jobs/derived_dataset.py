"""Makes a TFDS dataset from another one: annotated, filtered, stored otherwise.

What a job has to say is which episodes go into which shard, and a transform
from units to shards; the rest is here, by the protocol of the conversion: a
work folder with a lock, a manifest for each finished unit, one progress bar, a
check of every shard against the source, and the folder's final name last.
"""

import os
import shutil
from typing import Any, Callable, Mapping, Sequence

import apache_beam as beam

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import derivation
from rrl_pipeline.beam_jobs import derivation_check
from rrl_pipeline.beam_jobs import derivation_publication
from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import work_directory


def derive(
    source: source_dataset.SourceDataset,
    target: derivation.Target,
    make_plan: Callable[[str], derivation.Plan],
    make_transform: Callable[[derived_units.DerivedJob], beam.PTransform],
    pipeline_args: Sequence[str],
) -> derivation.Summary:
  """Makes a dataset, or goes on with it, or returns at once if it is there.

  Args:
    source: what it is made from.
    target: what it shall be.
    make_plan: divides the source; is given a fingerprint of source and options.
    make_transform: from units to their indices and numbers of episodes.
    pipeline_args: flags of Beam.

  Raises:
    source_dataset.SourceError: if the source is damaged.
    work_directory.OtherJobError: if the output was made with other options.
    work_directory.BusyError: if another process writes to the same output.
    finalize.ReconciliationError: if the output does not add up.
    execution.BeamJobError: if the Beam job failed.
  """
  runner_args = execution.runner_args(pipeline_args)
  version_dir = target.version_dir
  if os.path.realpath(version_dir) == os.path.realpath(source.path):
    raise ValueError(
        f'{version_dir} is the source itself: choose another --version or '
        '--data_dir'
    )
  sources = source.fingerprint()
  summary = derivation_publication.find_finished(version_dir, target, sources)
  if summary is not None:
    return summary
  work = work_directory.WorkDirectory.beside(version_dir)
  with work.locked():
    # Another process may have finished between the look and the lock.
    summary = derivation_publication.find_finished(version_dir, target, sources)
    if summary is None:
      plan = _plan(work, make_plan, target, sources)
      if work.begin(target.options, sources):
        execution.say(
            f'{source.path} has changed since {work.root} was begun: starting '
            'anew'
        )
      for warning in (*plan.losses, *plan.warnings):
        execution.say(f'warning: {warning}')
      job = derived_units.DerivedJob(
          source.path, source.file_format, target.file_format, work.root
      )
      _run(job, plan, target.job, make_transform(job), runner_args)
      manifests = derivation_check.check_units(job, plan.units, plan.check)
      summary = derivation_publication.publish(
          source, target, plan, work, sources, manifests
      )
    shutil.rmtree(work.root)
  return summary


def _plan(
    work: work_directory.WorkDirectory,
    make_plan: Callable[[str], derivation.Plan],
    target: derivation.Target,
    sources: Mapping[str, Any],
) -> derivation.Plan:
  """Makes the plan; if that fails, leaves no folder that nothing was done in.

  It would stand in the way of other options.
  """
  try:
    return make_plan(conversion_plan.fingerprint(target.options, sources))
  except ValueError:
    if os.listdir(work.root) == ['lock']:
      shutil.rmtree(work.root)
    raise


def _run(
    job: derived_units.DerivedJob,
    plan: derivation.Plan,
    name: str,
    transform: beam.PTransform,
    runner_args: Sequence[str],
) -> None:
  """Runs the Beam job over the units that are not done."""
  work, units = job.work, plan.units
  to_do = [u for u in units if not work.finished(u.index, u.fingerprint)]
  if not to_do:
    return
  steps = sum(unit.num_steps for unit in to_do)
  share = steps / sum(unit.num_steps for unit in units)
  free = shutil.disk_usage(job.work_dir).free
  execution.say(
      f'{len(to_do)} of {len(units)} shards to write: {steps} steps from '
      f'{sum(unit.num_bytes for unit in to_do) / 1e6:.1f} MB of records, about '
      f'{plan.write_bytes * share / 1e6:.1f} MB of output '
      f'({free / 1e9:.1f} GB free), about {plan.seconds * share:.0f} s of one '
      'worker'
  )
  if plan.write_bytes * share > free:
    raise OSError(
        f'{job.work_dir} has {free / 1e6:.0f} MB free; the dataset will take '
        f'about {plan.write_bytes * share / 1e6:.0f} MB: make room or choose '
        'another --data_dir'
    )
  with execution.progress_bar(work, units, to_do, name, 'steps'):
    # Some engines would otherwise give all units to one worker.
    execution.run_pipeline(to_do, beam.Reshuffle() | transform, runner_args)
  errors = work.errors(len(units))
  if errors:
    raise source_dataset.SourceError('\n'.join(dict.fromkeys(errors)))
