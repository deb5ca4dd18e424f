"""Checkpoints that are whole or not there, restored in full or not at all.

    checkpoints/STEP/variables.npz   the variables by name
    checkpoints/STEP/arrays.npz      what else goes with them
    checkpoints/STEP/state.json      counters
    checkpoints/STEP/checksums.json  of these files, and of those elsewhere that
                                     the checkpoint needs; written last

The folder is written under another name and renamed, so one that bears a number
is complete. The two latest are kept: should the newest be damaged later, the
one before it is gone on from. Nothing in these files is ever unpickled, so none
can bring code with it.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import sys
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rrl_pipeline import formats
from rrl_pipeline import run_directory
from rrl_pipeline.training import array_file

_VARIABLES, _ARRAYS = 'variables.npz', 'arrays.npz'
_STATE, _CHECKSUMS = 'state.json', 'checksums.json'
_OWN = (_VARIABLES, _ARRAYS, _STATE)
# Two that are kept, and the one that is being written.
_MOST_AT_ONCE = 3
_MOST_NAMED = 3


class Checkpoint(NamedTuple):
  """What a checkpoint holds beside the variables.

  Attributes:
    step: of which it is.
    state: counters, as JSON values.
    arrays: by name.
  """

  step: int
  state: dict[str, Any]
  arrays: dict[str, np.ndarray]


class _DamagedError(Exception):
  """A checkpoint is not what was written."""


class Checkpointer:
  """Saves and restores variables, with a JSON state and arrays beside them."""

  def __init__(
      self, directory: str | os.PathLike, trackables: Mapping[str, Any]
  ):
    """Makes a checkpointer.

    Args:
      directory: of the checkpoints; made when the first one is saved.
      trackables: what has variables, by name: models, optimisers, modules and
        variables. All variables must be there already.
    """
    self._directory = pathlib.Path(directory)
    self._incomplete = self._directory / 'incomplete'
    self._variables = _named_variables(trackables)
    # Steps of those that are kept, and the checksums of the last of them.
    self._kept: list[int] = []
    self._checksums: dict[str, Any] = {}

  @property
  def variable_bytes(self) -> int:
    """The size of a checkpoint without its arrays."""
    return sum(_num_bytes(variable) for variable in self._variables.values())

  def save(
      self,
      step: int,
      state: Mapping[str, Any],
      arrays: Optional[Mapping[str, np.ndarray]] = None,
      files: Sequence[pathlib.Path] = (),
  ) -> None:
    """Saves the variables and what goes with them as of `step`.

    Args:
      step: names the checkpoint; a run that got further saves a higher one.
      state: JSON values.
      arrays: by name.
      files: further ones that this checkpoint needs, which never change. They
        are removed when no checkpoint that is kept needs them any more.

    Raises:
      OSError: it could not be written, as when the disk is full. The newest
        complete checkpoint is as it was.
    """
    with self.explained(step):
      self._write(state, arrays or {}, files)
      target = self._folder(step)
      shutil.rmtree(target, ignore_errors=True)
      os.replace(self._incomplete, target)
    run_directory.flush_directory(self._directory)
    self._kept = [kept for kept in self._kept if kept != step][-1:] + [step]
    self._remove_others()

  @contextlib.contextmanager
  def explained(self, step: int) -> Iterator[None]:
    """Makes errors of its block say what becomes of the checkpoint of `step`.

    The block may write files that this checkpoint needs.
    """
    try:
      yield
    except OSError as error:
      # Room for whoever wants to say something.
      shutil.rmtree(self._incomplete, ignore_errors=True)
      remains = 'There is no earlier one'
      if self._kept:
        remains = f'That of step {self._kept[-1]} is as it was'
      raise OSError(
          error.errno or errno.EIO,
          f'The checkpoint of step {step} could not be written. {remains}.'
          f' {error.strerror or error}',
          error.filename or os.fspath(self._directory),
      ) from error

  def restore(self, may_fall_back: bool = True) -> Optional[Checkpoint]:
    """Restores the newest checkpoint that is as it was written.

    A damaged one is passed over, and a warning says so.

    Args:
      may_fall_back: False if none but the newest will do.

    Returns:
      What it holds beside the variables; None if there is no checkpoint.

    Raises:
      ValueError: if none can be used, or if it does not hold exactly the
        variables asked for.
    """
    damages = []
    for step in reversed(self._steps()):
      try:
        self._checksums = self._verify(self._folder(step))
      except _DamagedError as damage:
        damages.append(f'{self._folder(step)}: {damage}')
        if may_fall_back:
          continue
        break
      if damages:
        print(
            f'warning: damaged checkpoint {"; ".join(damages)}. Going on from'
            f' the one before it, of step {step}.',
            file=sys.stderr,
        )
      self._kept = [step]
      return self._load(step)
    if damages:
      raise ValueError(
          f'No checkpoint can be gone on from: {"; ".join(damages)}. Put the'
          f' files back, or remove {self._directory.parent} to start afresh.'
      )
    return None

  def describe_space(self, name: str, other_bytes: int = 0) -> str:
    """Says what checkpoints will take, before the first one is written.

    Args:
      name: whose checkpoints they are.
      other_bytes: of all files elsewhere that one will need, at most.

    Raises:
      ValueError: if there is not enough space for the checkpoints alone.
    """
    folder = self._directory
    while not folder.exists():
      folder = folder.parent
    free = shutil.disk_usage(folder).free
    needed = _MOST_AT_ONCE * self.variable_bytes
    if free < needed:
      raise ValueError(
          f'The checkpoints of {name} need {formats.size(needed)} in {folder},'
          f' which has {formats.size(free)} left. Make room, or choose another'
          ' --run_dir.'
      )
    text = f'{name}: a checkpoint takes {formats.size(self.variable_bytes)}'
    if other_bytes:
      text += (
          f', and the replay up to {formats.size(other_bytes)} before'
          ' compression'
      )
    text += f'; {formats.size(free)} are free in {folder}'
    if free < needed + other_bytes:
      text += ', which may be too little'
    return text

  def _write(
      self,
      state: Mapping[str, Any],
      arrays: Mapping[str, np.ndarray],
      files: Sequence[pathlib.Path],
  ) -> None:
    folder = self._incomplete
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    array_file.write(
        folder / _VARIABLES, {n: v.numpy() for n, v in self._variables.items()}
    )
    array_file.write(folder / _ARRAYS, arrays)
    run_directory.write_bytes(
        folder / _STATE, json.dumps(state, sort_keys=True).encode()
    )
    known, self._checksums = self._checksums, {}
    for name in _OWN:
      self._checksums[name] = _checksum(folder / name)
    for path in files:
      name = os.path.relpath(path, folder)
      # They are large, and each is read for this but once.
      self._checksums[name] = known.get(name) or _checksum(path)
    run_directory.write_json(folder / _CHECKSUMS, self._checksums)

  def _verify(self, folder: pathlib.Path) -> dict[str, Any]:
    """Returns the checksums of a checkpoint that is as it was written."""
    try:
      checksums = run_directory.read_json(folder / _CHECKSUMS)
      for name in sorted({*_OWN, *checksums}):
        path, expected = folder / name, checksums[name]
        size = path.stat().st_size
        if size != expected['bytes']:
          raise _DamagedError(
              f'{name} has {size} bytes instead of {expected["bytes"]}'
          )
        if _checksum(path) != expected:
          raise _DamagedError(f'{name} holds other bytes than were written')
    except FileNotFoundError as error:
      name = os.path.relpath(error.filename, folder)
      raise _DamagedError(f'{name} is missing') from error
    except OSError as error:
      raise _DamagedError(f'{error.filename}: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
      raise _DamagedError(f'{_CHECKSUMS} cannot be read') from error
    return checksums

  def _load(self, step: int) -> Checkpoint:
    folder = self._folder(step)
    values = array_file.read(folder / _VARIABLES)
    self._check_fits(folder, values)
    for name, variable in self._variables.items():
      variable.assign(values[name])
    return Checkpoint(
        step,
        json.loads((folder / _STATE).read_text()),
        array_file.read(folder / _ARRAYS),
    )

  def _check_fits(
      self, folder: pathlib.Path, values: Mapping[str, np.ndarray]
  ) -> None:
    found = {n: (v.dtype.name, v.shape) for n, v in values.items()}
    expected = {
        n: (v.dtype.name, tuple(v.shape)) for n, v in self._variables.items()
    }
    if found == expected:
      return
    differences = [
        f'{name} is {_describe(found.get(name))}, and here'
        f' {_describe(expected.get(name))}'
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    ]
    more = len(differences) - _MOST_NAMED
    raise ValueError(
        f'The checkpoint {folder} does not fit this agent: in it'
        f' {"; ".join(differences[:_MOST_NAMED])}'
        f'{f"; and {more} more" if more > 0 else ""}. Was it written with'
        ' another network or optimiser? Remove it to start afresh.'
    )

  def _remove_others(self) -> None:
    """Removes all that are not kept, and the files that only they need."""
    needed = set()
    for step in self._kept:
      needed |= self._needed_elsewhere(step)
    for step in set(self._steps()) - set(self._kept):
      # The folder goes last, as it says which files there are.
      for path in self._needed_elsewhere(step) - needed:
        path.unlink(missing_ok=True)
      shutil.rmtree(self._folder(step))

  def _needed_elsewhere(self, step: int) -> set[pathlib.Path]:
    folder = self._folder(step)
    try:
      names = run_directory.read_json(folder / _CHECKSUMS)
    except (FileNotFoundError, ValueError):
      return set()  # It is damaged, and those before it know the files.
    return {
        (folder / name).resolve() for name in names if os.path.dirname(name)
    }

  def _folder(self, step: int) -> pathlib.Path:
    return self._directory / str(step)

  def _steps(self) -> list[int]:
    if not self._directory.exists():
      return []
    return sorted(
        int(path.name)
        for path in self._directory.iterdir()
        if path.name.isdigit()
    )


def _named_variables(trackables: Mapping[str, Any]) -> dict[str, Any]:
  named = {}
  for part, trackable in trackables.items():
    if not hasattr(trackable, 'variables'):
      named[part] = trackable  # A variable itself.
      continue
    variables = trackable.variables
    if callable(variables):  # A method of older optimisers.
      variables = variables()
    for variable in variables:
      name = f'{part}/{variable.name.removesuffix(":0")}'
      if name in named:
        raise ValueError(f'Two variables are called {name}; name their layers.')
      named[name] = variable
  return named


def _num_bytes(variable: Any) -> int:
  return variable.dtype.size * int(np.prod(variable.shape))


def _describe(kind: Optional[tuple[str, tuple[int, ...]]]) -> str:
  return 'absent' if kind is None else f'{kind[0]} {list(kind[1])}'


def _checksum(path: pathlib.Path) -> dict[str, Any]:
  with open(path, 'rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
    return {'bytes': file.tell(), 'sha256': digest}
