"""Tests of curves put together by hand."""

import numpy as np
import pytest

from rrl_pipeline.reports import benchmark_curves


def _curve(task, seed, frames, scores, **settings):
  return benchmark_curves.Curve(
      task, seed, tuple(frames), tuple(scores), scores[-1], **settings
  )


def test_matrix_has_a_column_for_each_task():
  curves = [
      _curve('b', 1, [10], [4.0]),
      _curve('a', 0, [10], [1.0]),
      _curve('b', 0, [10], [3.0]),
      _curve('a', 1, [10], [2.0]),
  ]
  assert benchmark_curves.is_complete(curves)
  np.testing.assert_array_equal(
      benchmark_curves.matrix(curves, lambda c: c.final), [[1, 3], [2, 4]]
  )
  assert not benchmark_curves.is_complete(curves[:3])


def test_curve_starts_with_the_last_offline_score():
  curve = _curve('a', 0, [10, 20], [1, 2], offline=((5, 0.2), (9, 0.5)))
  frames, scores = curve.with_start()
  assert frames.tolist() == [0, 10, 20]
  assert scores.tolist() == [0.5, 1, 2]
  assert curve.mean_between(0, 10) == 0.75
  assert curve.mean_between(11, 19) is None


def test_curves_are_interpolated_where_all_of_them_are():
  curves = [
      _curve('a', 0, [10, 20, 30], [0.0, 1.0, 2.0]),
      _curve('a', 1, [12, 22, 28], [0.0, 1.0, 1.0]),
  ]
  grid, scores = benchmark_curves.align(curves)
  assert grid.tolist() == [12, 20, 28]
  assert scores.shape == (2, 1, 3)
  np.testing.assert_allclose(scores[:, 0], [[0.2, 1.0, 1.8], [0.0, 0.8, 1.0]])


def test_curves_that_do_not_overlap_have_no_positions():
  curves = [_curve('a', 0, [10], [0.0]), _curve('b', 0, [20], [1.0])]
  grid, scores = benchmark_curves.align(curves)
  assert grid.size == 0
  assert scores.shape == (1, 2, 0)


def test_curve_needs_a_score_for_each_evaluation():
  with pytest.raises(ValueError, match='a, seed 3, .* got 1 and 2'):
    _curve('a', 3, [1, 2], [0.5])
