"""The page on which one browses a catalogue of published datasets."""

from typing import Any, Mapping, Sequence

import jinja2

from rrl_pipeline.reports import formats

_TEMPLATE = 'catalogue.html.jinja'


def render(entries: Sequence[Mapping[str, Any]]) -> str:
  """Returns the page, one HTML file beside the datasets' folders.

  Args:
    entries: the datasets, as in the catalogue's `index.json`.
  """
  environment = jinja2.Environment(
      loader=jinja2.PackageLoader('rrl_pipeline.reports', '.'),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
  )
  environment.filters.update({
      'count': formats.count,
      'points': formats.points,
      'size': formats.size,
  })
  return environment.get_template(_TEMPLATE).render(entries=entries)
