"""Changes single settings by their names: 'agent.n_step=5'."""

import dataclasses
import math
from typing import Any, Mapping, Sequence, TypeVar

from rrl_pipeline import settings

_T = TypeVar('_T')
_BOOLEANS = {'true': True, 'false': False}


def apply(config: _T, overrides: Sequence[str]) -> _T:
  """Returns the configuration with some of its settings replaced.

  All are replaced together, so that two settings that depend on each other
  may be changed in any order. Of two values for one setting the later counts.

  Args:
    config: a frozen dataclass of settings and of groups of settings.
    overrides: each 'group.name=value'. A list is 'a,b', nothing is 'none'.

  Raises:
    ValueError: no such setting, or a value that it cannot have.
  """
  changes: dict[str, Any] = {}
  for override in overrides:
    name, equals, text = override.partition('=')
    if not equals:
      raise ValueError(
          f'expected a setting as group.name=value, got {override!r}'
      )
    name = name.strip()
    annotation = _find(config, name)
    *groups, leaf = name.split('.')
    group = changes
    for part in groups:
      group = group.setdefault(part, {})
    group[leaf] = _parse(annotation, text.strip(), name)
  return _replace(config, changes, '')


def _find(config: Any, name: str) -> Any:
  """Returns the type of the setting with this dotted name."""
  annotation: Any = type(config)
  for part in name.split('.'):
    fields = (
        settings.field_types(annotation)
        if dataclasses.is_dataclass(annotation)
        else {}
    )
    if part not in fields:
      names = settings.flatten(config)
      group = name.rpartition('.')[0]
      siblings = [n for n in names if n.rpartition('.')[0] == group]
      raise ValueError(
          f'no setting is called {name!r}'
          + (
              settings.near_misses(name, names)
              or f"; there are: {', '.join(siblings or names)}"
          )
      )
    annotation = fields[part]
  if dataclasses.is_dataclass(annotation):
    names = [n for n in settings.flatten(config) if n.startswith(f'{name}.')]
    raise ValueError(
        f'{name!r} is a group of settings, set one of: ' + ', '.join(names)
    )
  return annotation


def _parse(annotation: Any, text: str, name: str) -> Any:
  try:
    return _parse_leaf(annotation, text)
  except ValueError as error:
    raise ValueError(
        f'{name}: expected {settings.describe_type(annotation)}, got {text!r}'
    ) from error


def _parse_leaf(annotation: Any, text: str) -> Any:
  inner = settings.optional_type(annotation)
  if inner is not None:
    return None if text.lower() == 'none' else _parse_leaf(inner, text)
  if settings.is_enum(annotation):
    for member in annotation:
      if text in (str(member.value), member.name):
        return member
    raise ValueError(text)
  if settings.is_tuple(annotation):
    parts = _split(text)
    inners = settings.element_types(annotation, len(parts))
    return tuple(
        _parse_leaf(inner, part)
        for inner, part in zip(inners, parts, strict=True)
    )
  if annotation is bool:
    if text.lower() not in _BOOLEANS:
      raise ValueError(text)
    return _BOOLEANS[text.lower()]
  if annotation is float:
    number = float(text)
    if not math.isfinite(number):
      raise ValueError(text)
    return number
  return annotation(text)  # int or str; describe_type knows no other.


def _split(text: str) -> list[str]:
  """Splits 'a, b', '(a, b)' or '(a,)' into its elements."""
  if text.startswith('(') and text.endswith(')'):
    text = text[1:-1].strip().removesuffix(',')
  return [part.strip() for part in text.split(',')] if text.strip() else []


def _replace(group: _T, changes: Mapping[str, Any], name: str) -> _T:
  values = {
      field: _replace(
          getattr(group, field), value, f'{name}.{field}' if name else field
      )
      if isinstance(value, dict)
      else value
      for field, value in changes.items()
  }
  try:
    return dataclasses.replace(group, **values)
  except ValueError as error:
    raise ValueError(f'{name}: {error}' if name else str(error)) from error
