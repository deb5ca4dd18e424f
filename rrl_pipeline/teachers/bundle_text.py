"""Says in words what a bundle is, what it scored and where it is from."""

from typing import Any, Iterator, Mapping

from rrl_pipeline.teachers import bundle


def describe(found: bundle.Bundle) -> Iterator[str]:
  """The lines that describe a bundle."""
  description = found.description
  shape = '×'.join(map(str, description.observation_shape))
  settings = ', '.join(
      f'{name} {value}' for name, value in description.environment.items()
  )
  yield f'{found.directory}: a teacher that gives {description.kind}'
  yield f'  environment: {settings}'
  yield f'  sees: {description.observation_dtype} {shape}'
  yield f'  does: {", ".join(description.action_meanings)}'
  yield f'  score: {_score(description.score)}'
  yield from _lineage(description.lineage)
  yield f'  SHA-256 of its model: {found.sha256}'


def plural(count: int, noun: str) -> str:
  """'1 episode', '2 episodes'."""
  return f'{count} {noun}' + ('' if count == 1 else 's')


def _score(score: Mapping[str, Any]) -> str:
  if 'mean_return' not in score:
    return 'not known'
  text = f'mean return {score["mean_return"]:.1f}'
  if 'num_episodes' in score:
    text += f' over {plural(score["num_episodes"], "episode")}'
  if 'random_return' in score:
    text += f' ({score["random_return"]:g} by random play)'
  return text


def _lineage(lineage: Mapping[str, Any]) -> Iterator[str]:
  """Where a teacher is from, and its own teacher likewise."""
  for name in ('command', 'actor_steps', 'learner_steps'):
    if lineage.get(name) is not None:
      yield f'  {name.replace("_", " ")}: {lineage[name]}'
  imported = lineage.get('imported')
  if imported:
    yield f'  imported from files of {imported["format"]}:'
    for file in imported['files']:
      yield (
          f'    {file["name"]}, {file["bytes"]} bytes, SHA-256'
          f' {file["sha256"]}'
      )
    yield '  because of what was found in them:'
    yield from (f'    {finding}' for finding in imported['findings'])
  if lineage.get('teacher'):
    yield '  its own teacher:'
    own = lineage['teacher'].get('lineage') or {}
    yield from (f'  {line}' for line in _lineage(own))
