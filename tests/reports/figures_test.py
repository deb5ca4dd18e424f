"""Tests of the figures: what is drawn, and that it is the same every time."""

import io

import numpy as np
from PIL import Image
import pytest

from rrl_pipeline import scores
from rrl_pipeline.reports import figures
from rrl_pipeline.reports import metric_figures
from rrl_pipeline.reports import panels
from rrl_pipeline.reports import runs
from rrl_pipeline.testing import synthetic_run

_SCALE = scores.Scale(-20.7, 15.3)


@pytest.fixture(name='run')
def fixture_run(tmp_path):
  return runs.read_run(synthetic_run.write(tmp_path / 'run'))


@pytest.fixture(name='drawn')
def fixture_drawn(monkeypatch):
  """Collects the figures instead of letting them end as PNG only."""
  drawn = []
  encode = panels.png

  def png(figure):
    drawn.append(figure)
    return encode(figure)

  monkeypatch.setattr(panels, 'png', png)
  return drawn


def _lines(axis):
  return {
      line.get_label(): line
      for line in axis.get_lines()
      if not line.get_label().startswith('_')
  }


def _text(figure):
  return [text.get_text() for text in figure.legends[0].get_texts()]


def test_learning_curves_hold_the_evaluations(run, drawn):
  data = figures.learning_curves([run], [_SCALE])
  assert Image.open(io.BytesIO(data)).format == 'PNG'
  offline, online = drawn[0].axes[:2]
  np.testing.assert_array_equal(
      _lines(offline)['student'].get_xydata(), [[50, -11], [100, 4.5]]
  )
  np.testing.assert_array_equal(
      _lines(online)['student'].get_xydata(),
      [[4000, 6], [8000, 9], [12000, 12]],
  )
  np.testing.assert_array_equal(
      _lines(online)['tabula rasa'].get_xydata(), [[12000, -20]]
  )
  assert set(_lines(online)['weaned (λ = 0)'].get_xdata()) == {8000}
  assert set(_lines(online)['switch to own play'].get_xdata()) == {0}
  assert set(_lines(online)['teacher (15.3)'].get_ydata()) == {15.3}
  assert _text(drawn[0])[:2] == ['student', 'tabula rasa']


def test_the_axis_on_the_right_shows_scores(run, drawn):
  figures.learning_curves([run], [_SCALE])
  (right,) = drawn[0].axes[1].child_axes
  low, high = drawn[0].axes[1].get_ylim()
  np.testing.assert_allclose(
      right.get_ylim(), [_SCALE.normalise(low), _SCALE.normalise(high)]
  )


def test_teachers_of_different_strength_share_no_axis_of_scores(run, drawn):
  figures.learning_curves([run, run], [_SCALE, scores.Scale(-20.7, 10.0)])
  online = drawn[0].axes[1]
  assert not online.child_axes
  assert 'teachers' in _text(drawn[0])


def test_without_offline_phase_there_is_one_panel(tmp_path, drawn):
  root = synthetic_run.write(tmp_path / 'run')
  (root / 'offline' / 'evaluations.jsonl').unlink()
  figures.learning_curves([runs.read_run(root)], [_SCALE])
  (online,) = drawn[0].axes
  assert 'switch to own play' not in _lines(online)


def test_mean_lines_are_interpolated_where_all_lines_are():
  x, y = figures.mean_line([
      (np.array([0.0, 10.0, 20.0]), np.array([0.0, 10.0, 20.0])),
      (np.array([5.0, 15.0]), np.array([2.0, 4.0])),
  ])
  np.testing.assert_array_equal(x, [5, 10, 15])
  np.testing.assert_array_equal(y, [(5 + 2) / 2, (10 + 3) / 2, (15 + 4) / 2])


def test_lines_that_do_not_overlap_have_no_mean():
  x, y = figures.mean_line([
      (np.array([0.0, 1.0]), np.array([0.0, 1.0])),
      (np.array([2.0, 3.0]), np.array([2.0, 4.0])),
  ])
  assert not len(x) and not len(y)


def test_schedules_are_those_of_the_log(run, drawn):
  metric_figures.curves([run], metric_figures.SCHEDULE)
  weight_offline, weight_online, _, rate_online = drawn[0].axes
  assert set(_lines(weight_offline)['student'].get_ydata()) == {3.0}
  x, y = _lines(weight_online)['student'].get_data()
  np.testing.assert_array_equal(y, np.where(x < 8000, 3.0, 0.0))
  assert 'tabula rasa' not in _lines(weight_online)
  assert set(_lines(rate_online)['tabula rasa'].get_ydata()) == {1e-5}


def test_agreement_ends_where_the_teacher_is_not_run(run, drawn):
  metric_figures.curves([run], metric_figures.AGREEMENT)
  _, online = drawn[0].axes
  assert _lines(online)['student'].get_xdata()[-1] == 7200
  assert 'tabula rasa' not in _lines(online)


def test_gap_and_cosine_are_drawn_where_they_were_logged(run, drawn):
  metric_figures.curves([run], metric_figures.DIAGNOSTICS)
  gap_offline, gap_online, cosine_offline, cosine_online = drawn[0].axes
  steps = np.arange(10, 101, 10)
  np.testing.assert_array_equal(
      _lines(gap_offline)['student'].get_xydata(),
      np.stack([steps, steps / 100], axis=1),
  )
  assert set(_lines(gap_online)) >= {'student', 'tabula rasa'}
  assert set(_lines(cosine_offline)['student'].get_ydata()) == {-0.5}
  assert cosine_offline.get_ylim() == (-1, 1)
  assert 'student' not in _lines(cosine_online)


def test_long_logs_are_averaged_in_groups(tmp_path, drawn):
  root = synthetic_run.write(tmp_path / 'run')
  rows = ''.join(f'{i},{i % 2}\n' for i in range(1200))
  log = root / 'offline' / 'metrics.csv'
  log.write_text('step,teacher_agreement\n' + rows)
  metric_figures.curves([runs.read_run(root)], metric_figures.AGREEMENT)
  x, y = _lines(drawn[0].axes[0])['student'].get_data()
  np.testing.assert_array_equal(x, np.arange(300) * 4 + 1.5)
  assert set(y) == {0.5}


def test_what_nobody_logged_is_not_drawn(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  for path in root.rglob('metrics.csv'):
    path.unlink()
  run = runs.read_run(root)
  assert metric_figures.curves([run], metric_figures.LOSSES) is None
  assert figures.learning_curves([run], [_SCALE])


def test_intervals_are_drawn_where_there_are_any(drawn):
  estimate = {'value': 0.5, 'low': 0.25, 'high': 0.75}
  metrics = dict.fromkeys(
      ('iqm', 'mean', 'median', 'optimality_gap'), estimate
  )
  assert figures.intervals({'student': metrics, 'tabula_rasa': None})
  (bar,) = drawn[0].axes[0].patches
  assert (bar.get_x(), bar.get_width()) == (0.25, 0.5)
  single = dict.fromkeys(metrics, estimate | {'low': None, 'high': None})
  assert figures.intervals({'student': single, 'tabula_rasa': None}) is None


def test_equal_runs_give_equal_bytes(run):
  draw = lambda: figures.learning_curves([run], [_SCALE])
  assert draw() == draw()
