"""What the figures of a report do not show, in plain words."""

from typing import Any, Mapping, Optional

from rrl_pipeline import formats
from rrl_pipeline.environments import random_returns
from rrl_pipeline.reports import claims
from rrl_pipeline.reports import inheritance

# Below this many episodes the mean return of a single evaluation is coarse.
_FEW_EPISODES = 10
# Percentile intervals from fewer runs tend to be too narrow.
_FEW_RUNS = 5


def limits(summary: Mapping[str, Any]) -> list[str]:
  """Says what the figures do not show; one sentence or two each."""
  candidates = (
      _few_runs(summary),
      summary['aggregates']['note'] if summary['num_runs'] > 1 else None,
      _few_episodes(summary),
      _one_game(summary),
      _control(summary),
      _teacher(summary),
      _random(summary),
      _truncated(summary),
      _differing_settings(summary),
      _unrecorded(summary),
  )
  return [text for text in candidates if text is not None]


def _few_runs(summary: Mapping[str, Any]) -> Optional[str]:
  number = summary['num_runs']
  if number == 1:
    return (
        'One run (seed'
        f' {summary["student"]["per_seed"][0]["seed"]}), so no interval over'
        ' runs can be given. Reinforcement learning varies much between seeds:'
        ' repeat it with other seeds before relying on the figures.'
    )
  per_game = number / len(summary['games'])
  if per_game < _FEW_RUNS:
    return (
        f'{formats.plural(number, "run")} of'
        f' {formats.plural(len(summary["games"]), "game")}. With fewer than'
        f' {_FEW_RUNS} runs of each game bootstrap intervals tend to be too'
        ' narrow.'
    )
  return None


def _few_episodes(summary: Mapping[str, Any]) -> Optional[str]:
  fewest = min(entry['episodes'] for entry in summary['student']['per_seed'])
  if fewest >= _FEW_EPISODES:
    return None
  return (
      'Each point of the learning curves is'
      f' {formats.plural(fewest, "episode")} of the full game; neighbouring'
      ' points differ by chance too.'
  )


def _one_game(summary: Mapping[str, Any]) -> Optional[str]:
  if len(summary['games']) > 1:
    return None
  return f'One game ({summary["games"][0]}); others may behave differently.'


def _control(summary: Mapping[str, Any]) -> Optional[str]:
  student, control = summary['student'], summary['tabula_rasa']
  if control is None:
    if inheritance.is_from_scratch(summary['configuration']):
      return None
    return (
        'No control was run: without an agent trained from scratch for the same'
        ' number of frames the figures do not show what reincarnation brought.'
    )
  if len(control['per_seed']) < len(student['per_seed']):
    return (
        f'Only {len(control["per_seed"])} of'
        f' {formats.plural(len(student["per_seed"]), "run")} had a control.'
    )
  if not claims.same_frames(student, control):
    return (
        'Student and control did not have the same number of frames'
        f' ({formats.count(student["frames"])} and'
        f' {formats.count(control["frames"])}).'
    )
  return (
      'Student and control are compared at equal environment frames. The'
      ' student has had its offline updates and the logs of the teacher'
      ' besides; the table of compute shows what they cost.'
  )


def _teacher(summary: Mapping[str, Any]) -> Optional[str]:
  entries = summary['teacher']['per_run']
  if summary['teacher']['mean_return'] is None and len(entries) > 1:
    if len({entry['game'] for entry in entries}) == 1:
      return (
          'The runs had different teachers; every run is normalised by its own.'
      )
  errors = [entry['normalised_standard_error'] for entry in entries]
  if None in errors:
    return (
        "The teacher's bundle does not say how precisely its score is known, so"
        ' that no interval includes that uncertainty.'
    )
  episodes = min(entry['num_episodes'] for entry in entries)
  return (
      f"The teacher's own score rests on {formats.plural(episodes, 'episode')}:"
      f' its standard error is {formats.score(max(errors))} on the normalised'
      ' scale, and no interval here includes it.'
  )


def _random(summary: Mapping[str, Any]) -> Optional[str]:
  if not any(map(random_returns.is_published, summary['games'])):
    return None
  return (
      'The return of random play is the published one, measured from episodes'
      ' that begin with no-op actions and without sticky actions.'
  )


def _truncated(summary: Mapping[str, Any]) -> Optional[str]:
  number = sum(
      entry['truncated_episodes']
      for agent in ('student', 'tabula_rasa')
      if summary[agent] is not None
      for entry in summary[agent]['per_seed']
  )
  if not number:
    return None
  return (
      f'{formats.plural(number, "episode")} of the last evaluations ended by'
      ' the time limit; their returns count as they stood.'
  )


def _differing_settings(summary: Mapping[str, Any]) -> Optional[str]:
  fields = sorted(
      {
          difference['field']
          for difference in summary['configuration_differences']
      }
      - {'environment.game'}
  )
  if not fields:
    return None
  return (
      f'The runs differ in more than their seeds: {", ".join(fields)}. Their'
      ' means mix these settings.'
  )


def _unrecorded(summary: Mapping[str, Any]) -> Optional[str]:
  totals = [
      total for run in summary['compute'] for total in run['totals'].values()
  ]
  if all(None not in total.values() for total in totals):
    return None
  return 'Part of the compute was not recorded; sums over it are left out.'
