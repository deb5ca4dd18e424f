"""Which checkpoints of a log to read: 'latest', 'all' or numbers."""

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
