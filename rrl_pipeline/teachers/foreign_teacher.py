"""A teacher that another project trained, as it was found in its files."""

import dataclasses
import hashlib
import os
import pathlib
import re
from typing import Any, Optional

from rrl_pipeline.teachers import foreign_network

_SENTINEL = 'sentinel_checkpoint_complete.'
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Question:
  """What the user wants of a file.

  Attributes:
    path: of the file, or of the folder that it is in.
    num_actions: of the game.
    algorithm: that the network belongs to; None to tell it by the weights.
    v_max: C51's atoms are spread evenly over [-v_max, v_max], where the file
      does not hold them.
  """

  path: pathlib.Path
  num_actions: int
  algorithm: Optional[str] = None
  v_max: float = 10.0

  def __post_init__(self):
    if self.algorithm not in (None, *foreign_network.ALGORITHMS):
      raise ValueError(
          f'algorithm must be one of {foreign_network.ALGORITHMS}, got'
          f' {self.algorithm!r}.'
      )
    if self.v_max <= 0:
      raise ValueError(f'v_max must be positive, got {self.v_max}.')


@dataclasses.dataclass(frozen=True)
class ForeignTeacher:
  """What was found.

  Attributes:
    format: of the files.
    files: that it was read from.
    network: that was found in them.
    actor_steps: agent steps for which it was trained; None if no file says.
    findings: what it was recognised as and why, a sentence each.
  """

  format: str
  files: tuple[pathlib.Path, ...]
  network: foreign_network.ForeignNetwork
  actor_steps: Optional[int]
  findings: tuple[str, ...]

  def lineage(self) -> dict[str, Any]:
    """What a bundle's lineage says of where its weights are from."""
    return {
        'format': self.format,
        'files': [
            {
                'name': path.name,
                'bytes': path.stat().st_size,
                'sha256': sha256(path),
            }
            for path in self.files
        ],
        'findings': list(self.findings),
    }


def sha256(path: str | os.PathLike) -> str:
  """Of the contents of a file, as hexadecimal digits."""
  digest = hashlib.sha256()
  with open(path, 'rb') as file:
    while chunk := file.read(_CHUNK_BYTES):
      digest.update(chunk)
  return digest.hexdigest()


def numbers(path: pathlib.Path, name: re.Pattern[str]) -> list[int]:
  """Numbers of an agent's checkpoints of Dopamine, ascending.

  Args:
    path: of a folder.
    name: of their files; its group 'number' is the number.
  """
  matches = (name.fullmatch(file.name) for file in _folder(path).iterdir())
  return sorted({int(match['number']) for match in matches if match})


def newest_checkpoint(
    path: pathlib.Path, name: re.Pattern[str], expected: str
) -> tuple[pathlib.Path, int, str]:
  """The newest checkpoint of Dopamine that its sentinel says is complete.

  Args:
    path: of a folder.
    name: as for `numbers`.
    expected: what such files are called in a message.

  Returns:
    Its folder, its number, and why it was chosen.

  Raises:
    ValueError: if there is none, or none that is complete.
  """
  folder, found = _folder(path), numbers(path, name)
  if not found:
    raise ValueError(f'{folder} holds no {expected} of Dopamine.')
  complete = [n for n in found if (folder / f'{_SENTINEL}{n}').exists()]
  if not complete:
    raise ValueError(
        f'No checkpoint in {folder} is complete: Dopamine writes'
        f' {_SENTINEL}N last, and there is none for {found}. Give the file'
        ' itself if you want it nevertheless.'
    )
  number = complete[-1]
  finding = f'checkpoint {number}, the newest complete one in its folder'
  return folder, number, finding


def _folder(path: pathlib.Path) -> pathlib.Path:
  """The folder of Dopamine's checkpoints: this one, or that of an agent."""
  inner = path / 'checkpoints'
  return inner if inner.is_dir() else path
