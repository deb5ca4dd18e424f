"""Fills in the templates that lie beside this module."""

import base64
from typing import Any, Callable, Mapping

import jinja2

from rrl_pipeline import formats

_FILTERS = {
    'base64': lambda data: base64.b64encode(data).decode('ascii'),
    'count': formats.count,
    'points': formats.points,
    'score': formats.score,
    'seconds': formats.seconds,
    'size': formats.size,
}


def render(
    name: str,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[[Any], str]] | None = None,
) -> str:
  """Returns a template with its values.

  Args:
    name: of the template's file; what is put into HTML is escaped.
    values: by their names in the template, each of which must be there.
    filters: of this template, besides base64 and the formats of numbers.
  """
  environment = jinja2.Environment(
      loader=jinja2.PackageLoader('rrl_pipeline.reports', '.'),
      autoescape=name.endswith('.html.jinja'),
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
  )
  environment.filters.update(_FILTERS)
  environment.filters.update(filters or {})
  return environment.get_template(name).render(values)
