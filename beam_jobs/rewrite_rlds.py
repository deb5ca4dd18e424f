"""Writes a dataset anew: fewer episodes, other files, or from rlu_atari.

  python beam_jobs/rewrite_rlds.py --dataset=DIR/atari_replay/Pong_run_1/1.1.0 \
    --data_dir=DIR --min_return=10 --fraction=0.1

keeps a tenth of the episodes with a return of at least 10. Frames can be stored
otherwise (--frame_encoding, --file_format), shards divided otherwise
(--num_shards), and datasets in the schema of rlu_atari become datasets of this
package (--dialect). It can be killed at any time; the same command again goes
on where it was. Flags that are not listed below go to Beam.
"""

import argparse
import sys
from typing import Any, Optional, Sequence

from rrl_pipeline.beam_jobs import episode_choice
from rrl_pipeline.beam_jobs import job_program
from rrl_pipeline.beam_jobs import rewrite_job


_CHOICE_FLAGS = (
    ('checkpoints', str, "'all', or numbers and ranges: '0,3' or '40-49'"),
    ('min_return', float, 'least return of an episode'),
    ('max_return', float, 'greatest return of an episode'),
    ('end_kinds', str, "'all', or some of terminal,truncated,log_end"),
    (
        'fraction',
        float,
        'of the episodes that meet these conditions, how many to keep',
    ),
    ('max_steps', int, 'RLDS steps to keep at most'),
    ('seed', int, 'of the random sample'),
)
_STORAGE_FLAGS = (
    ('num_shards', int, 'files to make; by default one per 500000 steps'),
    (
        'file_format',
        str,
        "'tfrecord' or 'array_record'; by default that of the source",
    ),
    (
        'frame_encoding',
        str,
        "'png' or 'raw'; by default that of the source",
    ),
    ('png_compressor', str, "'isal' (fast), 'zlib' (small) or 'auto'"),
    (
        'dialect',
        str,
        "of the source: 'native', 'rlds', 'rlu_atari', or 'auto' to find out",
    ),
    (
        'version',
        str,
        'of the new dataset; by default the next patch if only the storage '
        'changes, otherwise the next major version',
    ),
)


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns its exit code."""
  parser = job_program.make_derivation_parser(__doc__)
  _add_flags(parser)

  def run(flags: dict[str, Any], pipeline_args: Sequence[str]):
    choice = {name: flags.pop(name) for name, _, _ in _CHOICE_FLAGS}
    return rewrite_job.rewrite(
        rewrite_job.RewriteRldsConfig(
            **flags, choice=episode_choice.EpisodeChoice(**choice)
        ),
        pipeline_args,
    )

  return job_program.run(parser, run, argv)


def _add_flags(parser: argparse.ArgumentParser) -> None:
  for config, flags in (
      (episode_choice.EpisodeChoice, _CHOICE_FLAGS),
      (rewrite_job.RewriteRldsConfig, _STORAGE_FLAGS),
  ):
    for name, kind, text in flags:
      default = config.__dataclass_fields__[name].default
      parser.add_argument(
          f'--{name}', type=kind, default=default, help=f'{text} ({default})'
      )


if __name__ == '__main__':
  sys.exit(main())
