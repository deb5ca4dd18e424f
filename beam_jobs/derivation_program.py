"""What the command lines of jobs that derive datasets have in common."""

import argparse


def make_parser(description: str) -> argparse.ArgumentParser:
  """A parser with the flags that all of them have."""
  parser = argparse.ArgumentParser(
      description=description,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
  )
  parser.add_argument(
      '--dataset',
      required=True,
      help='version folder of a dataset, DATA_DIR/NAME/CONFIG/VERSION',
  )
  parser.add_argument(
      '--data_dir',
      required=True,
      help='folder of TFDS datasets to write into; may be that of the source',
  )
  return parser
