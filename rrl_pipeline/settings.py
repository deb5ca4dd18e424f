"""Nested frozen dataclasses of settings: as JSON, as flat names, fingerprints.

Each component has its own dataclass of settings, and the pipeline composes
them. A field holds another such dataclass, or a leaf: int, float, bool, str,
an enum of these, a tuple of leaves, or None where the type is Optional. Where
a component comes in several kinds, the field's type is the union of their
dataclasses; each has a class attribute `kind`, its name, which stands in the
JSON beside the settings of that kind.

The translation is exact in both directions: what reads back equals what was
written, and a value of another type, an unknown or a missing name is refused.
"""

import dataclasses
import difflib
import enum
import hashlib
import json
import math
import types
import typing
from typing import Any, Iterable, Mapping, Sequence, TypeVar

_T = TypeVar('_T')
_UNIONS = (typing.Union, types.UnionType)
# Name of the setting that says which member of a union a group is.
KIND = 'kind'
_SCALARS = {
    int: 'an integer',
    float: 'a finite number',
    bool: 'true or false',
    str: 'text',
}


def to_json_value(settings: Any) -> dict[str, Any]:
  """Returns the settings as nested dictionaries that JSON can hold.

  Raises:
    ValueError: a field holds a value that is not of its declared type.
  """
  return _encode_kind(settings, '')


def from_json_value(cls: type[_T], value: Any) -> _T:
  """Builds the settings that `to_json_value` wrote.

  Args:
    cls: the dataclass, or the union of those that it may be.
    value: nested dictionaries.

  Raises:
    ValueError: a value of a wrong type or out of its range, an unknown name,
      a missing name.
  """
  return _decode_kind(group_kinds(cls), value, '')


def flatten(settings: Any) -> dict[str, Any]:
  """Returns {dotted name: JSON value} of every leaf, as they are declared."""
  return dict(_flatten(to_json_value(settings), ''))


def fingerprint(value: Any) -> str:
  """Returns the SHA-256 of a JSON value in its canonical form, in hex."""
  text = json.dumps(
      value, sort_keys=True, separators=(',', ':'), allow_nan=False
  )
  return hashlib.sha256(text.encode('utf-8')).hexdigest()


def describe_differences(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> str:
  """Says which flat settings differ; empty if none does.

  Args:
    old: {dotted name: JSON value}.
    new: the same.
  """
  absent = object()
  parts = []
  for name in old | new:
    before, after = old.get(name, absent), new.get(name, absent)
    if before is absent:
      parts.append(f'{name} was absent, is now {json.dumps(after)}')
    elif after is absent:
      parts.append(f'{name} was {json.dumps(before)}, is now absent')
    elif before != after:
      parts.append(
          f'{name} was {json.dumps(before)}, is now {json.dumps(after)}'
      )
  return '; '.join(parts)


def field_types(cls: type[Any]) -> dict[str, Any]:
  """Returns the resolved type of each field of a dataclass."""
  hints = typing.get_type_hints(cls)
  return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def optional_type(annotation: Any) -> Any:
  """Returns X for Optional[X], None for every other type."""
  if typing.get_origin(annotation) in _UNIONS:
    arguments = typing.get_args(annotation)
    others = [a for a in arguments if a is not types.NoneType]
    if len(others) == 1 and len(arguments) == 2:
      return others[0]
  return None


def group_kinds(annotation: Any) -> Mapping[str, type[Any]]:
  """Returns the dataclasses that a group may be, by kind.

  A type that is one dataclass gives that, under '' if it has no `kind`, and a
  leaf gives nothing.
  """
  if dataclasses.is_dataclass(annotation):
    return {getattr(annotation, KIND, ''): annotation}
  if typing.get_origin(annotation) in _UNIONS:
    members = typing.get_args(annotation)
    if all(dataclasses.is_dataclass(member) for member in members):
      return {member.kind: member for member in members}
  return {}


def is_enum(annotation: Any) -> bool:
  return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def element_types(annotation: Any, length: int) -> Sequence[Any]:
  """Returns the types of the elements of a tuple type for `length` elements.

  Raises:
    ValueError: a tuple of this type has another length.
  """
  arguments = typing.get_args(annotation)
  if len(arguments) == 2 and arguments[1] is Ellipsis:
    return [arguments[0]] * length
  if len(arguments) != length:
    raise ValueError(f'expected {describe_type(annotation)}, got {length}')
  return arguments


def is_tuple(annotation: Any) -> bool:
  return typing.get_origin(annotation) is tuple


def describe_type(annotation: Any) -> str:
  """Says in words what a leaf of this type may hold."""
  inner = optional_type(annotation)
  if inner is not None:
    return f'{describe_type(inner)}, or none'
  if is_enum(annotation):
    return 'one of ' + ', '.join(str(member.value) for member in annotation)
  if is_tuple(annotation):
    arguments = typing.get_args(annotation)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
      each = describe_type(arguments[0])
      return f'values with commas between them, each {each}'
    each = ', '.join(describe_type(argument) for argument in arguments)
    return f'{len(arguments)} values with commas between them ({each})'
  if annotation in _SCALARS:
    return _SCALARS[annotation]
  raise TypeError(f'settings cannot hold values of type {annotation!r}')


def near_misses(name: str, names: Iterable[str]) -> str:
  """Returns '; did you mean …?' for names close to `name`, or ''.

  A name is close if it is spelt alike, or if its last part is the same.
  """
  names = list(names)
  last = name.rpartition('.')[2]
  close = [other for other in names if other.rpartition('.')[2] == last]
  for other in difflib.get_close_matches(name, names, n=3, cutoff=0.75):
    if other not in close:
      close.append(other)
  return f'; did you mean {" or ".join(close[:4])}?' if close else ''


def _join(prefix: str, name: str) -> str:
  return f'{prefix}.{name}' if prefix else name


def _flatten(value: Mapping[str, Any], prefix: str):
  for name, item in value.items():
    if isinstance(item, dict):
      yield from _flatten(item, _join(prefix, name))
    else:
      yield _join(prefix, name), item


def _mismatch(annotation: Any, value: Any, name: str) -> ValueError:
  return ValueError(
      f'{name}: expected {describe_type(annotation)}, got {value!r}'
  )


def _encode_kind(settings: Any, prefix: str) -> dict[str, Any]:
  kind = getattr(settings, KIND, '')
  return ({KIND: kind} if kind else {}) | _encode_group(settings, prefix)


def _encode_group(settings: Any, prefix: str) -> dict[str, Any]:
  result = {}
  for name, annotation in field_types(type(settings)).items():
    value, path = getattr(settings, name), _join(prefix, name)
    kinds = group_kinds(annotation)
    if kinds:
      if type(value) not in kinds.values():
        names = ' or '.join(cls.__name__ for cls in kinds.values())
        raise ValueError(f'{path}: expected {names}, got {value!r}')
      result[name] = _encode_kind(value, path)
    else:
      result[name] = _encode(annotation, value, path)
  return result


def _encode(annotation: Any, value: Any, path: str) -> Any:
  inner = optional_type(annotation)
  if inner is not None:
    return None if value is None else _encode(inner, value, path)
  if is_enum(annotation):
    if not isinstance(value, annotation):
      raise _mismatch(annotation, value, path)
    return value.value
  if is_tuple(annotation):
    if not isinstance(value, tuple):
      raise _mismatch(annotation, value, path)
    return [
        _encode(inner, item, path)
        for inner, item in zip(
            _element_types_at(annotation, len(value), path), value, strict=True
        )
    ]
  return _check_scalar(annotation, value, path)


def _decode_group(cls: type[_T], value: Any, prefix: str) -> _T:
  if not isinstance(value, dict):
    raise ValueError(
        f'{prefix or "settings"}: expected a group of settings, got {value!r}'
    )
  annotations = field_types(cls)
  for name in value:
    if name not in annotations:
      raise ValueError(
          f'unknown setting {_join(prefix, name)}'
          f'{near_misses(name, annotations)}'
      )
  fields = {}
  for name, annotation in annotations.items():
    path = _join(prefix, name)
    if name not in value:
      raise ValueError(f'the setting {path} is missing')
    kinds = group_kinds(annotation)
    if kinds:
      fields[name] = _decode_kind(kinds, value[name], path)
    else:
      fields[name] = _decode(annotation, value[name], path)
  try:
    return cls(**fields)
  except ValueError as error:
    raise ValueError(f'{prefix}: {error}' if prefix else str(error)) from error


def _decode_kind(
    kinds: Mapping[str, type[Any]], value: Any, path: str
) -> Any:
  if '' in kinds:
    return _decode_group(kinds[''], value, path)
  if not isinstance(value, dict):
    raise ValueError(f'{path}: expected a group of settings, got {value!r}')
  kind = value.get(KIND)
  if kind not in kinds:
    raise ValueError(
        f'{_join(path, KIND)}: expected one of {", ".join(kinds)}, got {kind!r}'
    )
  rest = {name: item for name, item in value.items() if name != KIND}
  return _decode_group(kinds[kind], rest, path)


def _decode(annotation: Any, value: Any, path: str) -> Any:
  inner = optional_type(annotation)
  if inner is not None:
    return None if value is None else _decode(inner, value, path)
  if is_enum(annotation):
    for member in annotation:
      if type(member.value) is type(value) and member.value == value:
        return member
    raise _mismatch(annotation, value, path)
  if is_tuple(annotation):
    if not isinstance(value, list):
      raise _mismatch(annotation, value, path)
    return tuple(
        _decode(inner, item, path)
        for inner, item in zip(
            _element_types_at(annotation, len(value), path), value, strict=True
        )
    )
  return _check_scalar(annotation, value, path)


def _element_types_at(annotation: Any, length: int, path: str) -> Sequence[Any]:
  try:
    return element_types(annotation, length)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def _check_scalar(annotation: Any, value: Any, path: str) -> Any:
  if annotation is float and type(value) in (int, float):
    if math.isfinite(value):
      return float(value) + 0.0  # 1 is 1.0, and -0.0 is 0.0.
  elif annotation in _SCALARS and type(value) is annotation:
    return value
  raise _mismatch(annotation, value, path)
