"""Which checkpoints of a log to read: 'latest', 'all' or numbers."""

from typing import Collection, Sequence

from rrl_pipeline.logs import reader

LATEST = 'latest'
ALL = 'all'


def check(checkpoints: str) -> None:
  """Raises ValueError unless `checkpoints` is a choice."""
  if checkpoints not in (LATEST, ALL):
    parse_numbers(checkpoints)


def parse_numbers(checkpoints: str) -> tuple[int, ...]:
  """'0,2' → (0, 2).

  Raises:
    ValueError: if these are no numbers.
  """
  try:
    numbers = tuple(sorted({int(n) for n in checkpoints.split(',')}))
  except ValueError:
    numbers = ()
  if not numbers or numbers[0] < 0:
    raise ValueError(
        f"checkpoints is {checkpoints!r}; expected 'latest', 'all' or numbers "
        "such as '0,2'"
    )
  return numbers


def choose(
    checkpoints: str, present: Sequence[int], directory: str
) -> tuple[int, ...]:
  """The numbers to read.

  Args:
    checkpoints: a choice.
    present: the numbers that there are, ascending, at least one.
    directory: of the log, for the error.

  Raises:
    reader.LogError: if a chosen checkpoint does not exist.
  """
  if checkpoints == LATEST:
    return (present[-1],)
  if checkpoints == ALL:
    return tuple(present)
  numbers = parse_numbers(checkpoints)
  for number in numbers:
    if number not in present:
      raise reader.LogError(
          f'{directory} has no checkpoint {number}; it has '
          f'{", ".join(map(str, present))}'
      )
  return numbers


def choose_complete(
    checkpoints: str,
    present: Sequence[int],
    sentinels: Collection[int],
    directory: str,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
  """The numbers to read of a log in which sentinels mark complete checkpoints.

  Args:
    checkpoints: a choice.
    present: the numbers that there are, ascending, at least one.
    sentinels: the numbers that have a sentinel.
    directory: of the log, for errors and warnings.

  Returns:
    Numbers and warnings.

  Raises:
    reader.LogError: if a chosen checkpoint is not there or not complete.
  """
  if not sentinels:
    return choose(checkpoints, present, directory), (
        f'{directory} has no sentinel files: whether its checkpoints were '
        'written to their end is not known',
    )
  complete = [n for n in present if n in sentinels]
  if checkpoints == LATEST:
    if not complete:
      raise reader.LogError(
          f'{directory} has no complete checkpoint: {_sentinel(present[-1])} '
          'is missing'
      )
    skipped = [n for n in present if n > complete[-1]]
    if not skipped:
      return (complete[-1],), ()
    return (complete[-1],), (
        f'checkpoints {skipped} have no sentinel, so they are incomplete; '
        f'reading {complete[-1]}',
    )
  numbers = choose(checkpoints, present, directory)
  for number in numbers:
    if number not in complete:
      raise reader.LogError(
          f'checkpoint {number} of {directory} was not written to its end: '
          f'{_sentinel(number)} is missing; choose others with '
          f'--checkpoints={",".join(map(str, complete)) or "N"}'
      )
  return numbers, ()


def _sentinel(number: int) -> str:
  """The file that Dopamine writes when a checkpoint is complete."""
  return f'sentinel_checkpoint_complete.{number}'
