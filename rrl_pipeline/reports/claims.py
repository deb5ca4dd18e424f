"""What a report claims, in plain words that are worked out from its figures."""

from typing import Any, Mapping, Sequence

from rrl_pipeline import formats
from rrl_pipeline.reports import inheritance

# Evaluations happen at ends of episodes, so counts of frames differ a little.
_SAME_FRAMES_TOLERANCE = 0.02


def claim(summary: Mapping[str, Any]) -> dict[str, Any]:
  """Says what the figures show.

  Args:
    summary: report.json, complete but for its words.

  Returns:
    'headline', one line, and 'sentences', a list.
  """
  student, control = summary['student'], summary['tabula_rasa']
  games = summary['games']
  subject = games[0] if len(games) == 1 else f'{len(games)} games'
  flown = _scores_on_equal_seeds(summary)

  def score(agent: str) -> str:
    if agent in flown:
      return formats.score(flown[agent]['value'])
    return formats.score(summary[agent]['teacher_normalised_score'])

  words = ('the student', "its teacher's", 'training from scratch')
  if inheritance.is_from_scratch(summary['configuration']):
    words = ('an agent trained from scratch', "the teacher's", 'the control')
  headline = (
      f'{subject}: {words[0]} reaches {score("student")} of {words[1]} score'
  )
  if control is not None:
    headline += f', {words[2]} {score("tabula_rasa")}'
  sentences = [*_flight_sentences(summary, flown), _student_sentence(summary)]
  if control is not None:
    sentences.append(_control_sentence(summary))
  sentences.extend(_interval_sentences(summary))
  if inheritance.is_guided(summary['configuration']):
    sentences.append(_weaning_sentence(summary))
  sentences.extend(_compute_sentences(summary))
  final = student['final_evaluation']
  if final is not None and not flown:
    sentences.append(
        'A separate evaluation of the finished student over'
        f' {formats.plural(final["episodes"], "episode")} gives'
        f' {formats.score(final["teacher_normalised_score"])}'
        f'{_mean_return(final)}.'
    )
  return {'headline': headline, 'sentences': sentences}


def _scores_on_equal_seeds(summary: Mapping[str, Any]) -> Mapping[str, Any]:
  """Of the agents that flew a suite; none where there is none, or several."""
  if summary['flights'] is None or summary['num_runs'] > 1:
    return {}
  return {
      name: agent['normalised_score']
      for name, agent in summary['flights']['agents'].items()
      if agent['normalised_score'] is not None
  }


def _flight_sentences(
    summary: Mapping[str, Any], flown: Mapping[str, Any]
) -> Sequence[str]:
  agents = (('student', 'the student'), ('tabula_rasa', 'tabula rasa'))
  parts = []
  for key, name in agents:
    if key in flown:
      estimate = flown[key]
      part = f'{name} scores {formats.score(estimate["value"])}'
      if estimate['low'] is not None:
        part += f' (95 % {_range(estimate["low"], estimate["high"])})'
      parts.append(part)
  if not parts:
    return []
  return [
      f'On {formats.plural(len(summary["flights"]["seeds"]), "seed")} that all'
      ' agents flew when training was over, where the random walk is 0 and the'
      f' teacher 1 on these very seeds, {", ".join(parts)}. The evaluations'
      ' below, made while it was trained, are of other seeds than the'
      " teacher's score, and so a coarser measure."
  ]


def _mean_return(entry: Mapping[str, Any]) -> str:
  value = entry['mean_return']
  return '' if value is None else f' (mean return {formats.points(value)})'


def _student_sentence(summary: Mapping[str, Any]) -> str:
  student = summary['student']
  details = ''
  if student['mean_return'] is not None:
    details = (
        f': its mean return is {formats.points(student["mean_return"])} over'
        f' {formats.plural(student["episodes"], "evaluation episode")}'
    )
    teacher = summary['teacher']['mean_return']
    if teacher is not None:
      details += f", the teacher's {formats.points(teacher)}"
    details += (
        ', that of random play'
        f' {formats.points(summary["random"]["mean_return"])}'
    )
  return (
      f'After {formats.count(student["frames"])} environment frames of its own'
      f' play {inheritance.student(summary["configuration"])} scores'
      f' {formats.score(student["teacher_normalised_score"])} on a scale where'
      f' random play is 0 and the teacher is 1{details}.'
  )


def _control_sentence(summary: Mapping[str, Any]) -> str:
  student, control = summary['student'], summary['tabula_rasa']
  if same_frames(student, control):
    frames = 'as many frames'
  else:
    frames = f'{formats.count(control["frames"])} frames'
  gap = (
      student['teacher_normalised_score'] - control['teacher_normalised_score']
  )
  if inheritance.is_from_scratch(summary['configuration']):
    verdict = (
        'the student has nothing of the teacher either, and differs from it by'
        f' {formats.score(gap)}'
    )
  elif gap > 0:
    verdict = f'the student is ahead by {formats.score(gap)}'
  else:
    verdict = (
        f'the student is not ahead ({formats.score(gap)}), reincarnation did'
        ' not help here'
    )
  return (
      f'An agent trained from scratch (tabula rasa) for {frames} scores'
      f' {formats.score(control["teacher_normalised_score"])}'
      f'{_mean_return(control)}; {verdict}.'
  )


def _interval_sentences(summary: Mapping[str, Any]) -> Sequence[str]:
  """The 95 % interval: over runs if it can be had, else over episodes."""
  agents = (('student', 'student'), ('tabula_rasa', 'tabula rasa'))
  parts = []
  for key, name in agents:
    estimates = summary['aggregates'][key]
    if estimates is not None and estimates['mean']['low'] is not None:
      mean = estimates['mean']
      parts.append(f'{name} {_range(mean["low"], mean["high"])}')
  if parts:
    return [
        f'These are means over {formats.plural(summary["num_runs"], "run")};'
        f' 95 % intervals over runs: {", ".join(parts)}.'
    ]
  if summary['num_runs'] > 1:
    return []
  for key, name in agents:
    entry = summary[key]
    interval = entry and entry['per_seed'][0]['interval_over_episodes']
    if interval:
      parts.append(f'{name} {_range(*interval["teacher_normalised_score"])}')
  if not parts:
    return []
  return [
      f'95 % intervals over the evaluation episodes: {", ".join(parts)}. They'
      ' say how well these agents are measured, not how other seeds would do.'
  ]


def _range(low: float, high: float) -> str:
  return f'{formats.score(low)} to {formats.score(high)}'


def _weaning_sentence(summary: Mapping[str, Any]) -> str:
  weaning = summary['student']['weaning']
  if not inheritance.is_weaned_by_method(summary['configuration']):
    return (
        'The student is never weaned by this method: its teacher guided it'
        ' until training ended.'
    )
  distils = inheritance.distils(summary['configuration'])
  weights = [entry['last_distillation_weight'] for entry in weaning]
  if None in weights:
    return (
        'The log does not say how much weight the teacher had at the end of'
        ' training.'
    )
  guided = sum(
      # Without λ the log still says when the weight of a margin fell to 0.
      weight != 0 or (not distils and entry['frames'] is None)
      for weight, entry in zip(weights, weaning, strict=True)
  )
  if guided:
    where = f' in {guided} of {len(weights)} runs' if len(weights) > 1 else ''
    weight = f' (λ = {formats.score(max(weights))})' if distils else ''
    return (
        'The student is not weaned yet: the teacher still guided it when'
        f' training ended{where}{weight}.'
    )
  frames = [entry['frames'] for entry in weaning if entry['frames'] is not None]
  when = ''
  if frames:
    when = f' after {formats.count(max(frames))} frames'
    if len(frames) > 1:
      when += ' at the latest'
  return (
      "The student is weaned: the teacher's weight in its loss fell to"
      f' 0{when}.'
  )


def _compute_sentences(summary: Mapping[str, Any]) -> Sequence[str]:
  """What the student cost beside its teacher, in the first run."""
  totals = summary['compute'][0]['totals']
  parts = []
  for agent in ('student', 'teacher'):
    total = totals[agent]
    if total['frames'] is None or total['cpu_seconds'] is None:
      return []
    parts.append(
        f'{formats.count(total["frames"])} frames and'
        f' {formats.seconds(total["cpu_seconds"])} of CPU time'
    )
  which = '' if summary['num_runs'] == 1 else ' in the first run'
  collected = any(
      row['stage'] == 'collect' and row['frames']
      for row in summary['compute'][0]['rows']
  )
  included = 'included' if collected else 'not included'
  return [
      f'Making the student took {parts[0]}{which}, the play that its data'
      f' holds {included}; making its teacher had taken {parts[1]}.'
  ]


def same_frames(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
  """Whether two agents had, but for the ends of episodes, equal frames."""
  difference = abs(first['frames'] - second['frames'])
  return difference <= _SAME_FRAMES_TOLERANCE * max(1, first['frames'])
