"""What a figure of all methods looks like; tests of reports read the rest."""

import matplotlib
import pytest

from rrl_pipeline.agents import methods
from rrl_pipeline.reports import benchmark_figures
from rrl_pipeline.reports import panels


@pytest.mark.parametrize('count', [2, len(methods.METHODS)])
def test_a_legend_of_so_many_methods_fits(count, monkeypatch):
  names = list(methods.METHODS)[:count]
  estimate = {'value': 1.0, 'low': None, 'high': None}
  curve = {'frames': [0, 10], 'iqm': [estimate] * 2}
  drawn = []
  monkeypatch.setattr(panels, 'png', drawn.append)
  benchmark_figures.sample_efficiency(
      {'methods': names, 'curves': dict.fromkeys(names, curve)}
  )
  (figure,) = drawn
  with matplotlib.rc_context(panels.STYLE):
    figure.draw_without_rendering()
  (legend,) = figure.legends
  box = legend.get_window_extent()
  assert 0 <= box.x0 < box.x1 <= figure.bbox.width
  assert len(legend.get_texts()) == count
