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
  Where a group comes in several kinds, 'group.kind=name' makes it that kind,
  with the defaults of its settings, and comes before all others.

  Args:
    config: a frozen dataclass of settings and of groups of settings.
    overrides: each 'group.name=value'. A list is 'a,b', nothing is 'none'.

  Raises:
    ValueError: no such setting, or a value that it cannot have.
  """
  changes: dict[str, Any] = {}
  kinds, others = [], []
  for override in overrides:
    name, equals, text = override.partition('=')
    if not equals:
      raise ValueError(
          f'expected a setting as group.name=value, got {override!r}'
      )
    name, text = name.strip(), text.strip()
    is_kind = name.rpartition('.')[2] == settings.KIND
    (kinds if is_kind else others).append((name, text))
  # A kind within a kind comes after the one that has it.
  for name, text in sorted(kinds, key=lambda item: item[0].count('.')):
    config = _with_kind(config, config, name.split('.'), text, name)
  for name, text in others:
    annotation = _find(config, name)
    *groups, leaf = name.split('.')
    group = changes
    for part in groups:
      group = group.setdefault(part, {})
    group[leaf] = _parse(annotation, text, name)
  return _replace(config, changes, '')


def _with_kind(
    config: Any, group: Any, parts: Sequence[str], kind: str, name: str
) -> Any:
  """Makes a group of `config` another kind; one of that kind stays as it is.

  Args:
    config: all settings.
    group: those in which `parts` are to be found.
    parts: of the dotted name from there on; the last one is 'kind'.
    kind: the kind.
    name: the whole dotted name.
  """
  part, *rest = parts
  fields = settings.field_types(type(group))
  kinds = settings.group_kinds(fields.get(part))
  if not kinds or ('' in kinds and rest == [settings.KIND]):
    _find(config, name)  # Raises: there is no such setting.
  value = getattr(group, part)
  if rest != [settings.KIND]:
    value = _with_kind(config, value, rest, kind, name)
  elif kind not in kinds:
    raise ValueError(
        f'{name}: expected one of {", ".join(kinds)}, got {kind!r}'
        f'{settings.near_misses(kind, kinds)}'
    )
  elif type(value) is not kinds[kind]:
    value = kinds[kind]()
  return dataclasses.replace(group, **{part: value})


def _find(config: Any, name: str) -> Any:
  """Returns the type of the setting with this dotted name."""
  value: Any = config
  annotation: Any = type(config)
  for part in name.split('.'):
    fields = (
        settings.field_types(type(value))
        if dataclasses.is_dataclass(value)
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
    value = getattr(value, part)
  if settings.group_kinds(annotation):
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
