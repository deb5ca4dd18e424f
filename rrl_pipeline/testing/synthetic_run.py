"""Writes a small run directory whose every figure is known.

Random play scores -20.7 on Pong and the teacher 15.3 here, 36 points apart:

    last offline evaluation     3, 6            mean  4.5    score 0.7
    student, last online        9, 12, 15       mean 12      score 0.90833…
    tabula rasa, last online    -21, -20, -19   mean -20     score 0.01944…
    student, finished           12, 12, 14, 14  mean 13      score 0.93611…
    tabula rasa, finished       -20, -20        mean -20     score 0.01944…

λ falls from 3 to 0 at 8,000 of 12,000 frames.
"""

import json
import os
import pathlib
from typing import Any, Iterable, Mapping, Sequence, Union

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config

TEACHER_RETURN = 15.3
# (learner_steps, actor_steps, returns) of each evaluation.
_OFFLINE = ((50, 0, (-12, -10)), (100, 0, (3, 6)))
_STUDENT = (
    (150, 1000, (4, 6, 8)),
    (200, 2000, (10, 8, 9)),
    (250, 3000, (9, 12, 15)),
)
_TABULA_RASA = ((150, 3000, (-21, -20, -19)),)
_STAGES = {
    'collect': ({'episodes': 3, 'actor_steps': 900, 'frames': 3600}, 10, 11),
    'dataset': (
        {'episodes': 3, 'transitions': 890, 'bytes': 1_234_567},
        20,
        21,
    ),
    'offline': ({'learner_steps': 100}, 30, 31),
    'online': (
        {
            'student': {
                'frames': 12000,
                'actor_steps': 3000,
                'learner_steps': 150,
                'wall_seconds': 40,
                'cpu_seconds': 41,
            },
            'tabula_rasa': {
                'frames': 12000,
                'actor_steps': 3000,
                'learner_steps': 150,
                'wall_seconds': 50,
                'cpu_seconds': 51,
            },
        },
        90,
        92,
    ),
    'evaluate': ({'episodes': 6}, 60, 61),
}
_MACHINE = {'processor': 'Abacus 7', 'cores': 2, 'memory_bytes': 8 * 10**9}


def bundle() -> dict[str, Any]:
  """Returns the contents of the teacher's bundle.json."""
  return {
      'kind': 'q_values',
      'score': {
          'mean_return': TEACHER_RETURN,
          'std_return': 3.6,
          'num_episodes': 26,
          'epsilon': 0.001,
      },
      'lineage': {
          'command': 'make teacher',
          'frames': 400_000,
          'actor_steps': 100_000,
          'learner_steps': 25_000,
          'wall_seconds': 7200,
          'cpu_seconds': 7300,
          'teacher': None,
      },
  }


def write(
    root: Union[str, os.PathLike],
    seed: int = 1,
    game: str = 'Pong',
    shift: float = 0.0,
) -> pathlib.Path:
  """Writes the run.

  Args:
    root: of the run; created.
    seed: of the run.
    game: that it plays.
    shift: is added to the student's returns of the last online evaluation.

  Returns:
    The root.
  """
  root = pathlib.Path(root)
  write_json(
      root / 'config.json',
      {
          'seed': seed,
          'environment': environment_config.to_json(
              atari.AtariConfig(game=game)
          ),
          'agent': {'n_step': 3},
      },
  )
  (root / 'command.txt').write_text(f'rrl-launch --seed={seed}\n')
  write_json(root / 'teacher' / 'bundle' / 'bundle.json', bundle())
  write_json(
      root / 'dataset/atari_replay/Pong_run_1/1.0.0/dataset_info.json', {}
  )
  for stage, (counts, wall_seconds, cpu_seconds) in _STAGES.items():
    write_json(
        root / stage / 'DONE.json',
        {
            'counts': counts,
            'wall_seconds': wall_seconds,
            'cpu_seconds': cpu_seconds,
            'machine': _MACHINE,
        },
    )
  *earlier, (learner_steps, actor_steps, returns) = _STUDENT
  last = (learner_steps, actor_steps, tuple(r + shift for r in returns))
  log = 'evaluations.jsonl'
  for path, agent, evaluations in (
      (root / 'offline' / log, 'student', _OFFLINE),
      (root / 'online' / 'student' / log, 'student', (*earlier, last)),
      (root / 'online' / 'tabula_rasa' / log, 'tabula_rasa', _TABULA_RASA),
      (root / 'evaluate' / log, 'student', ((250, 3000, (12, 12, 14, 14)),)),
      (root / 'evaluate' / log, 'tabula_rasa', ((150, 3000, (-20, -20)),)),
  ):
    append_evaluations(path, agent, seed, evaluations)
  _write_metrics(root)
  frames = np.zeros((40, 84, 84), np.uint8)
  frames[np.arange(40), np.arange(40)] = 200
  np.save(root / 'evaluate' / 'student_frames.npy', frames)
  return root


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes a file and the directories above it."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(value))


def append_evaluations(
    path: pathlib.Path,
    agent: str,
    seed: int,
    evaluations: Iterable[tuple[int, int, Sequence[float]]],
) -> None:
  """Appends records to an evaluations.jsonl, one for each return."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'a', encoding='utf-8') as file:
    for learner_steps, actor_steps, returns in evaluations:
      for episode, episode_return in enumerate(returns):
        record = types.EvaluationRecord(
            agent=agent,
            stage=path.parent.name,
            seed=seed,
            learner_steps=learner_steps,
            actor_steps=actor_steps,
            frames=4 * actor_steps,
            episode=episode,
            episode_return=episode_return,
            episode_length=100,
            terminal=True,
        )
        file.write(record.to_json() + '\n')


def _write_metrics(root: pathlib.Path) -> None:
  offline = [
      {
          'step': step,
          'td_loss': 1 / step,
          'distillation_loss': 2 / step,
          'distillation_weight': 3.0,
          'learning_rate': 1e-4,
          'teacher_agreement': step / 200,
          'action_gap': step / 100,
          'gradient_cosine': -0.5,
      }
      for step in range(10, 101, 10)
  ]
  _write_csv(root / 'offline', offline)
  for agent, first in (('student', 100), ('tabula_rasa', 0)):
    online = []
    for step in range(10, 151, 10):
      frames = 80 * step
      weight = 3.0 if agent == 'student' and frames < 8000 else 0.0
      online.append({
          'step': first + step,
          'td_loss': 1 / step,
          'distillation_loss': 0.5,
          'teacher_agreement': 0.75,
          'action_gap': 1.0,
          'actor_steps': frames // 4,
          'frames': frames,
          'distillation_weight': weight,
          'learning_rate': 1e-4 if weight else 1e-5,
      })
    _write_csv(root / 'online' / agent, online)


def _write_csv(
    directory: pathlib.Path, rows: Sequence[Mapping[str, float]]
) -> None:
  lines = [','.join(rows[0])]
  lines.extend(','.join(str(value) for value in row.values()) for row in rows)
  (directory / 'metrics.csv').write_text('\n'.join(lines) + '\n')
