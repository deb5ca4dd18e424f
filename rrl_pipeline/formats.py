"""Numbers as people read them."""

from typing import Optional

_MINUS = '\N{MINUS SIGN}'
_NOT_RECORDED = 'not recorded'


def score(value: float) -> str:
  """A teacher-normalised score: two decimals."""
  return _signed(f'{value:.2f}')


def points(value: float) -> str:
  """A return: one decimal, and groups of three digits."""
  return _signed(f'{value:,.1f}')


def episode_return(value: float) -> str:
  """The return of one episode: whole points, as most games have, look whole."""
  return _signed(f'{value:,.0f}') if value == round(value) else points(value)


def count(value: Optional[float]) -> str:
  """A whole number with groups of three digits."""
  return _NOT_RECORDED if value is None else _signed(f'{round(value):,}')


def seconds(value: Optional[float]) -> str:
  """A time in the unit that suits it."""
  if value is None:
    return _NOT_RECORDED
  if value < 100:
    return f'{value:.0f} s'
  if value < 100 * 60:
    return f'{value / 60:.0f} min'
  return f'{value / 3600:.1f} h'


def size(value: Optional[float]) -> str:
  """Bytes in decimal units."""
  if value is None:
    return _NOT_RECORDED
  for unit, factor in (('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
    if value >= factor:
      return f'{value / factor:.1f} {unit}'
  return f'{value:.0f} bytes'


def plural(number: int, noun: str) -> str:
  """'1 run', '2 runs'."""
  return f'{count(number)} {noun}' + ('' if number == 1 else 's')


def _signed(text: str) -> str:
  # A score of -0.001 shall not read as "minus nothing".
  if text.startswith('-') and not text.strip('-0.,'):
    text = text[1:]
  return text.replace('-', _MINUS)
