"""The figures of a benchmark as one JSON value.

docs/benchmark_suite.md names the keys.
"""

import collections
import dataclasses
from typing import Any, Mapping, Optional, Sequence

import numpy as np

import rrl_pipeline
from rrl_pipeline.reports import aggregate
from rrl_pipeline.reports import benchmark_curves
from rrl_pipeline.reports import benchmark_results
from rrl_pipeline.reports import benchmark_statistics
from rrl_pipeline.reports import compute
from rrl_pipeline.reports import signatures

_FORMAT_VERSION = 1
# Any constant will do; it only has to be the same every time.
_BOOTSTRAP_SEED = 0
_BASELINE = 'tabula_rasa'
# From random play to one and a half times the teacher, and beyond if need be.
_PROFILE_END, _PROFILE_POINTS = 1.5, 61

Curves = Mapping[str, Sequence[benchmark_curves.Curve]]


def summarise(
    results: benchmark_results.Results, resamples: int
) -> dict[str, Any]:
  """Computes report.json of a benchmark.

  Args:
    results: with at least one finished cell.
    resamples: of every bootstrap.

  Returns:
    What `json.dumps` takes; the same results give the same value.

  Raises:
    ValueError: no cell is finished.
  """
  if not results.cells:
    raise ValueError(
        'no cell of the benchmark is finished, so that there is nothing to'
        ' report; run the same command again to go on'
        if not results.without_scale
        else 'no cell of the benchmark can be reported:'
        f' {"; ".join(results.without_scale.values())}'
    )
  record = results.record
  methods = list(dict.fromkeys(cell.method for cell in results.cells))
  curves, notes = _comparable(results, methods)
  return {
      'format_version': _FORMAT_VERSION,
      'rrl_pipeline_version': rrl_pipeline.__version__,
      'suite': record['suite'],
      'summary': record['summary'],
      'changes': record['changes'],
      'command': record['command'],
      'methods': methods,
      'tasks': {
          task: {
              'random_return': entry['random_return'],
              'teacher_return': results.teacher_returns.get(task),
          }
          for task, entry in record['tasks'].items()
      },
      'unfinished': [
          {'method': method, 'task': task, 'seed': seed}
          for method, task, seed in results.unfinished
      ],
      'notes': notes,
      'confidence': aggregate.CONFIDENCE,
      'bootstrap_resamples': resamples,
      'runs': [_run(cell) for cell in results.cells],
      'per_task': _per_task(results, methods),
      'aggregates': _aggregates(curves, resamples),
      'improvement': _improvement(curves, resamples),
      'profiles': _profiles(curves, resamples),
      'curves': _curves(curves, resamples),
      'compute': {
          method: _compute([c for c in results.cells if c.method == method])
          for method in methods
      },
      'signatures': [
          signature.to_json()
          for signature in signatures.signatures(curves, resamples)
      ],
  }


def _comparable(
    results: benchmark_results.Results, methods: Sequence[str]
) -> tuple[Curves, list[str]]:
  """The runs that may be compared: of seeds that finished every task."""
  tasks = set(results.record['tasks']) - set(results.without_scale)
  curves = {}
  notes = [
      f'{task} is left out: {reason}.'
      for task, reason in results.without_scale.items()
  ]
  for method in methods:
    seeds = collections.defaultdict(set)
    own = [cell.curve for cell in results.cells if cell.method == method]
    for curve in own:
      seeds[curve.seed].add(curve.task)
    complete = {s for s, played in seeds.items() if len(played) == len(tasks)}
    left_out = sorted(set(seeds) - complete)
    if left_out:
      notes.append(
          f'{method}: of the seeds {", ".join(map(str, left_out))} not every'
          ' task is finished; comparisons leave them out.'
      )
    if complete:
      curves[method] = [curve for curve in own if curve.seed in complete]
      if len(complete) == 1:
        notes.append(
            f'{method}: one run per task, so that no interval can be given.'
        )
  return curves, notes


def _estimate(estimate: aggregate.Estimate) -> dict[str, Optional[float]]:
  return dataclasses.asdict(estimate)


def _final(curves: Sequence[benchmark_curves.Curve]) -> np.ndarray:
  return benchmark_curves.matrix(curves, lambda curve: curve.final)


def _aggregates(curves: Curves, resamples: int) -> dict[str, Any]:
  return {
      method: {
          'runs_per_task': len(_final(own)),
          **{
              name: _estimate(estimate)
              for name, estimate in aggregate.over_runs(
                  _final(own), resamples, _BOOTSTRAP_SEED
              ).items()
          },
      }
      for method, own in curves.items()
  }


def _improvement(curves: Curves, resamples: int) -> dict[str, Any]:
  """How likely each method beats the baseline."""
  if not curves:
    return {'baseline': None, 'probability': {}}
  baseline = _BASELINE if _BASELINE in curves else next(iter(curves))
  return {
      'baseline': baseline,
      'probability': {
          method: _estimate(
              benchmark_statistics.probability_of_improvement(
                  _final(own),
                  _final(curves[baseline]),
                  resamples,
                  _BOOTSTRAP_SEED,
              )
          )
          for method, own in curves.items()
          if method != baseline
      },
  }


def _profiles(curves: Curves, resamples: int) -> dict[str, Any]:
  best = max((_final(own).max() for own in curves.values()), default=0.0)
  end = max(_PROFILE_END, float(np.ceil(best * 10) / 10))
  thresholds = np.linspace(0.0, end, _PROFILE_POINTS)
  return {
      'thresholds': thresholds.tolist(),
      'methods': {
          method: [
              _estimate(estimate)
              for estimate in benchmark_statistics.performance_profile(
                  _final(own), thresholds, resamples, _BOOTSTRAP_SEED
              )
          ]
          for method, own in curves.items()
      },
  }


def _curves(curves: Curves, resamples: int) -> dict[str, Any]:
  """IQM over runs and tasks against frames of own play."""
  result = {}
  for method, own in curves.items():
    frames, values = benchmark_curves.align(own)
    if frames.size:
      estimates = benchmark_statistics.iqm_curve(
          values, resamples, _BOOTSTRAP_SEED
      )
      result[method] = {
          'frames': frames.tolist(),
          'iqm': [_estimate(estimate) for estimate in estimates],
      }
  return result


def _run(cell: benchmark_results.Cell) -> dict[str, Any]:
  return {
      'method': cell.method,
      'mean_return': cell.mean_return,
      **dataclasses.asdict(cell.curve),
  }


def _per_task(
    results: benchmark_results.Results, methods: Sequence[str]
) -> dict[str, Any]:
  """Mean and standard deviation over seeds, by task and method."""
  table = {}
  for task in results.record['tasks']:
    table[task] = {}
    for method in methods:
      cells = [
          cell
          for cell in results.cells
          if (cell.method, cell.curve.task) == (method, task)
      ]
      if cells:
        final = [cell.curve.final for cell in cells]
        table[task][method] = {
            'runs': len(cells),
            'score': float(np.mean(final)),
            'std_score': float(np.std(final, ddof=1)) if final[1:] else None,
            'mean_return': float(np.mean([c.mean_return for c in cells])),
        }
  return table


def _compute(cells: Sequence[benchmark_results.Cell]) -> dict[str, Any]:
  """Means over a method's runs, as if each had been made on its own."""
  result = {}
  for name, with_teacher in (('student', False), ('lineage', True)):
    totals = [
        cell.compute['totals'][
            'student_and_teacher'
            if with_teacher and cell.uses_teacher
            else 'student'
        ]
        for cell in cells
    ]
    result[name] = {
        quantity: None
        if None in (values := [total[quantity] for total in totals])
        else float(np.mean(values))
        for quantity in compute.QUANTITIES
    }
  return result
