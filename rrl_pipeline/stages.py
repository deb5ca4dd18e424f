"""A stage of a run: when it runs, when it is skipped, and when it is refused.

A stage is a function of the settings that it declares and of the outputs of
the stages that it needs. `DONE.json` is written last and says what these were:

* the same: the stage is done, and is not run again;
* others: its outputs no longer belong to them, and it is refused by naming
  the difference (a stage that is `cheap` is run again instead);
* no DONE.json: the stage runs, and resumes by itself what it left unfinished.

`attempts.json`, written first, holds the same for a stage that is unfinished,
so that work begun with other settings or inputs is not resumed.
"""

import dataclasses
import datetime
import pathlib
from typing import Any, Callable, Mapping, Optional, Sequence

from rrl_pipeline import attempts
from rrl_pipeline import machine
from rrl_pipeline import run_directory
from rrl_pipeline import settings


class StaleStageError(Exception):
  """A stage was done, or begun, with other settings or inputs."""


class MissingInputError(Exception):
  """A stage that this one needs is not done."""


@dataclasses.dataclass(frozen=True)
class Result:
  """What a stage leaves behind, as DONE.json records it.

  It must be the same however often the stage is run from the same settings and
  inputs, for it decides whether later stages still fit. Only measured times
  may differ, and their names end in '_seconds'.

  Attributes:
    outputs: path or hash by name. A path in the run directory is relative to
      it, so that the directory may be moved.
    counts: number by name, or such a mapping by name.
  """

  outputs: Mapping[str, str] = dataclasses.field(default_factory=dict)
  counts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class _DeclaredSettings:
  """Shows a stage only the settings that its fingerprint covers."""

  def __init__(self, config: Any, stage: str, reads: Sequence[str]):
    self._config = config
    self._stage = stage
    self._reads = reads

  def __getattr__(self, name: str) -> Any:
    if name not in self._reads:
      raise AttributeError(
          f'stage {self._stage!r} reads the settings {name!r} but declares only'
          f' {self._reads}; add it to its reads'
      )
    return getattr(self._config, name)


@dataclasses.dataclass(frozen=True)
class Context:
  """What a stage is given.

  Attributes:
    config: the settings of the run; only the declared groups can be read.
    run: the run directory.
    directory: the stage's own directory in it; it exists.
    inputs: DONE.json of each stage that this one needs, by name.
  """

  config: Any
  run: run_directory.RunDirectory
  directory: pathlib.Path
  inputs: Mapping[str, Mapping[str, Any]]

  def input_path(self, stage: str, output: str) -> pathlib.Path:
    """Returns the path that `stage` gave as its `output`."""
    return self.run.root / self.inputs[stage]['outputs'][output]

  def relative(self, path: pathlib.Path) -> str:
    """Returns a path as `Result.outputs` wants it."""
    path, root = path.resolve(), self.run.root.resolve()
    if path.is_relative_to(root):
      return path.relative_to(root).as_posix()
    return str(path)


@dataclasses.dataclass(frozen=True)
class Stage:
  """One stage of the pipeline.

  Attributes:
    name: of the stage and of its directory.
    summary: what it does, in one line.
    needs: the stages whose outputs it reads.
    reads: the fields of the configuration that it reads.
    run: does the work, and resumes it if it finds some of it done.
    cost: says in one line, before it runs, what it will take.
    cheap: it is run again, instead of refused, when its settings or inputs
      have changed.
  """

  name: str
  summary: str
  needs: tuple[str, ...]
  reads: tuple[str, ...]
  run: Callable[[Context], Result]
  cost: Callable[[Context], str]
  cheap: bool = False


def open_context(
    stage: Stage, config: Any, run: run_directory.RunDirectory
) -> Context:
  """What a stage works from, for a program that does a part of its work.

  Raises:
    MissingInputError: a stage that it needs is not done.
    StaleStageError: a stage that it needs was done from other inputs.
  """
  inputs = {
      name: _read_input(stage.name, name, run) for name in stage.needs
  }
  directory = run.stage(stage.name)
  directory.mkdir(parents=True, exist_ok=True)
  return Context(
      config=_DeclaredSettings(config, stage.name, stage.reads),
      run=run,
      directory=directory,
      inputs=inputs,
  )


def run_stage(
    stage: Stage,
    config: Any,
    run: run_directory.RunDirectory,
    say: Callable[[str], None] = print,
) -> Mapping[str, Any]:
  """Runs a stage unless it is done.

  The caller holds the lock of the run directory.

  Args:
    stage: what to run.
    config: frozen dataclass of the run's settings.
    run: where; the stage gets its own directory in it.
    say: takes the lines that tell the user what happens.

  Returns:
    The stage's DONE.json.

  Raises:
    MissingInputError: a stage that it needs is not done.
    StaleStageError: it, or a stage that it needs, was done or begun with other
      settings or inputs.
  """
  context = open_context(stage, config, run)
  basis = _basis(stage, config, context.inputs)
  done = run.read_done(stage.name)
  begun = attempts.read_basis(run.attempts(stage.name))
  for earlier, verb in ((done, 'done'), (begun, 'begun')):
    if earlier and earlier['fingerprint'] != basis['fingerprint']:
      if not stage.cheap:
        raise StaleStageError(_stale(stage.name, run, verb, earlier, basis))
      run.done(stage.name).unlink(missing_ok=True)
      run.attempts(stage.name).unlink(missing_ok=True)
      done = None
  if done:
    say(f'[{stage.name}] already done ({done["finished"]})')
    return done

  say(f'[{stage.name}] {stage.cost(context)}')
  with attempts.clock(run.attempts(stage.name), basis) as clock:
    result = stage.run(context)
    total = clock.total()
  done = {
      **basis,
      'stage': stage.name,
      'outputs': dict(result.outputs),
      'counts': dict(result.counts),
      **dataclasses.asdict(total),
      'finished': datetime.datetime.now().astimezone().isoformat(
          timespec='seconds'
      ),
      'machine': machine.describe(),
  }
  run_directory.write_json(run.done(stage.name), done)
  say(f'[{stage.name}] done in {total.wall_seconds:.0f} s')
  return done


def _basis(
    stage: Stage, config: Any, inputs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
  """Returns what the stage works from, and its fingerprint."""
  names = settings.field_types(type(config))
  for part in stage.reads:
    if part not in names:
      raise ValueError(
          f'stage {stage.name!r} reads {part!r}, which is no field of'
          f' {type(config).__name__}'
      )
  basis = {
      'settings': {
          name: value
          for name, value in settings.flatten(config).items()
          if name.partition('.')[0] in stage.reads
      },
      'inputs': {name: _result_print(done) for name, done in inputs.items()},
  }
  return basis | {'fingerprint': settings.fingerprint(basis)}


def _result_print(done: Mapping[str, Any]) -> str:
  """Returns a fingerprint of what a stage worked from and what came out."""
  return settings.fingerprint(
      [
          done['fingerprint'],
          done['outputs'],
          _without_measured_times(done['counts']),
      ]
  )


def _without_measured_times(counts: Mapping[str, Any]) -> dict[str, Any]:
  return {
      name: _without_measured_times(value) if isinstance(value, dict) else value
      for name, value in counts.items()
      if not name.endswith('_seconds')
  }


def _read_input(
    reader: str, name: str, run: run_directory.RunDirectory
) -> Mapping[str, Any]:
  """Returns DONE.json of a needed stage, whose own inputs must still fit."""
  done = run.read_done(name)
  if done is None:
    raise MissingInputError(
        f'stage {reader!r} needs stage {name!r}, which is not done in'
        f' {run.root}; run --stage={name},{reader}'
    )
  for source, fingerprint in done['inputs'].items():
    if _result_print(_read_input(name, source, run)) != fingerprint:
      raise StaleStageError(_remade_input(name, run, 'done', [source]))
  return done


def _stale(
    name: str,
    run: run_directory.RunDirectory,
    verb: str,
    earlier: Mapping[str, Any],
    basis: Mapping[str, Any],
) -> str:
  differences = settings.describe_differences(
      earlier['settings'], basis['settings']
  )
  if differences:
    return (
        f'stage {name!r} in {run.root} was {verb} with other settings:'
        f' {differences}; use another --run_dir, or remove {run.stage(name)} to'
        ' do the stage again'
    )
  return _remade_input(
      name,
      run,
      verb,
      [
          source
          for source in earlier['inputs'] | basis['inputs']
          if earlier['inputs'].get(source) != basis['inputs'].get(source)
      ],
  )


def _remade_input(
    name: str,
    run: run_directory.RunDirectory,
    verb: str,
    sources: Sequence[str],
) -> str:
  return (
      f'stage {name!r} in {run.root} was {verb} from other results of'
      f' {", ".join(sources)} than are there now; remove {run.stage(name)} to'
      ' do it again'
  )
