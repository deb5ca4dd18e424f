"""Writes a small benchmark whose every figure is known.

Two methods play Pong and Breakout with two seeds. The runs are those of
`synthetic_run`, so Pong's scores are on the scale of random play at -20.7 and
the teacher at 15.3. Breakout has the same returns and random play at 1.7.
"""

import os
import pathlib
from typing import Union

from rrl_pipeline.testing import synthetic_run

RANDOM_RETURNS = {'Pong': -20.7, 'Breakout': 1.7}
METHODS = ('qdagger', 'tabula_rasa')
SEEDS = (0, 1)
# Added to the returns of tabula rasa's last online evaluation.
TABULA_RASA_SHIFT = -8.0


def write(root: Union[str, os.PathLike]) -> pathlib.Path:
  """Writes the benchmark; returns its root."""
  root = pathlib.Path(root)
  cells = []
  for method in METHODS:
    for task in RANDOM_RETURNS:
      for seed in SEEDS:
        cells.append(_write_cell(root, method, task, seed))
  for task in RANDOM_RETURNS:
    for stage, frames, seconds in (('collect', 3600, 10), ('dataset', 0, 20)):
      synthetic_run.write_json(
          root / 'tasks' / task / stage / 'DONE.json',
          {
              'counts': {'frames': frames, 'actor_steps': frames // 4},
              'wall_seconds': seconds,
              'cpu_seconds': seconds,
          },
      )
  synthetic_run.write_json(
      root / 'benchmark.json',
      {
          'suite': 'made_up',
          'summary': 'Nothing was played.',
          'changes': [],
          'command': 'python launch/benchmark.py --suite=made_up',
          'tasks': {
              task: {'run': f'tasks/{task}', 'random_return': random_return}
              for task, random_return in RANDOM_RETURNS.items()
          },
          'cells': cells,
      },
  )
  return root


def _write_cell(
    root: pathlib.Path, method: str, task: str, seed: int
) -> dict[str, object]:
  is_guided = method == 'qdagger'
  path = f'cells/{method}/{task}/seed{seed}'
  shift = 0.0 if is_guided else TABULA_RASA_SHIFT
  synthetic_run.write(root / path, seed, task, shift + seed)
  if not is_guided:
    (root / path / 'offline' / 'evaluations.jsonl').unlink()
  # Each seed plays another last evaluation of its own.
  log = root / path / 'evaluate' / 'evaluations.jsonl'
  log.unlink()
  synthetic_run.append_evaluations(
      log, 'student', seed, ((250, 3000, (13 + shift + seed,)),)
  )
  return {
      'method': method,
      'task': task,
      'seed': seed,
      'run': path,
      'uses_teacher': is_guided,
      'uses_data': is_guided,
  }
