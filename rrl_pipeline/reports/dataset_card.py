"""The card of a dataset: what it holds, looks like, comes from and lacks.

    card/README.md     the card
    card/index.html    the same for a browser
    card/*.png *.gif   its pictures

It lies in the version folder of the dataset, where TFDS does not look at it.
"""

import json
import os
import re
import shutil
from typing import Any, Mapping, Sequence

import markdown
import numpy as np

from rrl_pipeline import formats
from rrl_pipeline.logs import atomic
from rrl_pipeline.logs import recording
from rrl_pipeline.reports import dataset_figures
from rrl_pipeline.reports import gif
from rrl_pipeline.reports import pictures
from rrl_pipeline.reports import templates
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import lineage
from rrl_pipeline.rlds import schema

DIRECTORY = 'card'
README = 'README.md'
PAGE = 'index.html'
# A frame for every fourth of the console's 60 a second.
_FRAMES_PER_SECOND = 15.0
_MAX_FILM_FRAMES = 2000
_MAX_FILM_BYTES = 1_000_000
# A recording has a file for each episode.
_MAX_LOG_FILES = 300
_CONVERSION = 'conversion'
# What Markdown or HTML would take for markup, in text by others.
_MARKUP = re.compile(r'([\\`*_{}\[\]<>#|&])')


def write(
    dataset: dataset_files.Dataset, statistics: Mapping[str, Any]
) -> str:
  """Writes the card of a dataset in place of an older one.

  Args:
    dataset: which one.
    statistics: what its `statistics.json` holds.

  Returns:
    The path of README.md.

  Raises:
    dataset_files.DatasetError: if an episode that is to be shown is damaged.
  """
  files = _render(dataset, statistics)
  directory = os.path.join(dataset.path, DIRECTORY)
  temporary = os.path.join(
      dataset.path, f'{atomic.TEMPORARY_PREFIX}{DIRECTORY}'
  )
  shutil.rmtree(temporary, ignore_errors=True)
  os.mkdir(temporary)
  for name, data in files.items():
    with open(os.path.join(temporary, name), 'wb') as file:
      file.write(data)
  shutil.rmtree(directory, ignore_errors=True)
  os.rename(temporary, directory)
  return os.path.join(directory, README)


def _render(
    dataset: dataset_files.Dataset, statistics: Mapping[str, Any]
) -> dict[str, bytes]:
  """The contents of the card's files."""
  drawn = _figures(statistics)
  films = []
  files = {f'{picture.name}.png': picture.png for picture in drawn}
  if _is_visual(dataset):
    films = [
        {'name': f'{kind}.gif', 'title': f'{kind} episode'}
        | statistics['examples'][kind]
        for kind in ('best', 'median', 'worst')
    ]
    files |= {film['name']: _film(dataset, film) for film in films}
    files['frames.png'] = _samples(dataset, statistics['examples']['samples'])
  text = templates.render(
      'dataset_card.md.jinja',
      {
          'dataset': dataset,
          'statistics': statistics,
          'load_name': (
              '/'.join(filter(None, (dataset.name, dataset.config)))
              + f':{dataset.version}'
          ),
          'first_split': dataset.shards[0].split,
          'config_description': dataset.info.as_proto.config_description,
          'films': films,
          'pictures': drawn,
          'lineage': lineage.trace(dataset.conversion),
          'max_log_files': _MAX_LOG_FILES,
          'other_metadata': {
              name: value
              for name, value in dataset.metadata.items()
              if name != _CONVERSION
          },
          'limits': _limits(dataset, statistics),
      },
      {'text': _escape, 'json_block': _json_block},
  )
  text = re.sub(r'\n{3,}', '\n\n', text)
  page = templates.render(
      'dataset_card.html.jinja',
      {
          'title': dataset.full_name,
          'body': markdown.markdown(
              text, extensions=['tables', 'fenced_code']
          ),
      },
  )
  files[README] = text.encode()
  files[PAGE] = page.encode()
  return files


def _figures(statistics: Mapping[str, Any]) -> list[pictures.Picture]:
  points = statistics['return_by_position']
  drawn = []
  if points:
    drawn.append(
        pictures.Picture(
            name='progress',
            title='Return along the log',
            png=dataset_figures.return_by_position(points),
            description=(
                'Mean, lowest and highest return of episodes against their '
                'position in the log'
            ),
        )
    )
  for name, title, bars, x_label, y_label in (
      (
          'returns',
          'Returns',
          statistics['episode_return']['histogram'],
          'return',
          'episodes',
      ),
      (
          'lengths',
          'Lengths',
          statistics['episode_length']['histogram'],
          'actions',
          'episodes',
      ),
      ('actions', 'Actions', statistics['actions'], 'action', 'steps'),
      ('rewards', 'Rewards', statistics['rewards'], 'reward', 'steps'),
  ):
    drawn.append(
        pictures.Picture(
            name=name,
            title=title,
            png=dataset_figures.histogram(bars, x_label, y_label),
            description=f'Histogram: number of {y_label} by {x_label}',
        )
    )
  return drawn


def _is_visual(dataset: dataset_files.Dataset) -> bool:
  field = dataset.fields[f'{schema.STEPS}/{schema.OBSERVATION}']
  return (
      field.dtype == 'uint8'
      and len(field.shape) == 3
      and field.shape[-1] in (1, 3)
  )


def film_of(
    dataset: dataset_files.Dataset, split: str, number: int
) -> bytes:
  """A GIF of an episode, at the speed of play, frames left out if it is long.

  Raises:
    dataset_files.DatasetError: if there is no such episode, it is damaged, or
      its observations are no images.
  """
  if not _is_visual(dataset):
    raise dataset_files.DatasetError(
        f'the observations of {dataset.path} are no grey or colour images'
    )
  episode = dataset.episode(*dataset.locate(split, number))
  stride = -(-episode.logged_frames // _MAX_FILM_FRAMES)
  frames = np.concatenate([
      _as_image(block[-start % stride :: stride])
      for start, block in _with_starts(episode.frame_blocks())
  ])
  return gif.encode_gif(
      frames, _FRAMES_PER_SECOND / stride, max_bytes=_MAX_FILM_BYTES
  )


def _film(
    dataset: dataset_files.Dataset, place: Mapping[str, Any]
) -> bytes:
  return film_of(dataset, place['split'], place['episode'])


def _with_starts(blocks):
  """Pairs each block with the number of its first frame."""
  start = 0
  for block in blocks:
    yield start, block
    start += len(block)


def _samples(
    dataset: dataset_files.Dataset, places: Sequence[Mapping[str, Any]]
) -> bytes:
  frames = []
  for place in places:
    episode = dataset.episode(
        *dataset.locate(place['split'], place['episode'])
    )
    middle = episode.logged_frames // 2
    frames.append(_as_image(episode.frames(middle, middle + 1))[0])
  return dataset_figures.contact_sheet(frames)


def _as_image(frames: np.ndarray) -> np.ndarray:
  """[N, H, W, C] without its last axis if C is 1."""
  return frames[..., 0] if frames.shape[-1] == 1 else frames


def _limits(
    dataset: dataset_files.Dataset, statistics: Mapping[str, Any]
) -> list[str]:
  """What a user of the dataset should know, a sentence or two each."""
  found = []
  rewards = statistics['rewards'].get('values', [])
  log = lineage.trace(dataset.conversion).conversion.get('log', {})
  are_raw = log.get('rewards') == recording.RAW_REWARDS
  if rewards and set(rewards) <= {-1.0, 0.0, 1.0} and not are_raw:
    found.append(
        'All rewards are -1, 0 or 1, as the log has them: probably clipped. '
        'Returns are then no scores of the game.'
    )
  for number, text in (
      (
          statistics['synthetic_last_observations'],
          'episodes end in a terminal observation that the log does not hold: '
          'their last observation is made up, all zero. Nothing bootstraps '
          'from it.',
      ),
      (
          statistics['dropped_final_actions'],
          'episodes were cut before the observation after their last action. '
          'That action and its reward are no transition; they are kept as '
          f'`{schema.DROPPED_FINAL_ACTION}` and '
          f'`{schema.DROPPED_FINAL_REWARD}`.',
      ),
      (
          statistics['incomplete_starts'],
          'episodes lack their first steps, which the log had overwritten: '
          f'their `{schema.COMPLETE_START}` is false.',
      ),
      (
          statistics['duplicates']['episodes'],
          'episodes repeat the contents of an earlier one; '
          '`statistics.json` lists them under `duplicates`.',
      ),
  ):
    if number:
      found.append(
          f'{formats.count(number)} of '
          f'{formats.count(statistics["episodes"])} {text}'
      )
  found.extend(_escape(loss) for loss in dataset.conversion.get('losses', ()))
  return found or ['None known.']


def _escape(text: Any) -> str:
  """Text by others as part of a line of Markdown."""
  return _MARKUP.sub(r'\\\1', ' '.join(str(text).split()))


def _json_block(value: Any) -> str:
  text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
  return f'```json\n{text}\n```'
