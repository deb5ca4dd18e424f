"""The licence of a dataset, kept where TFDS keeps it."""

import json
import os

from rrl_pipeline.logs import atomic
from rrl_pipeline.rlds import dataset_files

_LICENSE_FILE = 'LICENSE'
_REDISTRIBUTION = 'redistributionInfo'


def write(dataset_dir: str, license_name: str) -> None:
  """Sets the licence in dataset_info.json and in TFDS's file LICENSE.

  Args:
    dataset_dir: version folder of a dataset.
    license_name: an SPDX name such as 'CC-BY-4.0', or a URL.

  Raises:
    ValueError: if the name is not one line of text.
  """
  if not license_name.strip() or not license_name.isprintable():
    raise ValueError(
        f'the licence is {license_name!r}; expected an SPDX name such as '
        'CC-BY-4.0, or a URL'
    )
  path = os.path.join(dataset_dir, dataset_files.INFO_FILE)
  with open(path, encoding='utf-8') as file:
    info = json.load(file)
  info[_REDISTRIBUTION] = {'license': license_name}
  with atomic.replacing(os.path.join(dataset_dir, _LICENSE_FILE)) as file:
    file.write(license_name.encode())
  with atomic.replacing(path) as file:
    file.write(json.dumps(info, indent=2, sort_keys=True).encode())
