"""The value of `statistics.json`: its numbers and how they are made."""

import collections
import itertools
import json
import os
from typing import Any, Mapping, Sequence

import numpy as np

from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import statistics

NAME = 'statistics.json'
FORMAT = 1
_MAX_BARS = 64
_NUM_BINS = 40
_POSITION_BINS = 50
_NUM_SAMPLES = 12
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def frequencies(counts: Mapping[float, int]) -> dict[str, list]:
  """How often values occur, each for itself while they are few.

  Returns:
    'values' and 'counts', or what `histogram` returns.
  """
  values = sorted(counts)
  numbers = [counts[value] for value in values]
  if len(values) > _MAX_BARS:
    return histogram(np.array(values), np.array(numbers))
  return {'values': values, 'counts': numbers}


def histogram(
    values: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, list]:
  """How many values lie in intervals of equal width.

  Args:
    values: at least one.
    weights: how often each of them counts; once if None.

  Returns:
    'edges', one more than 'counts'. Whole numbers that lie close together get
    an interval each.
  """
  low, high = values.min(), values.max()
  if high - low < _MAX_BARS and not np.any(values % 1):
    edges = np.arange(low, high + 2) - 0.5
  else:
    edges = np.linspace(low, high, _NUM_BINS + 1)
  counts, _ = np.histogram(values, edges, weights=weights)
  return {'edges': edges.tolist(), 'counts': counts.astype(int).tolist()}


def distribution(values: Sequence[float]) -> dict[str, Any]:
  """Mean, deviation, extremes, quantiles and histogram of values."""
  array = np.array(values, np.float64)
  return {
      'mean': float(array.mean()),
      'std': float(array.std()),
      'min': float(array.min()),
      'max': float(array.max()),
      'quantiles': {
          f'{q:g}': float(np.quantile(array, q)) for q in _QUANTILES
      },
      'histogram': histogram(array),
  }


def finish(
    accumulator: statistics.Accumulator, dataset: dataset_files.Dataset
) -> dict[str, Any]:
  """The value of `statistics.json`, the same for the same dataset.

  Args:
    accumulator: of all episodes of a dataset.
    dataset: that they are from.

  Raises:
    ValueError: if the dataset says that it holds other episodes, or none.
  """
  rows = sorted(
      accumulator.rows, key=lambda row: (row.shard, row.position)
  )
  places = [(row.shard, row.position) for row in rows]
  expected = [
      (shard.index, position)
      for shard in dataset.shards
      for position in range(shard.num_episodes)
  ]
  if places != expected:
    found = len(set(places) & set(expected))
    raise dataset_files.DatasetError(
        f'{found} of the {len(expected)} episodes that {dataset.path} lists '
        f'were read, and {len(places) - found} others: its files do not fit '
        f'its {dataset_files.INFO_FILE}; copy or build the dataset anew'
    )
  if not rows:
    raise dataset_files.DatasetError(f'{dataset.path} holds no episodes')
  by_split = collections.defaultdict(list)
  for row in rows:
    by_split[dataset.shards[row.shard].split].append(row)
  return {
      'format': FORMAT,
      'dataset': dataset.full_name,
      'file_format': dataset.file_format,
      **_totals(rows),
      'splits': {name: _totals(part) for name, part in by_split.items()},
      'checkpoints': [
          part
          for name, split in by_split.items()
          for part in _checkpoints(name, split)
      ],
      'ends': collections.Counter(row.end_kind for row in rows),
      'incomplete_starts': sum(not row.complete_start for row in rows),
      'synthetic_last_observations': sum(row.synthetic_frame for row in rows),
      # Without an observation after it, the last action is no transition.
      'dropped_final_actions': sum(row.length == row.num_steps for row in rows),
      'episode_return': distribution([row.episode_return for row in rows]),
      'episode_length': distribution([row.length for row in rows]),
      'actions': frequencies(accumulator.actions),
      'rewards': frequencies(accumulator.rewards),
      'return_by_position': _return_by_position(rows),
      'value_ranges': {
          name: list(limits)
          for name, limits in sorted(accumulator.ranges.items())
      },
      'duplicates': _duplicates(rows),
      'examples': _examples(rows, dataset),
  }


def _totals(rows: Sequence[statistics.EpisodeRow]) -> dict[str, Any]:
  steps = sum(row.num_steps for row in rows)
  num_bytes = sum(row.num_bytes for row in rows)
  return {
      'episodes': len(rows),
      'steps': steps,
      'transitions': steps - len(rows),
      'logged_actions': sum(row.length for row in rows),
      'record_bytes': num_bytes,
      'bytes_per_step': num_bytes / steps,
  }


def _checkpoints(
    split: str, rows: Sequence[statistics.EpisodeRow]
) -> list[dict[str, Any]]:
  """The stretches of consecutive episodes of one checkpoint, as slices."""
  parts = []
  first = 0
  for checkpoint_id, group in itertools.groupby(
      rows, lambda row: row.checkpoint_id
  ):
    part = list(group)
    end = first + len(part)
    parts.append({
        'checkpoint_id': checkpoint_id,
        'slice': f'{split}[{first}:{end}]',
        'episodes': len(part),
        'steps': sum(row.num_steps for row in part),
        'mean_return': float(np.mean([row.episode_return for row in part])),
    })
    first = end
  return parts


def _return_by_position(
    rows: Sequence[statistics.EpisodeRow],
) -> list[dict[str, Any]]:
  """Returns in intervals of the log of equal width, in its order.

  Where the log's positions are not known, the order of the files stands for
  them. Episodes that the log cut at either end are left out.
  """
  known = all(row.first_add is not None for row in rows)
  places = []
  position = 0
  for row in rows:
    if row.complete_start and row.end_kind != 'log_end':
      places.append((row.first_add if known else position, row))
    position += row.num_steps
  if not places:
    return []
  starts = np.array([place for place, _ in places], np.float64)
  edges = np.linspace(starts.min(), starts.max() + 1, _POSITION_BINS + 1)
  bins = np.clip(
      np.searchsorted(edges, starts, 'right') - 1, 0, _POSITION_BINS - 1
  )
  found = []
  for number in range(_POSITION_BINS):
    returns = [
        places[i][1].episode_return for i in np.flatnonzero(bins == number)
    ]
    if returns:
      found.append({
          'position': float(starts[bins == number].mean()),
          'episodes': len(returns),
          'mean': float(np.mean(returns)),
          'min': min(returns),
          'max': max(returns),
      })
  return found


def _duplicates(rows: Sequence[statistics.EpisodeRow]) -> dict[str, Any]:
  """Episodes whose logged content is the same."""
  groups = collections.defaultdict(list)
  for row in rows:
    groups[row.content_sha256].append(row.uid)
  repeated = [uids for uids in groups.values() if len(uids) > 1]
  return {
      'episodes': sum(len(uids) - 1 for uids in repeated),
      'groups': repeated,
  }


def _examples(
    rows: Sequence[statistics.EpisodeRow], dataset: dataset_files.Dataset
) -> dict[str, Any]:
  """Where to find the best, the median and the worst episode, and samples."""
  whole = [
      row for row in rows if row.complete_start and row.end_kind != 'log_end'
  ]
  # Of equal ones, the first in the dataset's order.
  ranked = sorted(whole or rows, key=lambda row: row.episode_return)
  best = max(whole or rows, key=lambda row: row.episode_return)
  spread = np.linspace(0, len(rows) - 1, min(_NUM_SAMPLES, len(rows)))

  def place(row: statistics.EpisodeRow) -> dict[str, Any]:
    shard = dataset.shards[row.shard]
    return {
        'uid': row.uid,
        'split': shard.split,
        'episode': shard.first_episode + row.position,
        'episode_return': row.episode_return,
        'length': row.length,
    }

  return {
      'best': place(best),
      'median': place(ranked[(len(ranked) - 1) // 2]),
      'worst': place(ranked[0]),
      'samples': [place(rows[int(i)]) for i in spread],
  }


def to_json(value: Mapping[str, Any]) -> bytes:
  """The contents of the file; the same value gives the same bytes."""
  text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
  return f'{text}\n'.encode()


def read(dataset_dir: str) -> dict[str, Any]:
  """The statistics of a dataset.

  Raises:
    dataset_files.DatasetError: if they have not been computed, or by another
      version of this program.
  """
  path = os.path.join(dataset_dir, NAME)
  command = (
      f'python beam_jobs/compute_statistics.py --dataset_dir={dataset_dir}'
  )
  try:
    with open(path, encoding='utf-8') as file:
      value = json.load(file)
  except FileNotFoundError as error:
    raise dataset_files.DatasetError(
        f'{dataset_dir} has no {NAME}; make it with {command}'
    ) from error
  except ValueError as error:
    raise dataset_files.DatasetError(
        f'{path} is damaged ({error}); make it anew with {command}'
    ) from error
  if value.get('format') != FORMAT:
    raise dataset_files.DatasetError(
        f'{path} is of format {value.get("format")}; expected {FORMAT}: make '
        f'it anew with {command}'
    )
  return value
