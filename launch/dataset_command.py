"""Looks into an RLDS dataset: rrl-dataset COMMAND FOLDER.

A FOLDER is the version folder of a TFDS dataset, with dataset_info.json, such as
DATA_DIR/atari_replay/Pong_run_1/1.1.0. TensorFlow is not needed.
"""

import argparse
import sys
import textwrap
from typing import Any, Iterator, Optional, Sequence

# Each command imports what it needs: --help shall not wait for it.

_ERROR = 2
_MAX_LISTED = 10
_INDENT = '  '


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns its exit code.

  Args:
    argv: the command line without the program's name; sys.argv if None.

  Returns:
    0; 1 if `verify` found damage or `diff` a difference; 2 after an error,
    which is one line on standard error; 130 after Ctrl-C.
  """
  flags = _make_parser().parse_args(argv)
  try:
    return flags.run(flags)
  except (ValueError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return _ERROR
  except KeyboardInterrupt:
    return 130


def _make_parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog='rrl-dataset',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
  )
  commands = parser.add_subparsers(
      title='commands', metavar='COMMAND', required=True
  )

  def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    return command

  command = add('describe', _describe, 'what it holds and where it comes from')
  command.add_argument('folder')
  command = add('head', _head, 'the first steps of an episode as a table')
  command.add_argument('folder')
  command.add_argument(
      '-n', '--steps', type=int, default=5, help='how many (5)'
  )
  command.add_argument(
      '--episode', type=int, default=0, help='number of the episode (0)'
  )
  command.add_argument('--split', help='of the episode; the first by default')
  command = add('episode', _episode, 'one episode: its fields, and a film')
  command.add_argument('folder')
  command.add_argument('number', type=int, help='of the episode in its split')
  command.add_argument('--gif', metavar='PATH', help='film to write')
  command.add_argument('--split', help='of the episode; the first by default')
  command = add('verify', _verify, 'whether the files are what they should be')
  command.add_argument('folder')
  command.add_argument(
      '--frames',
      action='store_true',
      help='decode every frame, even of files whose checksum is known',
  )
  command = add('diff', _diff, 'fields and episodes in which two differ')
  command.add_argument('a', metavar='A')
  command.add_argument('b', metavar='B')
  return parser


def _describe(flags: argparse.Namespace) -> int:
  from rrl_pipeline import formats
  from rrl_pipeline.rlds import dataset_files

  dataset = dataset_files.Dataset(flags.folder)
  lines = [
      f'{dataset.full_name}, {dataset.file_format}, '
      f'licence: {dataset.license or "not given"}',
      *textwrap.wrap(' '.join(dataset.info.description.split())),
      '',
      'Splits',
  ]
  for name, split in dataset.info.splits.items():
    lines.append(
        f'{_INDENT}{name}: {formats.plural(split.num_examples, "episode")} in '
        f'{formats.plural(split.num_shards, "file")}, '
        f'{formats.size(split.num_bytes)}'
    )
  lines += ['', 'Fields']
  lines += _table([
      (
          field.name,
          field.dtype,
          '×'.join(map(str, field.shape)),
          field.encoding if field.encoding != 'none' else '',
          field.description,
      )
      for field in dataset.fields.values()
  ])
  lines += ['', 'Provenance', *_provenance(dataset)]
  print('\n'.join(lines))
  return 0


def _provenance(dataset: Any) -> Iterator[str]:
  """What the metadata says of how the dataset was made."""
  from rrl_pipeline.rlds import lineage

  if not dataset.metadata:
    yield f'{_INDENT}the metadata does not say'
  past = lineage.trace(dataset.conversion)
  for derivation in past.derivations:
    yield (
        f'{_INDENT}made by the job {derivation["job"]} from '
        f'{derivation["source"]["path"]}'
    )
  for group, names in (
      ('options', ('log_format', 'checkpoints', 'stack_size', 'num_actions')),
      ('totals', ('transitions', 'padding', 'left_out', 'rejected_episodes')),
  ):
    for name in names:
      if name in past.conversion.get(group, {}):
        label = name.replace('_', ' ')
        yield f'{_INDENT}{label}: {past.conversion[group][name]}'
  if past.log_files:
    size = sum(file['size'] for _, file in past.log_files)
    yield f'{_INDENT}log files: {len(past.log_files)}, {size} bytes'
  for name, value in past.conversion.get('log', {}).items():
    yield f'{_INDENT}log says {name}: {value}'
  for name, label in (('losses', 'not in the log'), ('warnings', 'warning')):
    for line in dataset.conversion.get(name, ()):
      yield f'{_INDENT}{label}: {line}'
  for name, value in dataset.metadata.items():
    if value is not dataset.conversion:
      yield f'{_INDENT}{name}: {value}'


def _head(flags: argparse.Namespace) -> int:
  from rrl_pipeline.rlds import schema

  if flags.steps < 1:
    raise ValueError(f'--steps is {flags.steps}; expected at least 1')
  dataset, episode = _find_episode(flags, flags.episode)
  names = [schema.OBSERVATION]
  columns = [
      [_picture(frame) for frame in episode.frames(0, flags.steps)]
  ]
  for path, field in dataset.fields.items():
    group, _, name = path.rpartition('/')
    if group == schema.STEPS and field.shape == () and field.dtype != 'string':
      names.append(name)
      values = episode.column(name)[: flags.steps]
      columns.append([_text(value.item(), field.dtype) for value in values])
  rows = [('step', *names)]
  rows += [(str(t), *row) for t, row in enumerate(zip(*columns))]
  print('\n'.join(_table(rows)))
  return 0


def _text(value: Any, dtype: str) -> str:
  """A stored value; flags are stored as numbers."""
  return str(bool(value) if dtype == 'bool' else value)


def _picture(frame: Any) -> str:
  """What can be said of an observation in a table."""
  shape = '×'.join(map(str, frame.shape))
  return f'{shape} {frame.min():g}…{frame.max():g}, mean {frame.mean():.1f}'


def _episode(flags: argparse.Namespace) -> int:
  dataset, episode = _find_episode(flags, flags.number)
  rows = [
      (name, _text(episode.value(name), field.dtype))
      for name, field in dataset.fields.items()
      if '/' not in name
  ]
  rows.append(('size of the record', f'{episode.num_bytes} bytes'))
  print('\n'.join(_table(rows)))
  if flags.gif:
    from rrl_pipeline import run_directory
    from rrl_pipeline.reports import dataset_card

    split = flags.split or dataset.shards[0].split
    film = dataset_card.film_of(dataset, split, flags.number)
    run_directory.write_bytes(flags.gif, film)
    print(f'written: {flags.gif}')
  return 0


def _find_episode(flags: argparse.Namespace, number: int) -> tuple[Any, Any]:
  from rrl_pipeline.rlds import dataset_files

  dataset = dataset_files.Dataset(flags.folder)
  split = flags.split or dataset.shards[0].split
  return dataset, dataset.episode(*dataset.locate(split, number))


def _verify(flags: argparse.Namespace) -> int:
  from rrl_pipeline.rlds import dataset_files
  from rrl_pipeline.rlds import verification

  dataset = dataset_files.Dataset(flags.folder)
  found = verification.damage(dataset, decode_frames=flags.frames)
  for line in found:
    print(f'damaged: {line}')
  for line in verification.missing_for_publication(dataset):
    print(f'to publish it: {line}')
  if found:
    return 1
  print(f'intact: {dataset.num_episodes} episodes of {dataset.full_name}')
  return 0


def _diff(flags: argparse.Namespace) -> int:
  from rrl_pipeline.rlds import dataset_difference
  from rrl_pipeline.rlds import dataset_files

  difference = dataset_difference.compare(
      dataset_files.Dataset(flags.a), dataset_files.Dataset(flags.b)
  )
  for line in difference.fields:
    print(line)
  for label, names in (
      ('only in A', difference.only_a),
      ('only in B', difference.only_b),
      ('changed', difference.changed),
  ):
    for name in names[:_MAX_LISTED]:
      print(f'{label}: {name}')
    if len(names) > _MAX_LISTED:
      print(f'{label}: {len(names) - _MAX_LISTED} more')
  print(
      f'{difference.same} episodes are the same, {len(difference.changed)} '
      f'changed, {len(difference.only_a)} only in A, '
      f'{len(difference.only_b)} only in B'
  )
  return 1 if difference else 0


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
  """Lines in which the columns stand below each other."""
  widths = [max(map(len, column)) for column in zip(*rows)]
  return [
      _INDENT
      + '  '.join(
          cell.ljust(width) for cell, width in zip(row, widths)
      ).rstrip()
      for row in rows
  ]


if __name__ == '__main__':
  sys.exit(main())
