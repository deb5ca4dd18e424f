"""The page on which one browses a catalogue of published datasets."""

from typing import Any, Mapping, Sequence

from rrl_pipeline.reports import templates

_TEMPLATE = 'catalogue.html.jinja'


def render(entries: Sequence[Mapping[str, Any]]) -> str:
  """Returns the page, one HTML file beside the datasets' folders.

  Args:
    entries: the datasets, as in the catalogue's `index.json`.
  """
  return templates.render(_TEMPLATE, {'entries': entries})
