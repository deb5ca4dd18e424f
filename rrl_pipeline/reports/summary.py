"""The figures of a report as one JSON value; docs/report.md names the keys."""

import dataclasses
from typing import Any, Callable, Mapping, Optional, Sequence

import numpy as np

import rrl_pipeline
from rrl_pipeline import scores
from rrl_pipeline.environments import random_returns
from rrl_pipeline.reports import aggregate
from rrl_pipeline.reports import balloon_scores
from rrl_pipeline.reports import claims
from rrl_pipeline.reports import compute
from rrl_pipeline.reports import limits
from rrl_pipeline.reports import runs as runs_lib
from rrl_pipeline.reports import timeline

_FORMAT_VERSION = 1
# Any constant will do; it only has to be the same every time.
_BOOTSTRAP_SEED = 0


def summarise(
    runs: Sequence[runs_lib.Run],
    resamples: int,
    flights: Optional[balloon_scores.Comparison] = None,
) -> dict[str, Any]:
  """Computes report.json.

  Args:
    runs: at least one run; several differ in seed or game.
    resamples: of every bootstrap.
    flights: agents of the first run that flew a suite of seeds.

  Returns:
    What `json.dumps` takes; the same runs give the same value.

  Raises:
    ValueError: runs that cannot be put together or normalised.
  """
  _check_distinct(runs)
  randoms = {
      run.game: random_returns.random_return(run.game) for run in runs
  }
  scales = [
      scores.Scale(randoms[run.game], run.teacher.mean_return) for run in runs
  ]

  def agent(
      pick: Callable[[runs_lib.Run], Optional[runs_lib.Evaluation]],
  ) -> Optional[dict[str, Any]]:
    return _summarise_agent(runs, scales, pick, resamples)

  student = agent(lambda run: run.online[runs_lib.STUDENT][-1])
  student['offline'] = agent(
      lambda run: run.offline[-1] if run.offline else None
  )
  student['final_evaluation'] = agent(lambda run: run.final.get('student'))
  student['weaning'] = [_weaning(run) for run in runs]
  tabula_rasa = agent(
      lambda run: run.online.get(runs_lib.TABULA_RASA, [None])[-1]
  )
  if tabula_rasa is not None:
    tabula_rasa['final_evaluation'] = agent(
        lambda run: run.final.get(runs_lib.TABULA_RASA)
    )
  summary = {
      'format_version': _FORMAT_VERSION,
      'rrl_pipeline_version': rrl_pipeline.__version__,
      'games': sorted({run.game for run in runs}),
      'num_runs': len(runs),
      'environment': runs[0].config['environment'],
      'student': student,
      'tabula_rasa': tabula_rasa,
      'teacher': _summarise_teacher(runs, scales)
      | {'final_evaluation': agent(lambda run: run.final.get('teacher'))},
      'random': _summarise_random(randoms)
      | {'final_evaluation': agent(lambda run: run.final.get('random'))},
      'aggregates': _aggregates(runs, student, tabula_rasa, resamples),
      'flights': flights and dataclasses.asdict(flights),
      'dataset': [_summarise_dataset(run) for run in runs],
      'compute': [compute.account(run) for run in runs],
      'configuration': runs[0].config,
      'configuration_differences': _differences(runs),
      'commands': [run.command for run in runs],
  }
  summary['claim'] = claims.claim(summary)
  summary['limits'] = limits.limits(summary)
  return summary


def _check_distinct(runs: Sequence[runs_lib.Run]) -> None:
  seen = {}
  for run in runs:
    key = (run.game, run.seed)
    if key in seen:
      raise ValueError(
          f'the runs {seen[key]} and {run.name} both have game {run.game} and'
          f' seed {run.seed}, so that they are not independent; leave one out'
      )
    seen[key] = run.name


def _summarise_agent(
    runs: Sequence[runs_lib.Run],
    scales: Sequence[scores.Scale],
    pick: Callable[[runs_lib.Run], Optional[runs_lib.Evaluation]],
    resamples: int,
) -> Optional[dict[str, Any]]:
  """Summarises one evaluation of each run that has it; None if none has."""
  per_seed = [
      _summarise_evaluation(run, scale, evaluation, resamples)
      for run, scale in zip(runs, scales, strict=True)
      if (evaluation := pick(run)) is not None
  ]
  if not per_seed:
    return None

  def mean(key: str) -> float:
    return float(np.mean([entry[key] for entry in per_seed]))

  one_game = len({entry['game'] for entry in per_seed}) == 1
  return {
      # Points of different games cannot be averaged.
      'mean_return': mean('mean_return') if one_game else None,
      'teacher_normalised_score': mean('teacher_normalised_score'),
      'frames': round(mean('frames')),
      'episodes': sum(entry['episodes'] for entry in per_seed),
      'per_seed': per_seed,
  }


def _summarise_evaluation(
    run: runs_lib.Run,
    scale: scores.Scale,
    evaluation: runs_lib.Evaluation,
    resamples: int,
) -> dict[str, Any]:
  estimate = aggregate.over_episodes(
      evaluation.returns, resamples, _BOOTSTRAP_SEED
  )
  interval = None
  if estimate.low is not None:
    ends = np.array([estimate.low, estimate.high])
    interval = {
        'confidence': aggregate.CONFIDENCE,
        'mean_return': ends.tolist(),
        'teacher_normalised_score': scale.normalise(ends).tolist(),
    }
  returns = evaluation.returns
  score = scale.normalise(evaluation.mean_return)
  return {
      'run': run.name,
      'game': run.game,
      'seed': run.seed,
      'frames': evaluation.frames,
      'actor_steps': evaluation.actor_steps,
      'learner_steps': evaluation.learner_steps,
      'mean_return': evaluation.mean_return,
      'std_return': float(np.std(returns)),
      'teacher_normalised_score': float(score),
      'episodes': len(returns),
      'returns': list(returns),
      'truncated_episodes': evaluation.num_truncated,
      'interval_over_episodes': interval,
  }


def _weaning(run: runs_lib.Run) -> dict[str, Any]:
  return {
      'run': run.name,
      'seed': run.seed,
      'frames': timeline.weaning_frames(run),
      'last_distillation_weight': timeline.last_distillation_weight(run),
  }


def _summarise_teacher(
    runs: Sequence[runs_lib.Run], scales: Sequence[scores.Scale]
) -> dict[str, Any]:
  """The teacher of all runs, or, if they have several, only the list."""
  per_run = []
  for run, scale in zip(runs, scales, strict=True):
    teacher = run.teacher
    error = None
    if teacher.std_return is not None and (teacher.num_episodes or 0) > 1:
      # A bundle's deviation is that of its episodes, not an estimate for all.
      error = teacher.std_return / (teacher.num_episodes - 1) ** 0.5
    per_run.append({
        'run': run.name,
        'game': run.game,
        'identity': teacher.identity,
        'mean_return': teacher.mean_return,
        'std_return': teacher.std_return,
        'standard_error': error,
        'normalised_standard_error': (
            None if error is None else error / (scale.teacher - scale.random)
        ),
        'num_episodes': teacher.num_episodes,
        'epsilon': teacher.epsilon,
        'lineage': teacher.lineage,
    })
  same = len({entry['identity'] for entry in per_run}) == 1
  keys = ('mean_return', 'std_return', 'num_episodes', 'epsilon', 'lineage')
  return {
      'teacher_normalised_score': 1.0,
      'per_run': per_run,
      **{key: per_run[0][key] if same else None for key in keys},
  }


def _summarise_random(randoms: Mapping[str, float]) -> dict[str, Any]:
  only = next(iter(randoms.values())) if len(randoms) == 1 else None
  return {
      'teacher_normalised_score': 0.0,
      'mean_return': only,
      'per_game': randoms,
  }


def _aggregates(
    runs: Sequence[runs_lib.Run],
    student: Mapping[str, Any],
    tabula_rasa: Optional[Mapping[str, Any]],
    resamples: int,
) -> dict[str, Any]:
  """rliable's aggregates of the last online evaluations."""
  games = sorted({run.game for run in runs})
  result = {
      'confidence': aggregate.CONFIDENCE,
      'bootstrap_resamples': resamples,
      'student': None,
      'tabula_rasa': None,
      'note': None,
  }
  per_game = {game: sum(run.game == game for run in runs) for game in games}
  if len(set(per_game.values())) > 1:
    counts = ', '.join(f'{game} {n}' for game, n in per_game.items())
    result['note'] = (
        'No aggregates: they need the same number of runs for every game, and'
        f' there are {counts}.'
    )
    return result
  if set(per_game.values()) == {1}:
    result['note'] = (
        'One run per game: no interval over runs can be given. The intervals'
        ' of single runs are over their evaluation episodes.'
    )
  agents = {runs_lib.STUDENT: student, runs_lib.TABULA_RASA: tabula_rasa}
  for name, entry in agents.items():
    if entry is None or len(entry['per_seed']) != len(runs):
      continue
    matrix = np.array(
        [
            [
                seed_entry['teacher_normalised_score']
                for seed_entry in entry['per_seed']
                if seed_entry['game'] == game
            ]
            for game in games
        ]
    ).T
    estimates = aggregate.over_runs(matrix, resamples, _BOOTSTRAP_SEED)
    result[name] = {
        metric: {'value': e.value, 'low': e.low, 'high': e.high}
        for metric, e in estimates.items()
    }
  return result


def _summarise_dataset(run: runs_lib.Run) -> dict[str, Any]:
  counts = run.stages.get('dataset', {}).get('counts', {})
  return {
      'run': run.name,
      'name': run.dataset,
      'episodes': counts.get('episodes'),
      'transitions': counts.get('transitions'),
      'bytes': counts.get('bytes'),
  }


def flatten(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """{'a': {'b': 1}} → {'a.b': 1}."""
  flat = {}
  for key, value in config.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = value
  return flat


def _differences(runs: Sequence[runs_lib.Run]) -> list[dict[str, Any]]:
  """Settings in which a run differs from the first.

  The seed, and what only the report reads, are left out.
  """
  first = flatten(runs[0].config)
  differences = []
  for run in runs[1:]:
    other = flatten(run.config)
    for field in sorted(first.keys() | other.keys()):
      if field == 'seed' or field.startswith('report.'):
        continue
      if first.get(field) != other.get(field):
        differences.append({
            'run': run.name,
            'field': field,
            'value': other.get(field),
            'value_in_first_run': first.get(field),
        })
  return differences
