"""Takes Minari datasets in and gives RLDS datasets out to Minari.

  rrl-minari import --dataset=atari/pong/expert-v0 --recording_dir=DIR

makes a recording, which beam_jobs/build_rlds.py --log_dir=DIR converts, and

  rrl-minari export --dataset_dir=DATA_DIR/atari_replay/Pong_run_1/1.0.0 \\
    --dataset=pong/teacher-v0 --num_actions=6

makes a Minari dataset, which minari.load_dataset('pong/teacher-v0') loads.
Needs the extra packages of pip install 'rrl-pipeline[minari]'.
"""

import argparse
import os
import sys
from typing import Optional, Sequence

from rrl_pipeline.launch import user_errors


def _make_parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog='rrl-minari',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
  )
  verbs = parser.add_subparsers(dest='verb', required=True)
  take = verbs.add_parser(
      'import', help='Minari dataset to recording', allow_abbrev=False
  )
  take.add_argument(
      '--dataset', required=True,
      help='id of a dataset on this machine, or its folder',
  )
  take.add_argument(
      '--recording_dir', required=True,
      help='directory of the recording to make, or to go on with',
  )
  take.add_argument(
      '--stack_axis', type=int,
      help='axis along which observations stack frames, the newest last; only '
      'that one is kept (by default observations are kept as they are)',
  )
  give = verbs.add_parser(
      'export', help='RLDS dataset to Minari dataset', allow_abbrev=False
  )
  give.add_argument(
      '--dataset_dir', required=True, help='version folder of a TFDS dataset'
  )
  give.add_argument(
      '--dataset', required=True,
      help="id of the Minari dataset to make, such as 'pong/teacher-v0'",
  )
  give.add_argument(
      '--num_actions', type=int, required=True,
      help='how many actions the environment has, 6 for Pong',
  )
  give.add_argument(
      '--split', default='all',
      help="of the TFDS dataset, as in 'train[:10%%]' (all)",
  )
  give.add_argument(
      '--data_format', default='parquet',
      help="of Minari: 'parquet' (small), 'hdf5' or 'arrow' (parquet)",
  )
  return parser


def _run(flags: argparse.Namespace) -> str:
  """Does what is asked for; returns what was made."""
  values = vars(flags)
  verb = values.pop('verb')
  # Here and not above, so that --help does not wait for TensorFlow.
  # pylint: disable=g-import-not-at-top
  if verb == 'import':
    from rrl_pipeline.logs import minari_import

    return str(
        minari_import.import_dataset(minari_import.ImportConfig(**values))
    )
  from rrl_pipeline.rlds import minari_export

  return str(
      minari_export.export_dataset(minari_export.ExportConfig(**values))
  )


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program.

  Args:
    argv: the command line without the program's name; sys.argv's if None.

  Returns:
    0; 2 after an error of the user, which is one line on standard error; 130
    after Ctrl-C.
  """
  flags = _make_parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

  def program() -> int:
    print(_run(flags))
    return 0

  return user_errors.run(
      program, 'interrupted; the same command may be given again'
  )


if __name__ == '__main__':
  sys.exit(main())
