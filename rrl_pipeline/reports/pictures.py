"""The pictures of a report, and the folder in which they lie."""

import dataclasses
import os
import pathlib
from typing import Sequence, Union

from rrl_pipeline import run_directory


@dataclasses.dataclass(frozen=True)
class Picture:
  """A picture of a report.

  Attributes:
    name: of its file, without extension.
    title: heading.
    png: the picture.
    description: what it shows, for those who cannot see it.
    caption: how to read it.
  """

  name: str
  title: str
  png: bytes
  description: str
  caption: str = ''


def write(
    pictures: Sequence[Picture], folder: Union[str, os.PathLike]
) -> None:
  """Makes a folder hold these pictures, NAME.png each, and no other ones.

  Args:
    pictures: each is written whole or not at all.
    folder: created if need be.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  names = {f'{picture.name}.png' for picture in pictures}
  for old in folder.glob('*.png'):
    if old.name not in names:
      old.unlink()
  for picture in pictures:
    run_directory.write_bytes(folder / f'{picture.name}.png', picture.png)
