"""Tests of the templates' environment."""

import jinja2
import pytest

from rrl_pipeline.reports import templates


def test_text_of_others_is_escaped():
  page = templates.render(
      'dataset_card.html.jinja', {'title': '<b>&', 'body': '<p>kept</p>'}
  )
  assert '<title>&lt;b&gt;&amp;</title>' in page
  assert '<p>kept</p>' in page


def test_missing_value_is_an_error():
  with pytest.raises(jinja2.UndefinedError, match="'entries' is undefined"):
    templates.render('catalogue.html.jinja', {})
