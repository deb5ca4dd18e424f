"""How a dataset came about, back to the log, as its metadata tells it.

`build_rlds.py` makes a dataset from a log; other jobs make a dataset from
another one, and keep what the metadata of that one said.
"""

import dataclasses
from typing import Any, Mapping


@dataclasses.dataclass(frozen=True)
class Lineage:
  """What the metadata of a dataset says of its making.

  Attributes:
    derivations: what was said of each job that made a dataset from another one,
      the last one first.
    conversion: what was said of the conversion of the log; empty if nothing.
  """

  derivations: tuple[Mapping[str, Any], ...]
  conversion: Mapping[str, Any]

  @property
  def log_files(self) -> list[tuple[str, Mapping[str, Any]]]:
    """The log's files, each with its checkpoint; empty if not known."""
    sources = self.conversion.get('sources', {})
    return [
        (checkpoint, file)
        for checkpoint in sorted(sources, key=_by_number)
        for file in sources[checkpoint]
    ]


def trace(conversion: Mapping[str, Any]) -> Lineage:
  """The lineage that the metadata of a dataset tells.

  Args:
    conversion: the value 'conversion' of its metadata, empty if there is none.
  """
  derivations = []
  while 'source' in conversion:
    derivations.append(conversion)
    conversion = conversion['source'].get('conversion', {})
  return Lineage(tuple(derivations), conversion)


def _by_number(text: str) -> tuple[int, str]:
  """Sorts numbers by their value, before names."""
  return (int(text), '') if text.isdecimal() else (2**63, text)
