"""Reads logs in the layout of the DQN Replay Dataset as episodes.

Agarwal et al., "An Optimistic Perspective on Offline Reinforcement Learning"
(https://arxiv.org/abs/1907.04543), kept everything that an agent experienced:
their logger (`batch_rl/baselines/replay_memory/logged_replay_buffer.py`) saves
Dopamine's ring buffer once per lap, with the files of a checkpoint of Dopamine.
Each file is thus a state of the ring, and this module works out at which count
of entries it was saved; `ring_reader` does the rest. With a capacity of C:

* The ring is saved when its count is C - 1 modulo C, so slot C - 1 still holds
  the last entry of the lap before; in the first file it was never written. As
  states of a ring, the files join without overlap and without a gap.
* The count is looked at after steps only, not after padding. If it passes C - 1
  within padding, no file is written for that lap, and the next file has the
  next number all the same. The counts tell which laps are missing.
* At the end of a run the ring is saved once more, and the count in that last
  file is only the cursor, the count modulo C.
* Every end of an episode is stored as terminal, a time limit too.
"""

import dataclasses
import functools
from typing import Sequence

import numpy as np

from rrl_pipeline.logs import checkpoint_choice
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_files as files
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import ring_reader


class DqnReplayReader(ring_reader.RingReader):
  """Reads the laps of a run: 'latest' is the last state of its ring."""

  def __init__(self, config: dopamine.DopamineLogConfig):
    super().__init__(
        functools.partial(_select, config),
        config.stack_size,
        config.time_limit_steps,
    )


def is_lap(checkpoint: files.Checkpoint) -> bool:
  """Whether a file was saved at the end of a lap, by its count."""
  return checkpoint.add_count % checkpoint.capacity == checkpoint.capacity - 1


def _select(config: dopamine.DopamineLogConfig) -> ring_reader.Selection:
  """Opens the files to read and gives each the true count of its entries."""
  listing = files.list_checkpoints(config.directory)
  present = tuple(listing.elements)
  numbers = checkpoint_choice.choose(
      config.checkpoints, present, config.directory
  )
  newest = present[-1]
  laps = []
  for number in numbers:
    checkpoint = _open(config.directory, number, listing)
    if number != newest or not _is_final(checkpoint):
      _check_lap(checkpoint, newest)
      laps.append(checkpoint)
  _check_order(laps)
  checkpoints = tuple(laps)
  warnings = _missing_files(config, present) + _missing_laps(laps)
  if len(laps) < len(numbers):
    final, final_warnings = _open_final(config.directory, listing)
    checkpoints += (final,)
    warnings += final_warnings
  return ring_reader.Selection(
      checkpoints=checkpoints,
      ends_marked=True,
      warnings=warnings,
      losses=files.left_out_elements(listing, numbers),
  )


def _open(
    directory: str, number: int, listing: files.Listing
) -> files.Checkpoint:
  return files.open_checkpoint(directory, number, listing.elements[number])


def _is_final(checkpoint: files.Checkpoint) -> bool:
  """Whether the newest file was saved at the end of the run, not of a lap.

  The first lap alone is counted as the cursor would be.
  """
  return checkpoint.add_count < checkpoint.capacity and not (
      checkpoint.number == 0 and is_lap(checkpoint)
  )


def _check_lap(checkpoint: files.Checkpoint, newest: int) -> None:
  """Raises LogError unless a file holds a full lap."""
  where = f'file {checkpoint.number} of {checkpoint.directory}'
  count = f'counts {checkpoint.add_count} entries'
  capacity = checkpoint.capacity
  if not is_lap(checkpoint):
    raise reader.LogError(
        f'{where} {count}; expected one less than a multiple of its '
        f'{capacity} slots, or fewer than those in the last file ({newest}). '
        'If these are checkpoints of a ring buffer, say --log_format=dopamine'
    )
  if checkpoint.add_count // capacity < checkpoint.number:
    raise reader.LogError(
        f'{where} {count}, which is lap {checkpoint.add_count // capacity}; '
        f'expected lap {checkpoint.number} or a later one: was it renamed?'
    )


def _check_order(laps: Sequence[files.Checkpoint]) -> None:
  for earlier, later in zip(laps, laps[1:]):
    if later.add_count <= earlier.add_count:
      raise reader.LogError(
          f'files {earlier.number} and {later.number} of {later.directory} '
          f'count {earlier.add_count} and {later.add_count} entries; expected '
          'a later lap in the later file: they are not of one run'
      )


def _missing_files(
    config: dopamine.DopamineLogConfig, present: Sequence[int]
) -> tuple[str, ...]:
  """Says which files are not there, if all were asked for."""
  missing = sorted(set(range(present[-1])) - set(present))
  if config.checkpoints != checkpoint_choice.ALL or not missing:
    return ()
  return (
      f'{config.directory} has no files of the numbers {_ranges(missing)}',
  )


def _missing_laps(laps: Sequence[files.Checkpoint]) -> tuple[str, ...]:
  """Says how many laps the logger passed over, by the files that are read."""
  warnings = []
  last_number, last_lap = -1, -1
  for checkpoint in laps:
    lap = checkpoint.add_count // checkpoint.capacity
    passed_over = (lap - last_lap) - (checkpoint.number - last_number)
    if passed_over > 0:
      warnings.append(
          f'{passed_over} of the laps {_ranges(range(last_lap + 1, lap))} were '
          'never saved (the logger passes over a lap that ends in padding): '
          'episodes are cut there'
      )
    last_number, last_lap = checkpoint.number, lap
  return tuple(warnings)


def _ranges(numbers: Sequence[int]) -> str:
  """(1, 2, 3, 7) → '1-3, 7'."""
  runs = []
  for number in numbers:
    if runs and runs[-1][1] == number - 1:
      runs[-1][1] = number
    else:
      runs.append([number, number])
  return ', '.join(str(a) if a == b else f'{a}-{b}' for a, b in runs)


def _open_final(
    directory: str, listing: files.Listing
) -> tuple[files.Checkpoint, tuple[str, ...]]:
  """Opens the file of the end of the run, with its true count.

  The file says only where the cursor was. Behind the cursor it still holds the
  lap before: if that is the lap of the file before, the count follows.

  Returns:
    The file, and warnings.
  """
  *others, number = listing.elements
  final = _open(directory, number, listing)
  before_number, before_lap, follows = -1, -1, number == 0
  if others:
    before = _open(directory, others[-1], listing)
    _check_lap(before, number)
    before_number = before.number
    before_lap = before.add_count // before.capacity
    follows = _hold_the_same(before, final)
  missing_files = number - before_number - 1
  # If the run stopped just as a lap was saved, the last two files are the same.
  repeats = is_lap(final)
  if repeats and not follows and not missing_files:
    raise reader.LogError(
        f'file {number} of {directory} counts {final.add_count} entries, as if '
        f'saved together with file {before_number}, but holds others: they are '
        'not of one run'
    )
  # If it does not follow, files are missing or the logger passed over a lap.
  lap = before_lap + 1 + (0 if follows else max(1, missing_files)) - repeats
  return dataclasses.replace(
      final, add_count=lap * final.capacity + final.add_count
  ), () if follows else (
      f'file {number} of {directory}, saved at the end of the run, does not '
      f'follow on another one: it is taken for lap {lap}, the first that it '
      'can be of',
  )


def _hold_the_same(before: files.Checkpoint, final: files.Checkpoint) -> bool:
  """Whether the last file still holds the end of the lap before it."""
  if before.capacity != final.capacity:
    raise reader.LogError(
        f'files {before.number} and {final.number} of {final.directory} have '
        f'{before.capacity} and {final.capacity} slots: they are not of one run'
    )
  stale = slice(0 if is_lap(final) else final.add_count, final.capacity - 1)
  return all(
      np.array_equal(
          npy_gzip.read_array(before.path(element))[stale],
          npy_gzip.read_array(final.path(element))[stale],
          equal_nan=element == files.REWARD,
      )
      for element in (files.ACTION, files.REWARD, files.TERMINAL)
  )
